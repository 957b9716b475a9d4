package turns

import (
	"cmp"
	"maps"
	"math"
	"slices"

	"belay/internal/steps"
)

// Past is what has gone, as far as it matters for who goes next. It is for those that wait in several places, and for whom a record says
// who has gone: whoever writes it puts them together, and goes on where the one before has stopped.
type Past struct {
	Gone int                              `json:"gone"`           // how many have
	Last [steps.Priorities]map[string]int `json:"last,omitempty"` // by priority: of the tenants that went of late, how many had gone then
}

// remembered is how many tenants of a priority are remembered; one that has gone before these is taken for a new one.
const remembered = 64

// After is the past once somebody has gone.
func (p Past) After(w *Place) Past {
	p.Gone++
	last := maps.Clone(p.Last[w.Of])
	if last == nil {
		last = map[string]int{}
	}
	last[w.Tenant] = p.Gone
	if len(last) > remembered {
		oldest, at := "", math.MaxInt
		for name, gone := range last {
			if gone < at {
				oldest, at = name, gone
			}
		}
		delete(last, oldest)
	}
	p.Last[w.Of] = last
	return p
}

// Ordered is a list in the order in which they go after a past.
func Ordered[T Standing](list []T, p Past) []T {
	q := Queue[T]{gone: p.Gone}
	for _, w := range list {
		q.Push(w)
	}
	for i := range q.by {
		q.by[i].order = q.by[i].inTurn(p.Last[i])
	}
	all := make([]T, 0, len(list))
	for w, ok := q.Pop(); ok; w, ok = q.Pop() {
		all = append(all, w)
	}
	return all
}

// First is the first of a queue, as many as n, in the order in which they go after a past. They go on waiting.
func (q *Queue[T]) First(n int, p Past) []T {
	some := make([]T, 0, n)
	for i := range q.by {
		order := q.by[i].inTurn(p.Last[i])
		for _, who := range order[:min(n, len(order))] {
			some = append(some, who.list[:min(n, len(who.list))]...)
		}
	}
	some = Ordered(some, p)
	return some[:min(n, len(some))]
}

// inTurn is the tenants of a priority, first the one that has not gone for longest.
func (r *ring[T]) inTurn(last map[string]int) []*tenant[T] {
	return slices.SortedFunc(slices.Values(r.order), func(a, b *tenant[T]) int {
		return cmp.Or(cmp.Compare(last[a.name], last[b.name]), a.list[0].Stands().before(b.list[0].Stands()), cmp.Compare(a.name, b.name))
	})
}
