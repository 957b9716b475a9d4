package runlog

import (
	"context"
	"fmt"

	"belay/internal/bus"
	"belay/internal/steps"
	"belay/internal/wire"
)

// Snapshot is a run's log as it was read once: the state of the run then and before and, with [Snapshot.Follow], how it
// goes on from there. It is not safe for concurrent use.
type Snapshot struct {
	State *steps.State // the run's state; Follow changes it, and everything that points into it

	log     *Log
	fold    *Fold
	entries []bus.Entry
}

// Open reads a run's log up to its head. Its errors are those of [Log.Load]; for a frozen run it also returns the snapshot.
func (l *Log) Open(ctx context.Context, run string) (*Snapshot, error) {
	if !wire.ValidName(run) {
		return nil, badID(run)
	}
	entries, err := l.bus.ReadLog(ctx, run, 0)
	if err != nil {
		return nil, fmt.Errorf("read the log of run %s: %w", run, err)
	}
	f := l.Fold(run, entries, nil)
	s := &Snapshot{State: f.State, log: l, fold: f, entries: entries}
	if err := f.Frozen(); err != nil {
		return s, fmt.Errorf("run %s: %w", run, err)
	}
	if f.State == nil {
		return nil, l.missing(ctx, run)
	}
	return s, nil
}

// At is [Log.At] within the snapshot.
func (s *Snapshot) At(seq uint64) (*steps.State, error) { return s.log.at(s.fold.Run, s.entries, seq) }

// Follow is [Log.Follow] for records after the snapshot: it reads no entry a second time. Only if a dead letter was decided
// since, which changes how the whole log is read, f gets every record from the first one on.
func (s *Snapshot) Follow(ctx context.Context, f func(*steps.State, steps.Record, []int) bool) error {
	entries, err := s.log.bus.ReadLog(ctx, s.fold.Run, s.fold.Seq, wire.KindDecision)
	if err != nil {
		return fmt.Errorf("read on in the log of run %s: %w", s.fold.Run, err)
	}
	w := following{log: s.log, fold: s.fold, f: f}
	for _, e := range entries {
		w.add(e)
	}
	s.State = s.fold.State
	if s.fold.Stale && !w.stopped {
		return s.log.Follow(ctx, s.fold.Run, f)
	}
	err = w.on(ctx)
	s.State = s.fold.State
	return err
}

// following is one caller that follows a run from the end of a fold.
type following struct {
	log     *Log
	fold    *Fold
	f       func(*steps.State, steps.Record, []int) bool
	stopped bool // the caller has seen enough, or the run is closed
}

func (w *following) observe(s *steps.State, r steps.Record, touched []int) {
	if !w.stopped {
		w.stopped = !w.f(s, r, touched) || s.Closed()
	}
}

// add takes in the next entry.
func (w *following) add(e bus.Entry) {
	if w.stopped || w.fold.Poison != nil {
		return
	}
	if rec, touched, ok := w.log.Apply(w.fold, e); ok {
		w.observe(w.fold.State, rec, touched)
	}
}

// on follows the log after the fold until the caller has seen enough, the run is frozen, or ctx ends.
func (w *following) on(ctx context.Context) error {
	run := w.fold.Run
	switch {
	case w.stopped:
		return nil
	case w.fold.Frozen() != nil:
		return fmt.Errorf("follow run %s: %w", run, w.fold.Frozen())
	case w.fold.State == nil:
		return fmt.Errorf("follow %w", w.log.missing(ctx, run))
	}
	live, cancel := context.WithCancel(ctx)
	defer cancel()
	err := w.log.bus.FollowLog(live, run, w.fold.Seq, func(e bus.Entry) {
		w.add(e)
		if w.stopped || w.fold.Poison != nil {
			cancel()
		}
	})
	switch {
	case w.stopped:
		return nil
	case w.fold.Poison != nil:
		return fmt.Errorf("follow run %s: %w", run, w.fold.Frozen())
	case err == nil:
		return context.Cause(ctx)
	}
	return err
}
