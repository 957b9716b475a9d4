package turns

import (
	"cmp"
	"slices"
	"time"

	"belay/internal/steps"
)

// Place is by what it is decided when somebody goes that waits. It does not change while somebody waits.
type Place struct {
	Of     steps.Priority
	Tenant string
	Since  time.Time // since when it could go
	Name   string    // tells those apart that could go since the same time; may be empty
}

// Stands is the place itself.
func (p *Place) Stands() *Place { return p }

// before is the order of a tenant's, within a priority.
func (p *Place) before(o *Place) int {
	return cmp.Or(p.Since.Compare(o.Since), cmp.Compare(p.Name, o.Name))
}

// Standing is who waits at a [Place].
type Standing interface {
	comparable
	Stands() *Place
}

// Counts is how many there are of each priority.
type Counts [steps.Priorities]int

// Sum is how many there are of all.
func (c Counts) Sum() (n int) {
	for _, of := range c {
		n += of
	}
	return n
}

// First is the priority that goes first of those of which there is any; false: there is none.
func (c Counts) First() (steps.Priority, bool) {
	for of, n := range c {
		if n > 0 {
			return steps.Priority(of), true
		}
	}
	return 0, false
}

// rhythm is in which order the priorities are looked at, for one after the other of those that go. So that none waits for ever, of eight
// that go one comes from the other end of the priorities, and one from their middle.
var rhythm = [8][steps.Priorities]steps.Priority{
	{steps.PriorityPeople, steps.PriorityNew, steps.PriorityRedone}, {steps.PriorityPeople, steps.PriorityNew, steps.PriorityRedone}, {steps.PriorityPeople, steps.PriorityNew, steps.PriorityRedone},
	{steps.PriorityNew, steps.PriorityRedone, steps.PriorityPeople},
	{steps.PriorityPeople, steps.PriorityNew, steps.PriorityRedone}, {steps.PriorityPeople, steps.PriorityNew, steps.PriorityRedone}, {steps.PriorityPeople, steps.PriorityNew, steps.PriorityRedone},
	{steps.PriorityRedone, steps.PriorityNew, steps.PriorityPeople},
}

// Queue is those that wait. The zero value is one in which nobody does.
type Queue[T Standing] struct {
	by    [steps.Priorities]ring[T]
	count Counts
	gone  int // that have gone
}

// ring is those of one priority: the tenants, of which the next one is at the front.
type ring[T Standing] struct {
	order []*tenant[T]
	named map[string]*tenant[T]
}

// tenant is those of one tenant, whoever waits longest first.
type tenant[T Standing] struct {
	name string
	list []T
}

// Len is how many wait.
func (q *Queue[T]) Len() int { return q.count.Sum() }

// Counts is how many wait of each priority.
func (q *Queue[T]) Counts() Counts { return q.count }

// Push has somebody wait.
func (q *Queue[T]) Push(w T) {
	at := w.Stands()
	r := &q.by[at.Of]
	who := r.named[at.Tenant]
	if who == nil {
		if r.named == nil {
			r.named = map[string]*tenant[T]{}
		}
		who = &tenant[T]{name: at.Tenant}
		r.named[at.Tenant] = who
		r.order = append(r.order, who)
	}
	i := len(who.list)
	for i > 0 && who.list[i-1].Stands().before(at) > 0 {
		i--
	}
	who.list = slices.Insert(who.list, i, w)
	q.count[at.Of]++
}

// Leave has somebody wait no more who did not go, and reports whether that one waited.
func (q *Queue[T]) Leave(w T) bool {
	at := w.Stands()
	r := &q.by[at.Of]
	who := r.named[at.Tenant]
	if who == nil {
		return false
	}
	i, _ := slices.BinarySearchFunc(who.list, at, func(x T, at *Place) int { return x.Stands().before(at) })
	for i < len(who.list) && who.list[i] != w && who.list[i].Stands().before(at) == 0 {
		i++
	}
	if i == len(who.list) || who.list[i] != w {
		return false
	}
	who.list = slices.Delete(who.list, i, i+1)
	q.count[at.Of]--
	if len(who.list) == 0 {
		delete(r.named, who.name)
		r.order = slices.DeleteFunc(r.order, func(x *tenant[T]) bool { return x == who })
	}
	return true
}

// Next is whoever goes next; false: nobody waits.
func (q *Queue[T]) Next() (w T, ok bool) {
	of, ok := q.next()
	if !ok {
		return w, false
	}
	return q.by[of].order[0].list[0], true
}

// Pop is whoever goes next, who waits no more then; false: nobody waits.
func (q *Queue[T]) Pop() (w T, ok bool) {
	of, ok := q.next()
	if !ok {
		return w, false
	}
	q.gone++
	q.count[of]--
	return q.by[of].pop(), true
}

// next is of which priority the next one is.
func (q *Queue[T]) next() (steps.Priority, bool) {
	for _, of := range rhythm[q.gone%len(rhythm)] {
		if q.count[of] > 0 {
			return of, true
		}
	}
	return 0, false
}

// pop takes the first of the tenant whose turn it is.
func (r *ring[T]) pop() T {
	who := r.order[0]
	r.order = r.order[1:]
	var none T
	w := who.list[0]
	who.list[0] = none
	if who.list = who.list[1:]; len(who.list) > 0 {
		r.order = append(r.order, who)
	} else {
		delete(r.named, who.name)
	}
	return w
}
