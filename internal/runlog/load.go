package runlog

import (
	"context"
	"fmt"

	"belay/internal/bus"
	"belay/internal/plan"
	"belay/internal/steps"
	"belay/internal/wire"
)

// Log reads and writes the logs of all runs. It is safe for concurrent use.
type Log struct {
	bus      *bus.Bus
	names    wire.Names
	programs *plan.Cache
}

// New makes a Log on a connected bus. The cache holds compiled plans; share one per process.
func New(b *bus.Bus, programs *plan.Cache) *Log {
	return &Log{bus: b, names: b.Names(), programs: programs}
}

// Read folds a run's log up to its head. A run without any entry gives a fold without a state and no error.
func (l *Log) Read(ctx context.Context, run string, observe Observe) (*Fold, error) {
	entries, err := l.bus.ReadLog(ctx, run, 0)
	if err != nil {
		return nil, fmt.Errorf("read the log of run %s: %w", run, err)
	}
	return l.Fold(run, entries, observe), nil
}

// Load is where a run stands now. For a frozen run it gives both the state before the unreadable entry (nil when that
// is the first one) and an [ErrFrozen].
func (l *Log) Load(ctx context.Context, run string) (*steps.State, error) {
	if !wire.ValidName(run) {
		return nil, badID(run)
	}
	f, err := l.Read(ctx, run, nil)
	if err != nil {
		return nil, err
	}
	if err := f.Frozen(); err != nil {
		return f.State, fmt.Errorf("run %s: %w", run, err)
	}
	if f.State == nil {
		return nil, l.missing(ctx, run)
	}
	return f.State, nil
}

// Follow calls f with every record of a run, from the first one and then live, until the run is closed, f returns
// false, or ctx ends (then the error is ctx's). A run that is frozen, or gets frozen meanwhile, ends it with [ErrFrozen].
func (l *Log) Follow(ctx context.Context, run string, f func(*steps.State, steps.Record, []int) bool) error {
	if !wire.ValidName(run) {
		return badID(run)
	}
	following, cancel := context.WithCancel(ctx)
	defer cancel()
	stopped := false
	observe := func(s *steps.State, r steps.Record, touched []int) {
		stopped = stopped || !f(s, r, touched) || s.Closed()
	}
	fold, err := l.Read(ctx, run, func(s *steps.State, r steps.Record, touched []int) {
		if !stopped {
			observe(s, r, touched)
		}
	})
	switch {
	case err != nil:
		return err
	case stopped:
		return nil
	case fold.Frozen() != nil:
		return fmt.Errorf("follow run %s: %w", run, fold.Frozen())
	case fold.State == nil:
		return fmt.Errorf("follow %w", l.missing(ctx, run))
	}
	err = l.bus.FollowLog(following, run, fold.Seq, func(e bus.Entry) {
		if stopped || fold.Poison != nil {
			return
		}
		if rec, touched, ok := l.Take(fold, e); ok {
			observe(fold.State, rec, touched)
		}
		if stopped || fold.Poison != nil {
			cancel()
		}
	})
	if stopped {
		return nil
	}
	if fold.Poison != nil {
		return fmt.Errorf("follow run %s: %w", run, fold.Frozen())
	}
	if err == nil {
		err = context.Cause(ctx)
	}
	return err
}

func badID(run string) error {
	return fmt.Errorf("%w: %q: use 1 to 64 letters, digits, - and _", ErrBadID, run)
}

// ReadOn takes in what was added to a run's log since a fold was made, nil for one that is yet to be, and gives the fold
// of all of it.
func (l *Log) ReadOn(ctx context.Context, run string, f *Fold) (*Fold, error) {
	if f == nil {
		return l.Read(ctx, run, nil)
	}
	entries, err := l.bus.ReadLog(ctx, run, f.Seq)
	if err != nil {
		return nil, fmt.Errorf("read on in the log of run %s: %w", run, err)
	}
	for _, e := range entries {
		l.Take(f, e)
	}
	if f.Stale {
		return l.Read(ctx, run, nil)
	}
	return f, nil
}
