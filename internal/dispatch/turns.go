package dispatch

import (
	"slices"
	"sync/atomic"
	"time"

	"belay/internal/steps"
)

// turns is what waits for its turn: first by priority, then the tenants by turns, then whoever waits longest. So that none waits for
// ever, of eight that go one comes from the other end of the priorities, and one from their middle.
type turns struct {
	by   [steps.Priorities]ring
	n    int // that wait
	gone int // that have gone
	seen *outside
}

// outside is how many wait of a rung, by priority, in all partitions of this dispatcher.
type outside [steps.Priorities]atomic.Int64

// rhythm is in which order the priorities are looked at, for one after the other of those that go.
var rhythm = [8][steps.Priorities]steps.Priority{
	{steps.PriorityPeople, steps.PriorityNew, steps.PriorityRedone}, {steps.PriorityPeople, steps.PriorityNew, steps.PriorityRedone}, {steps.PriorityPeople, steps.PriorityNew, steps.PriorityRedone},
	{steps.PriorityNew, steps.PriorityRedone, steps.PriorityPeople},
	{steps.PriorityPeople, steps.PriorityNew, steps.PriorityRedone}, {steps.PriorityPeople, steps.PriorityNew, steps.PriorityRedone}, {steps.PriorityPeople, steps.PriorityNew, steps.PriorityRedone},
	{steps.PriorityRedone, steps.PriorityNew, steps.PriorityPeople},
}

// ring is what waits of one priority: the tenants, of which the next one is at the front.
type ring struct {
	order []*tenant
	named map[string]*tenant
}

// tenant is what waits of one tenant, whoever waits longest first.
type tenant struct {
	name string
	list []*turn
}

// turn is an attempt that waits for its turn.
type turn struct {
	run     string
	attempt steps.Attempt
	tenant  string
	of      steps.Priority
	since   time.Time // when the log has it queued
	door    *door
	over    bool // it waits no more
}

func (t *turns) push(w *turn) {
	r := &t.by[w.of]
	who := r.named[w.tenant]
	if who == nil {
		if r.named == nil {
			r.named = map[string]*tenant{}
		}
		who = &tenant{name: w.tenant}
		r.named[w.tenant] = who
		r.order = append(r.order, who)
	}
	i := len(who.list)
	for i > 0 && who.list[i-1].since.After(w.since) {
		i--
	}
	who.list = slices.Insert(who.list, i, w)
	t.n++
	t.seen[w.of].Add(1)
}

// leave is for an attempt that waits no more, though it did not go.
func (t *turns) leave(w *turn) {
	if !w.over {
		t.ends(w)
	}
}

func (t *turns) ends(w *turn) {
	w.over = true
	t.n--
	t.seen[w.of].Add(-1)
}

// pop is whoever goes next; nil where nobody waits.
func (t *turns) pop() *turn {
	for _, of := range rhythm[t.gone%len(rhythm)] {
		if w := t.by[of].pop(); w != nil {
			t.ends(w)
			t.gone++
			return w
		}
	}
	return nil
}

func (r *ring) pop() *turn {
	for len(r.order) > 0 {
		who := r.order[0]
		r.order = r.order[1:]
		w := who.next()
		if len(who.list) > 0 {
			r.order = append(r.order, who)
		} else {
			delete(r.named, who.name)
		}
		if w != nil {
			return w
		}
	}
	return nil
}

// next takes the first one that waits.
func (w *tenant) next() *turn {
	for len(w.list) > 0 {
		t := w.list[0]
		w.list[0] = nil
		if w.list = w.list[1:]; !t.over {
			return t
		}
	}
	return nil
}
