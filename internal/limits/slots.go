package limits

import (
	"slices"
	"time"

	"belay/internal/steps"
	"belay/internal/turns"
)

// Slots is what all dispatchers know of a limit on calls in hand at once: the attempts that have one of its slots, and those that wait
// for one. An attempt has its slot from before it is queued until its run's log says that it is over, whatever becomes of the
// dispatcher or the worker: so there are never more calls in hand than slots.
type Slots struct {
	V      int         `json:"v"`
	Name   string      `json:"name"`           // of the limit
	Covers string      `json:"covers"`         // what it counts, in words
	Most   int         `json:"most"`           // how many slots it has, by the run that has asked last
	Calls  []Slot      `json:"calls"`          // first the one that is taken longest
	Waits  []Waiter    `json:"waits"`          // first the one that goes next; of each partition at most as many as [named] says
	More   map[int]int `json:"more,omitempty"` // by partition: how many wait behind those
	Past   turns.Past  `json:"past"`           // who has got one
}

// Slot is taken by an attempt.
type Slot struct {
	Attempt string    `json:"attempt"` // as [steps.AttemptName] has it
	Since   time.Time `json:"since"`   // when it got the slot
}

// Waiter is an attempt that waits for a slot.
type Waiter struct {
	Attempt  string    `json:"attempt"`
	Since    time.Time `json:"since"`              // since when it could be executed
	Most     int       `json:"most"`               // slots of the limit, as its run was submitted
	Priority string    `json:"priority,omitempty"` // people, new or redone: in this order they go
	Tenant   string    `json:"tenant,omitempty"`   // the value of the label that says whose its run is
}

// standing is a waiter at its place.
type standing struct {
	turns.Place
	Waiter
}

func (w Waiter) stands() *standing {
	return &standing{turns.Place{Of: steps.PriorityNamed(w.Priority), Tenant: w.Tenant, Since: w.Since, Name: w.Attempt}, w}
}

// line is those that wait in a partition.
type line struct {
	turns.Queue[*standing]
	by map[string]*standing // by attempt
}

func newLine() *line { return &line{by: map[string]*standing{}} }

// stand has an attempt wait, unless it does.
func (l *line) stand(w Waiter) {
	if l.by[w.Attempt] == nil {
		s := w.stands()
		l.by[w.Attempt] = s
		l.Push(s)
	}
}

// leave has an attempt wait no more.
func (l *line) leave(attempt string) {
	if s := l.by[attempt]; s != nil {
		delete(l.by, attempt)
		l.Leave(s)
	}
}

// named is how many of those that wait in a partition everybody knows by name.
const named = 32

// turn is what one dispatcher has to say about a limit.
type turn struct {
	over  map[string]bool // attempts that need their slot no more
	lines map[int]queue   // by partition that it has: all that wait there
}

// queue is those that wait in a partition.
type queue struct {
	first []Waiter // the first ones, at most as many as [named] says
	more  int      // how many wait behind those
}

// queueOf is a line in short, after those that have got a slot.
func queueOf(l *line, past turns.Past) queue {
	q := queue{more: l.Len()}
	for _, w := range l.First(named, past) {
		q.first = append(q.first, w.Waiter)
		q.more--
	}
	return q
}

// next is what follows: slots are given back, and those that are free go to whoever goes next, in whichever partition. An attempt
// gets one only while fewer are taken than its own run knows of, and nobody passes whoever goes next.
func (s Slots) next(t turn, partition func(attempt string) int, now time.Time) Slots {
	n := s
	n.Calls, n.Waits, n.More = []Slot{}, []Waiter{}, map[int]int{}
	has := map[string]bool{}
	for _, x := range s.Calls {
		if !t.over[x.Attempt] {
			n.Calls = append(n.Calls, x)
			has[x.Attempt] = true
		}
	}
	waits := func(w Waiter) bool { return !has[w.Attempt] && !t.over[w.Attempt] }
	for _, w := range s.Waits {
		if _, own := t.lines[partition(w.Attempt)]; !own && waits(w) {
			n.Waits = append(n.Waits, w)
		}
	}
	for p, more := range s.More {
		if _, own := t.lines[p]; !own {
			n.More[p] = more
		}
	}
	for p, line := range t.lines {
		n.Waits = append(n.Waits, slices.DeleteFunc(slices.Clone(line.first), func(w Waiter) bool { return !waits(w) })...)
		if line.more > 0 {
			n.More[p] = line.more
		}
	}
	free, all := 0, ordered(n.Waits, n.Past)
	for free < len(all) && len(n.Calls) < all[free].Most {
		n.Calls = append(n.Calls, Slot{all[free].Attempt, now})
		n.Past = n.Past.After(&all[free].Place)
		free++
	}
	n.Waits = []Waiter{}
	for _, w := range all[free:] {
		n.Waits = append(n.Waits, w.Waiter)
	}
	return n
}

// ordered is those that wait in the order in which they go.
func ordered(list []Waiter, past turns.Past) []*standing {
	all := make([]*standing, len(list))
	for i, w := range list {
		all[i] = w.stands()
	}
	return turns.Ordered(all, past)
}

// waiting is how many wait.
func (s *Slots) waiting() int {
	n := len(s.Waits)
	for _, more := range s.More {
		n += more
	}
	return n
}

// same reports whether two say the same about who has a slot and who waits.
func (s *Slots) same(o *Slots) bool {
	slot := func(a, b Slot) bool { return a.Attempt == b.Attempt }
	waiter := func(a, b Waiter) bool { return a.Attempt == b.Attempt && a.Most == b.Most }
	if len(s.More) != len(o.More) {
		return false
	}
	for p, n := range s.More {
		if o.More[p] != n {
			return false
		}
	}
	return s.Most == o.Most && slices.EqualFunc(s.Calls, o.Calls, slot) && slices.EqualFunc(s.Waits, o.Waits, waiter)
}
