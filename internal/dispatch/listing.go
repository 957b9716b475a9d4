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

	routes map[string][]route // of the attempts, by run, until the run is read
	unread map[route]int      // how many of them there are
}

// listQueue lists the attempts in the step queue that belong to this partition.
func (p *partition) listQueue(ctx context.Context, filter string) (*listing, error) {
	subjects, made, err := p.Bus.Queued(ctx, filter)
	if err != nil {
		return nil, fmt.Errorf("list the step queue: %w", err)
	}
	l := &listing{queued: make(map[string][]steps.Attempt), made: made, routes: make(map[string][]route), unread: make(map[route]int)}
	for _, s := range subjects {
		if tool, rung, run, a, ok := p.names.ParseStep(s); ok && p.owns(run) {
			of := route{tool, rung}
			l.queued[run], l.routes[run] = append(l.queued[run], a), append(l.routes[run], of)
			l.unread[of]++
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

// read notes that a run is read: what is queued of it counts as inside its door from now on.
func (l *listing) read(run string) {
	if l == nil {
		return
	}
	for _, of := range l.routes[run] {
		l.unread[of]--
	}
	delete(l.routes, run)
}

// full reports whether no more than so many may be queued of a rung, as far as it is known what is queued of runs that are not read yet.
func (l *listing) full(of route, most int) bool {
	return l != nil && (l.queued == nil || l.unread[of] >= most)
}

// outdated notes that a run leaves memory.
func (l *listing) outdated(run string) {
	if l != nil {
		l.old[run] = struct{}{}
	}
}
