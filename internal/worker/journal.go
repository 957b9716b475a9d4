package worker

import (
	"context"
	"sync"
	"time"

	"belay/internal/bus"
	"belay/internal/runlog"
	"belay/internal/steps"
)

// journals cache what this worker has read of the logs of runs: ten thousand items of one run in backoff would each read
// all of it.
type journals struct {
	mu  sync.Mutex
	all map[string]*journal
}

// How much is kept of runs that are not in use.
const (
	journalsKept = 128
	recordsKept  = 100_000
)

// journal is the cache of one run's log.
type journal struct {
	used time.Time // under the lock of journals
	size int       // records in history, under the lock of journals, as it was last seen

	mu      sync.Mutex
	read    time.Time // when the last read began
	history runlog.History
}

func newJournals() *journals { return &journals{all: map[string]*journal{}} }

func (js *journals) of(run string) *journal {
	js.mu.Lock()
	defer js.mu.Unlock()
	j := js.all[run]
	if j == nil {
		j = &journal{}
		js.all[run] = j
	}
	j.used = time.Now()
	return j
}

// trim forgets the runs that were not asked about for longest, when there are too many records.
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

// readLog returns everything that the run's log now says about the attempt's step, and about the run as a whole.
func (j *job) readLog() (about []steps.Record, err error) {
	err = j.withHistory(j.life, func(h *runlog.History) { about = h.About(j.m.Step, j.m.Tool) })
	return about, err
}

// withHistory reads on in the run's log and calls f with all that was read.
func (j *job) withHistory(ctx context.Context, f func(*runlog.History)) error {
	asked := time.Now()
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	log := j.journals.of(j.m.Run)
	log.mu.Lock()
	defer log.mu.Unlock()
	if !log.read.After(asked) { // otherwise another caller has read on since
		began := time.Now()
		if err := j.Runs.ReadHistory(ctx, j.m.Run, &log.history); err != nil {
			return err
		}
		log.read = began
		j.journals.trim(log, log.history.Size)
	}
	f(&log.history)
	return nil
}

// claimAfter returns what the run's log says about the attempt's step, and a claim to be stored after those in it. It reads
// the whole log, and nothing that was cached: what could be read a moment ago may be lost with the memory of a server whose
// disk fails, and its sequences stand for other entries then.
func (j *job) claimAfter(ctx context.Context) (about []steps.Record, m bus.Message, stream string, err error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	var h runlog.History
	if err = j.Runs.ReadHistory(ctx, j.m.Run, &h); err != nil {
		return nil, m, "", err
	}
	m, stream, err = j.Runs.ClaimBehind(j.m.Run, j.m.Tool, steps.Claimed{Attempt: j.m.Attempt, Worker: j.worker}, &h)
	return h.About(j.m.Step, j.m.Tool), m, stream, err
}
