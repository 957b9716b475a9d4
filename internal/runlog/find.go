package runlog

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"belay/internal/wire"
)

// Find returns the id of the run that ends in suffix. A complete id costs one lookup, and wins over longer ids that end in
// it.
func (l *Log) Find(ctx context.Context, suffix string) (run string, err error) {
	if !wire.ValidName(suffix) {
		return "", badID(suffix)
	}
	p := wire.Partition(suffix, l.bus.Partitions())
	_, exact, err := l.bus.Last(ctx, l.names.RunsStream(p), l.names.Log(p, suffix, wire.KindPlan))
	if err != nil {
		return "", fmt.Errorf("look for run %s: %w", suffix, err)
	}
	if exact {
		return suffix, nil
	}
	all, err := l.Picker.EndingIn(ctx, suffix)
	if err != nil {
		return "", fmt.Errorf("look for run %s: %w", suffix, err)
	}
	switch len(all) {
	case 0:
		if l.isStray(ctx, suffix) {
			return suffix, nil
		}
		return "", fmt.Errorf("%w: no run's id ends in %q", ErrNoRun, suffix)
	case 1:
		return all[0], nil
	}
	slices.Sort(all)
	return "", fmt.Errorf("%w: %s runs end in %q, among them %s and %s: give more of the id", ErrAmbiguous, count(len(all)), suffix, all[0], all[1])
}

func count(n int) string {
	if n == MostEndingIn {
		return fmt.Sprintf("at least %d", n)
	}
	return strconv.Itoa(n)
}
