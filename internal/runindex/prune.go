package runindex

import (
	"context"
	"time"

	"belay/internal/wire"
)

const (
	pruneEvery = time.Hour
	pruneStep  = 256 // runs that are looked for in one round trip
)

// prune drops runs that another dispatcher has removed. Runs are removed in about the order in which they came, so it
// begins with the oldest and ends where none is missing.
func (x *Index) prune(ctx context.Context) error {
	for _, t := range x.parts {
		for from := 0; from >= 0; {
			next, err := x.pruneSome(ctx, t, from)
			if err != nil {
				return err
			}
			from = next
		}
	}
	return nil
}

// pruneSome looks at some ended runs from a place on, and gives the place behind them; -1 where there is no need to go on.
func (x *Index) pruneSome(ctx context.Context, t *part, from int) (next int, err error) {
	ids, next := t.endedFrom(from, pruneStep)
	subjects := make([]string, len(ids))
	for i, id := range ids {
		subjects[i] = x.names.Log(t.p, id, wire.KindResult)
	}
	found, err := x.bus.LastOf(ctx, t.stream, subjects)
	if err != nil || len(found) == len(ids) {
		return -1, err
	}
	there := make(map[string]bool, len(found))
	for _, e := range found {
		there[e.Subject] = true
	}
	var missing []string
	for i, id := range ids {
		if !there[subjects[i]] {
			missing = append(missing, id)
		}
	}
	x.drop(t, missing...)
	if t.hasShrunk(next) {
		return 0, nil
	}
	return next, nil
}

// endedFrom gives the ids of the ended runs from a place on, at most so many, and the place behind the last one.
func (t *part) endedFrom(place, most int) (ids []string, next int) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	for ; place < len(t.rows.all) && len(ids) < most; place++ {
		if w := &t.rows.all[place]; w.state != open && w.state != gone {
			ids = append(ids, string(t.rows.idOf(w)))
		}
	}
	return ids, place
}

// hasShrunk reports whether a place is behind all rows, since they were made dense.
func (t *part) hasShrunk(place int) bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return place > len(t.rows.all)
}
