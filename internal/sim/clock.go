package sim

import (
	"container/heap"
	"time"
)

// agenda is what will happen, by time; what happens at the same time happens in the order in which it was put there.
type agenda struct {
	list []*entry
	n    int
}

type entry struct {
	at time.Time
	n  int
	do func()
}

func (a *agenda) Len() int { return len(a.list) }
func (a *agenda) Less(i, j int) bool {
	if a.list[i].at.Equal(a.list[j].at) {
		return a.list[i].n < a.list[j].n
	}
	return a.list[i].at.Before(a.list[j].at)
}
func (a *agenda) Swap(i, j int) { a.list[i], a.list[j] = a.list[j], a.list[i] }
func (a *agenda) Push(x any)    { a.list = append(a.list, x.(*entry)) }
func (a *agenda) Pop() any {
	last := len(a.list) - 1
	e := a.list[last]
	a.list = a.list[:last]
	return e
}

// ahead is how far somebody's clock is ahead of the server's now.
func (p *play) ahead(who string) time.Duration {
	if p.Ahead == nil {
		return 0
	}
	return p.Ahead(who, p.now)
}

// at has something happen at a time, or now if that has passed.
func (p *play) at(t time.Time, do func()) {
	if t.Before(p.now) {
		t = p.now
	}
	p.agenda.n++
	heap.Push(&p.agenda, &entry{t, p.agenda.n, do})
}

// in has something happen after a while.
func (p *play) in(d time.Duration, do func()) { p.at(p.now.Add(d), do) }

// Bounds of a play. A run that is not over by then goes on for ever.
const (
	mostSteps = 200_000
	longest   = 60 * 24 * time.Hour
)

// run lets things happen until nothing is left to happen, or the run's end is in the log. It returns false if there is no end.
func (p *play) run() bool {
	end := p.now.Add(longest)
	for n := 0; p.agenda.Len() > 0; n++ {
		if n > mostSteps || p.now.After(end) {
			return false
		}
		e := heap.Pop(&p.agenda).(*entry)
		p.now = e.at
		e.do()
	}
	return true
}
