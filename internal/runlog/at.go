package runlog

import (
	"context"
	"fmt"

	"belay/internal/bus"
	"belay/internal/steps"
)

// At returns the state of a run after the entry with this sequence, without later ones; nil before the first one. Dead
// letters that were decided later count: they say which entries every reader leaves out.
func (l *Log) At(ctx context.Context, run string, seq uint64) (*steps.State, error) {
	entries, err := l.bus.ReadLog(ctx, run, 0)
	if err != nil {
		return nil, fmt.Errorf("read the log of run %s: %w", run, err)
	}
	return l.at(run, entries, seq)
}

func (l *Log) at(run string, entries []bus.Entry, seq uint64) (*steps.State, error) {
	f := &Fold{Run: run}
	for _, e := range entries {
		l.readVerdict(f, e)
	}
	for _, e := range entries {
		if e.Seq > seq {
			break
		}
		l.Apply(f, e)
	}
	if err := f.Frozen(); err != nil {
		return f.State, fmt.Errorf("run %s: %w", run, err)
	}
	return f.State, nil
}
