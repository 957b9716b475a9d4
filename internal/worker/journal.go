package worker

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"belay/internal/steps"
	"belay/internal/wire"
)

// journals are what this worker has read of the logs of runs, so that it reads nothing twice: with ten thousand items of
// one run in backoff, each of them asks. They keep what matters to an attempt, by step, and no outputs.
type journals struct {
	mu  sync.Mutex
	all map[string]*journal
}

// How much is kept of runs that nobody asks about now.
const (
	journalsKept = 128
	recordsKept  = 100_000
)

// journal is one run's.
type journal struct {
	used time.Time // under the lock of journals
	size int       // likewise, as it was last seen

	mu      sync.Mutex
	seq     uint64
	read    time.Time // when the last reading began
	records int
	whole   []steps.Record            // about the run as a whole
	steps   map[string][]steps.Record // about one step
}

func newJournals() *journals { return &journals{all: map[string]*journal{}} }

func (js *journals) of(run string) *journal {
	js.mu.Lock()
	defer js.mu.Unlock()
	j := js.all[run]
	if j == nil {
		j = &journal{steps: map[string][]steps.Record{}}
		js.all[run] = j
	}
	j.used = time.Now()
	return j
}

// trim forgets the runs that were not asked about for longest, when there is too much of them.
func (js *journals) trim(j *journal, size int) {
	js.mu.Lock()
	defer js.mu.Unlock()
	j.size = size
	total := 0
	for _, o := range js.all {
		total += o.size
	}
	for len(js.all) > 1 && (len(js.all) > journalsKept || total > recordsKept) {
		var oldest string
		for run, o := range js.all {
			if oldest == "" || o.used.Before(js.all[oldest].used) {
				oldest = run
			}
		}
		total -= js.all[oldest].size
		delete(js.all, oldest)
	}
}

// readLog is all that the run's log says by now of the attempt's step, and of the run as a whole.
func (j *job) readLog() ([]steps.Record, error) {
	asked := time.Now()
	ctx, cancel := context.WithTimeout(j.life, 10*time.Second)
	defer cancel()
	log := j.journals.of(j.m.Run)
	log.mu.Lock()
	defer log.mu.Unlock()
	if !log.read.After(asked) { // whoever was first has read on since
		began := time.Now()
		entries, err := j.Bus.ReadLog(ctx, j.m.Run, log.seq)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			log.seq = e.Seq
			_, run, kind, ok := j.names.ParseLog(e.Subject)
			if !ok {
				continue
			}
			// An entry that cannot be read freezes the run in the dispatcher; it says nothing about this attempt.
			if ev, err := wire.DecodeEvent(kind, e.Data); err == nil {
				log.note(steps.Record{Seq: e.Seq, Time: e.Time, Run: run, Event: ev})
			}
		}
		log.read = began
		j.journals.trim(log, log.records)
	}
	return log.about(j.m.Step), nil
}

// note keeps what matters of a record.
func (l *journal) note(r steps.Record) {
	var step string
	switch e := r.Event.(type) {
	case steps.Submitted:
		r.Event = steps.Submitted{By: e.By, Epoch: e.Epoch}
	case steps.Cancelled, steps.Closed:
	case steps.Started:
		step = e.Step
	case steps.Succeeded:
		e.Output, step = nil, e.Step
		r.Event = e
	case steps.Failed:
		e.Fault, step = steps.Fault{Class: e.Fault.Class, Acted: e.Fault.Acted}, e.Step
		r.Event = e
	case steps.Claimed:
		step = e.Step
	case steps.Unserved:
		step = e.Step
	case steps.Withdrawn:
		step = e.Step
	case steps.Decided:
		if e.Grant == nil {
			return
		}
		step = e.Grant.Step
		e.Params, e.Patch, e.Answer = nil, nil, nil
		r.Event = e
	default:
		return
	}
	l.records++
	if step == "" {
		l.whole = append(l.whole, r)
		return
	}
	l.steps[step] = append(l.steps[step], r)
}

func (l *journal) about(step string) []steps.Record {
	all := append(slices.Clone(l.whole), l.steps[step]...)
	slices.SortFunc(all, func(a, b steps.Record) int { return cmp.Compare(a.Seq, b.Seq) })
	return all
}
