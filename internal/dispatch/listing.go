package dispatch

import (
	"context"
	"fmt"
	"time"

	"belay/internal/steps"
)

// listing is the contents of the step queue at some time, by run.
type listing struct {
	queued map[string][]steps.Attempt // nil until it is read
	made   time.Time                  // when the queue was made
	old    map[string]struct{}        // runs that left memory since it was begun: it may miss attempts of theirs
}

// listQueue lists the attempts in the step queue that belong to this partition.
func (p *partition) listQueue(ctx context.Context, filter string) (*listing, error) {
	subjects, made, err := p.Bus.Queued(ctx, filter)
	if err != nil {
		return nil, fmt.Errorf("list the step queue: %w", err)
	}
	l := &listing{queued: make(map[string][]steps.Attempt), made: made}
	for _, s := range subjects {
		if _, _, run, a, ok := p.names.ParseStep(s); ok && p.owns(run) {
			l.queued[run] = append(l.queued[run], a)
		}
	}
	return l, nil
}

// of returns the listing if it has all attempts of r, else nil: a run that was in memory meanwhile may have queued more.
func (l *listing) of(r *run) *listing {
	if l == nil || l.queued == nil || r.fold != nil {
		return nil
	}
	if _, old := l.old[r.id]; old {
		return nil
	}
	return l
}

// outdated notes that a run leaves memory.
func (l *listing) outdated(run string) {
	if l != nil {
		l.old[run] = struct{}{}
	}
}
