package steps

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Happens is what a [Happening] is.
type Happens string

// What can happen by itself.
const (
	HappensRetry  Happens = "retry"  // its wait is over, and a worker may try it again
	HappensRung   Happens = "rung"   // it goes on with another rung
	HappensStart  Happens = "start"  // it begins, or is undone
	HappensAsk    Happens = "ask"    // people are asked, or asked again
	HappensTold   Happens = "told"   // people are told of what they are asked
	HappensSkip   Happens = "skip"   // it is skipped
	HappensFail   Happens = "fail"   // it fails, or the run does
	HappensEnd    Happens = "end"    // the run ends
	HappensAny    Happens = "open"   // what follows depends on what comes of it
	HappensNever  Happens = "never"  // nothing more happens until somebody acts
	HappensChange Happens = "change" // anything else
)

// Happening is one thing that will happen if nobody acts.
type Happening struct {
	At    *time.Time `json:"at"` // null for what has no time
	In    Duration   `json:"in"` // from when it was asked
	Step  string     `json:"step,omitempty"`
	Count int        `json:"count,omitempty"` // of items of which it is true
	What  Happens    `json:"what"`
	State RunState   `json:"state,omitempty"` // end: how
	Text  string     `json:"text"`
}

// mostForeseen bounds how far a forecast goes.
const mostForeseen = 48

// foresee runs a copy of s on: its timers fire, nobody decides, what is out now has no outcome, and what is started on
// the way works where that alone says how the run ends. Whatever depends on more than that is left open.
func foresee(s *State, o Foresight) []Happening {
	v := &seer{s: s.clone(), o: o, out: map[Attempt]bool{}, left: map[int]bool{}}
	v.s.Now = o.Now
	program := *s.Program
	program.Output = nil // outputs are not foreseen
	v.s.Program = &program
	for i := range s.Units {
		if u := &s.Units[i]; u.State.InQueue() && u.fan == nil {
			v.out[s.Attempt(i)] = true
			if u.giving == nil && !s.stopping(i) {
				v.retry(i)
			}
		}
	}
	v.run()
	slices.SortStableFunc(v.told, func(a, b Happening) int { return compare(a.At, b.At) })
	return v.told
}

// compare puts what has no time last.
func compare(a, b *time.Time) int {
	switch {
	case a == nil && b == nil:
		return 0
	case a == nil:
		return 1
	case b == nil:
		return -1
	}
	return a.Compare(*b)
}

// seer folds what will be.
type seer struct {
	s    *State
	o    Foresight
	out  map[Attempt]bool // attempts that are out when it is asked
	left map[int]bool     // units whose future is left open
	told []Happening

	expired map[int]bool // units with a question that has just run out
}

func (v *seer) run() {
	before := v.note()
	v.machines() // what is being taken back is taken back at once
	v.compare(before)
	for range mostForeseen {
		if v.s.final != "" {
			v.say(v.s.Now, Happening{What: HappensEnd, State: v.s.final, Text: "the run ends " + string(v.s.final) + v.from()})
			return
		}
		at, unserved := v.next()
		if at.IsZero() {
			v.rest()
			return
		}
		before := v.note()
		if unserved >= 0 {
			v.apply(at, Unserved{v.s.Attempt(unserved)})
		} else {
			v.apply(at, Fired{})
		}
		v.machines()
		v.compare(before)
	}
	v.say(time.Time{}, Happening{What: HappensAny, Text: "and so on"})
}

// from says which rungs a degraded end has its results from.
func (v *seer) from() string {
	if v.s.final != RunDegraded {
		return ""
	}
	var list []string
	for _, d := range v.s.DegradedSteps() {
		list = append(list, d.Step+" from rung "+d.Rung)
	}
	if more := len(list) - 3; more > 0 {
		list = append(list[:3], fmt.Sprintf("%d more", more))
	}
	return ": " + strings.Join(list, ", ")
}

func (v *seer) apply(at time.Time, e Event) {
	v.s, _ = Apply(v.s, Record{Seq: v.s.Seq + 1, Time: at, Run: v.s.Run, Event: e})
}

