package runlog

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"belay/internal/wire"
)

// Find gives the whole id of the run that ends in suffix. An id that is whole already costs one look; it wins over
// longer ids that end in it.
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
	all, err := l.ids(ctx)
	if err != nil {
		return "", fmt.Errorf("look for run %s: %w", suffix, err)
	}
	all = slices.DeleteFunc(all, func(r listed) bool { return !strings.HasSuffix(r.id, suffix) })
	switch len(all) {
	case 0:
		if l.isStray(ctx, suffix) {
			return suffix, nil
		}
		return "", fmt.Errorf("%w: no run's id ends in %q", ErrNoRun, suffix)
	case 1:
		return all[0].id, nil
	}
	return "", fmt.Errorf("%w: %d runs end in %q, among them %s and %s: give more of the id", ErrAmbiguous, len(all), suffix, all[0].id, all[1].id)
}
