package runlog

import (
	"context"
	"fmt"

	"belay/internal/bus"
	"belay/internal/plan"
	"belay/internal/steps"
	"belay/internal/steps/view"
	"belay/internal/wire"
)

// Log reads and writes the logs of all runs. It is safe for concurrent use.
type Log struct {
	Picker Picker // says which runs lists show; a [Tail] unless somebody who knows more is there
	// Leaving is told what is about to be removed from a partition because a person has discarded it; nil = nobody is.
	Leaving func(ctx context.Context, partition int, subject string) error

	// Trouble is an [bus.ErrNoWrites] while a stream, or any where none is named, is known to take no writes; nil = this process does
	// not look, and dispatchers are asked.
	Trouble func(stream string) error

	// Elsewhere carries out what this process may not write into logs itself; nil = it is tried all the same.
	Elsewhere Elsewhere

	bus      *bus.Bus
	names    wire.Names
	programs *plan.Cache
}

// New makes a Log on a connected bus. The cache holds compiled plans; share one per process.
func New(b *bus.Bus, programs *plan.Cache) *Log {
	return &Log{Picker: Tail{Bus: b, Why: "No dispatcher keeps an index here"}, bus: b, names: b.Names(), programs: programs}
}

// Read folds a run's log up to its head. For a run without any entry it returns a fold without a state, and no error.
func (l *Log) Read(ctx context.Context, run string, observe Observe) (*Fold, error) {
	conn := l.bus.ConnectedAt()
	entries, err := l.bus.ReadLog(ctx, run, 0)
	if err != nil {
		return nil, fmt.Errorf("read the log of run %s: %w", run, err)
	}
	f := l.Fold(run, entries, observe)
	f.conn = conn
	return f, nil
}

// Load returns the state of a run now. For a frozen run it returns both the state before the unreadable entry (nil if that
// is the first one) and an [ErrFrozen].
func (l *Log) Load(ctx context.Context, run string) (*steps.State, error) {
	s, err := l.Open(ctx, run)
	if s == nil {
		return nil, err
	}
	return s.State, err
}

// Document returns a run as programs and people see it; its errors are those of [Log.Load].
func (l *Log) Document(ctx context.Context, run string) (view.Document, error) {
	s, err := l.Load(ctx, run)
	if err != nil {
		return view.Document{}, err
	}
	return view.Show(s), nil
}

// Follow calls f with every record of a run, from the first one and then live, until the run is closed, f returns
// false, or ctx ends (then the error is ctx's). A run that is frozen, or gets frozen meanwhile, ends it with [ErrFrozen].
func (l *Log) Follow(ctx context.Context, run string, f func(*steps.State, steps.Record, []int) bool) error {
	if !wire.ValidName(run) {
		return badID(run)
	}
	w := following{log: l, f: f}
	var err error
	if w.fold, err = l.Read(ctx, run, w.observe); err != nil {
		return err
	}
	return w.on(ctx)
}

func badID(run string) error {
	return fmt.Errorf("%w: %q: use 1 to 64 letters, digits, - and _", ErrBadID, run)
}

// ReadOn folds what was appended to a run's log since f was made by Read, or everything if f is nil, and returns the fold of
// all of it. After a reconnect it reads everything: a server whose disk has failed may have lost the end of the log, and
// other entries have its sequences since.
func (l *Log) ReadOn(ctx context.Context, run string, f *Fold) (*Fold, error) {
	if f == nil || f.conn != l.bus.ConnectedAt() {
		return l.Read(ctx, run, nil)
	}
	entries, err := l.bus.ReadLog(ctx, run, f.Seq)
	if err != nil {
		return nil, fmt.Errorf("read on in the log of run %s: %w", run, err)
	}
	for _, e := range entries {
		l.Apply(f, e)
	}
	if f.Stale {
		return l.Read(ctx, run, nil)
	}
	return f, nil
}