// next is when something happens by itself, and the unit that people are asked about then because no worker serves it,
// -1 where it is the timer. What is overdue happens now.
func (v *seer) next() (at time.Time, unserved int) {
	unserved = -1
	sooner := func(t time.Time, unit int) {
		if t = later(t, v.s.Now); at.IsZero() || t.Before(at) {
			at, unserved = t, unit
		}
	}
	for i := range v.s.Units {
		if due := v.s.unitDue(i); !due.IsZero() && !v.left[i] {
			sooner(due, -1)
		}
		if asks, ok := v.unserved(i); ok {
			sooner(asks, i)
		}
	}
	if due := v.s.runDue(); !due.IsZero() {
		sooner(due, -1)
	}
	return at, unserved
}

// unserved is when people are asked about an attempt that was out from the start and that no worker serves.
func (v *seer) unserved(i int) (time.Time, bool) {
	u := &v.s.Units[i]
	if !u.State.InQueue() || u.State == StepRunning || u.fan != nil || u.giving != nil || !v.out[v.s.Attempt(i)] {
		return time.Time{}, false
	}
	return v.o.unserved(v.s.Tool(i).Name, v.s.RungName(i))
}

// machines do what follows by itself: claims that are withdrawn are, and what was started works, or is left open.
func (v *seer) machines() {
	for again := true; again; {
		again = false
		w := Wants(v.s, nil)
		for _, m := range w.Withdraw {
			v.apply(v.s.Now, withdrawal(m))
			again = true
		}
		for _, m := range w.Steps {
			i, ok := v.s.Unit(m.Step), !v.out[m.Attempt]
			if !ok || v.left[i] {
				continue
			}
			if again = true; v.matters(i) {
				v.left[i] = true
				v.s.Units[i].Deadline = time.Time{} // its time may be over, or it may not come to that
				continue
			}
			v.apply(v.s.Now, Succeeded{Attempt: m.Attempt, Output: json.RawMessage("null")})
		}
	}
}

// withdrawal is what the log says once m is taken back.
func withdrawal(m StepMessage) Event {
	if m.Claimed() {
		return Claimed{Attempt: m.Attempt}
	}
	return Withdrawn{m.Attempt}
}

// matters reports whether more than that unit i works must be known to say what follows.
func (v *seer) matters(i int) bool {
	u := &v.s.Units[i]
	switch {
	case v.s.probing(i):
		return true
	case u.kind == undo:
		return false
	}
	for _, j := range v.s.Program.Nodes[u.Node].Dependents {
		if !v.s.Units[j].over() {
			return true
		}
	}
	return false
}

// retry tells of a wait that ends before it is tried again.
func (v *seer) retry(i int) {
	if u := &v.s.Units[i]; u.State != StepRunning && u.notBefore.After(v.o.Now) {
		v.say(u.notBefore, Happening{What: HappensRetry, Step: u.ID, Text: fmt.Sprintf("rung %s is tried again (try %d)", v.s.RungName(i), u.Try)})
	}
}

// rest tells how the forecast ends where the run does not.
func (v *seer) rest() {
	switch {
	case v.s.open > 0:
		v.say(time.Time{}, Happening{What: HappensNever, Text: "it waits without an end for a person"})
	case len(v.left) > 0:
		v.say(time.Time{}, Happening{What: HappensAny, Text: "what follows depends on what comes of that"})
	default:
		v.say(time.Time{}, Happening{What: HappensNever, Text: "it waits without an end for a worker"})
	}
}

// say tells of something that happens at a time, items that it happens to alike as one.
func (v *seer) say(at time.Time, h Happening) {
	if !at.IsZero() {
		h.At, h.In = moment(at), Duration(max(0, at.Sub(v.o.Now)))
	}
	if n := len(v.told); n > 0 && h.Step != "" && v.told[n-1].alike(h) {
		v.told[n-1].Step = stepOf(h.Step)
		v.told[n-1].Count = max(2, v.told[n-1].Count+1)
		return
	}
	v.told = append(v.told, h)
}

// alike reports whether two happen to items of one step at the same time.
func (h *Happening) alike(o Happening) bool {
	return stepOf(h.Step) == stepOf(o.Step) && o.Step != stepOf(o.Step) && h.What == o.What && h.Text == o.Text && compare(h.At, o.At) == 0
}
