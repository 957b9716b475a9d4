package runlog

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"belay/internal/bus"
	"belay/internal/steps"
	"belay/internal/wire"
)

// History is what a run's log says about its attempts, for a worker with a step message in hand. It is an index by step and
// not a fold: it decides nothing, and it includes entries after one that freezes the run, because an attempt with a claim or
// an outcome there must not be executed a second time. Like every reader, it leaves out what a person has discarded. It
// keeps no outputs. The zero value is a log of which nothing was read.
type History struct {
	Seq  uint64 // of the last entry read
	Size int    // records kept

	conn      time.Time                 // when the connection was made over which it was read
	whole     []steps.Record            // about the run as a whole
	steps     map[string][]steps.Record // about one step
	claims    map[string]uint64         // sequence of the last claim on a subject, even if that cannot be read
	discarded map[uint64]bool           // sequences that a person decided to skip
}

// ReadHistory adds what was appended to a run's log since h was last read. After a reconnect it reads everything, as
// [Log.ReadOn] does.
func (l *Log) ReadHistory(ctx context.Context, run string, h *History) error {
	if conn := l.bus.ConnectedAt(); h.conn != conn {
		*h = History{conn: conn}
	}
	entries, err := l.bus.ReadLog(ctx, run, h.Seq)
	if err != nil {
		return fmt.Errorf("read the log of run %s: %w", run, err)
	}
	for _, e := range entries {
		h.Seq = e.Seq
		h.add(l.names, run, e)
	}
	return nil
}

func (h *History) add(names wire.Names, run string, e bus.Entry) {
	if _, _, kind, _ := names.ParseLog(e.Subject); kind == wire.KindClaim {
		if h.claims == nil {
			h.claims = map[string]uint64{}
		}
		h.claims[e.Subject] = e.Seq
	}
	_, event, err := Parse(names, e)
	if err != nil {
		h.addJunk(names, run, e, err)
		return
	}
	if seq, skip, ok := verdictOf(run, event); ok && skip {
		if h.discarded == nil {
			h.discarded = map[uint64]bool{}
		}
		h.discarded[seq] = true
	}
	h.note(steps.Record{Seq: e.Seq, Time: e.Time, Run: run, Event: event, Tool: toolOf(names, e)})
}

// addJunk keeps what ends an attempt although it cannot be read. Any other such entry freezes the run in the dispatcher or counts for nothing.
func (h *History) addJunk(names wire.Names, run string, e bus.Entry, why error) {
	submitted := func(r steps.Record) bool {
		s, is := r.Event.(steps.Submitted)
		return is && steps.HearsJunk(s)
	}
	if r, is := junkOf(names, run, e, why); is && slices.ContainsFunc(h.whole, submitted) {
		h.note(r)
	}
}

// note keeps the parts of a record that matter to an attempt.
func (h *History) note(r steps.Record) {
	var step string
	switch e := r.Event.(type) {
	case steps.Submitted:
		r.Event = steps.Submitted{By: e.By, Epoch: e.Epoch}
	case steps.Migrated:
		e.Next = steps.Submitted{}
		r.Event = e
	case steps.Cancelled, steps.Closed:
	case steps.Started:
		step = e.Step
	case steps.Succeeded:
		e.Output, step = nil, e.Step
		r.Event = e
	case steps.Failed:
		e.Fault, step = steps.Fault{Class: e.Fault.Class, Acted: e.Fault.Acted}, e.Step
		e.Question, e.Resume = nil, leftOnly(e.Resume)
		r.Event = e
	case steps.Resumable:
		e.Resume, step = *leftOnly(&e.Resume), e.Step
		r.Event = e
	case steps.Claimed:
		step = e.Step
	case steps.Objected:
		r.Event, step = steps.Objected{Attempt: e.Attempt, Worker: e.Worker}, e.Step
	case steps.Junk:
		e.Why, step = "", e.Step
		r.Event = e
		if step == "" {
			return
		}
	case steps.Progress:
		if !strings.HasPrefix(e.Message, steps.InjectedBy) {
			return
		}
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
	h.Size++
	if step == "" {
		h.whole = append(h.whole, r)
		return
	}
	if h.steps == nil {
		h.steps = map[string][]steps.Record{}
	}
	h.steps[step] = append(h.steps[step], r)
}

// leftOnly is what an attempt has left without what it is.
func leftOnly(r *steps.Resume) *steps.Resume {
	if r == nil {
		return nil
	}
	return &steps.Resume{Harmless: r.Harmless, Anew: r.Anew}
}

// About returns what the log says about a step, and about the run as a whole, in the order of the log; what workers that may report of
// other tools alone have said about it does not count.
func (h *History) About(step, tool string) []steps.Record {
	all := append(slices.Clone(h.whole), h.steps[step]...)
	all = slices.DeleteFunc(all, func(r steps.Record) bool { return h.discarded[r.Seq] || r.Tool != "" && r.Tool != tool })
	slices.SortFunc(all, func(a, b steps.Record) int { return cmp.Compare(a.Seq, b.Seq) })
	return all
}

// ClaimBehind returns the message of a claim to be stored after the claims of its attempt in h on the same subject. It is refused with
// [bus.ErrConflict] if there is a later one.
func (l *Log) ClaimBehind(run, tool string, c steps.Claimed, h *History) (m bus.Message, stream string, err error) {
	m, stream, err = l.Report(run, tool, c)
	if err == nil {
		last := h.claims[m.Subject]
		m.Expect = &last
	}
	return m, stream, err
}
