package runlog

import (
	"context"
	"fmt"

	"belay/internal/steps"
)

// At is where a run stood once the entry with a sequence was folded, and nothing that came later; nil before the first
// one. Dead letters that were decided later count: they say what every reader leaves out.
func (l *Log) At(ctx context.Context, run string, seq uint64) (*steps.State, error) {
	entries, err := l.bus.ReadLog(ctx, run, 0)
	if err != nil {
		return nil, fmt.Errorf("read the log of run %s: %w", run, err)
	}
	f := &Fold{Run: run}
	for _, e := range entries {
		l.readVerdict(f, e)
	}
	for _, e := range entries {
		if e.Seq > seq {
			break
		}
		l.Take(f, e)
	}
	if err := f.Frozen(); err != nil {
		return f.State, fmt.Errorf("run %s: %w", run, err)
	}
	return f.State, nil
}
