package view

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"belay/internal/steps"
)

// Happens says what kind of [Happening] it is.
type Happens string

// What can happen by itself.
const (
	HappensRetry    Happens = "retry"  // its wait is over, and a worker may try it again
	HappensRung     Happens = "rung"   // it goes on with another rung
	HappensStart    Happens = "start"  // it begins, or is undone
	HappensAsk      Happens = "ask"    // people are asked, or asked again
	HappensNotified Happens = "told"   // people get a notice
	HappensSkip     Happens = "skip"   // it is skipped
	HappensFail     Happens = "fail"   // it fails, or the run does
	HappensEnd      Happens = "end"    // the run ends
	HappensAny      Happens = "open"   // what follows depends on what comes of it
	HappensNever    Happens = "never"  // nothing more happens until somebody acts
	HappensChange   Happens = "change" // anything else
)

// Happening is one thing that will happen if nobody acts.
type Happening struct {
	At    *time.Time     `json:"at"`              // null where no time is known
	In    steps.Duration `json:"in"`              // from Why.At, in seconds
	Step  string         `json:"step,omitempty"`  // empty: the run itself
	Count int            `json:"count,omitempty"` // how many items it happens to; 0 = one unit
	What  Happens        `json:"what"`            // in one word
	State steps.RunState `json:"state,omitempty"` // end: how
	Text  string         `json:"text"`            // in words
}

// mostForeseen bounds how many events ahead a forecast goes.
const mostForeseen = 48

// foresee folds a copy of s on: its timers fire, nobody decides, what is out now has no outcome, and what is started on the
// way succeeds where nothing else needs to be known to say how the run ends. Whatever depends on more is left open.
func foresee(s *steps.State, o Foresight) []Happening {
	v := &seer{s: s.Clone(), o: o, out: map[steps.Attempt]bool{}, left: map[int]bool{}}
	v.s.Now = o.Now
	program := *s.Program
	program.Output = nil // outputs are not foreseen
	v.s.Program = &program
	for i := range s.Units {
		if u := &s.Units[i]; u.State().InQueue() && !u.FannedOut() {
			v.out[s.Attempt(i)] = true
			if !u.Recalled() && !s.Stopping(i) {
				v.retry(i)
			}
		}
	}
	v.run()
	if st := v.s.Status(); st.Ended() { // a retry that was to come after the end does not come
		v.list = slices.DeleteFunc(v.list, func(h Happening) bool { return h.What == HappensRetry && h.At.After(v.s.Ended) })
	}
	slices.SortStableFunc(v.list, func(a, b Happening) int { return compare(a.At, b.At) })
	return v.list
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

// seer folds what will happen.
type seer struct {
	s    *steps.State
	o    Foresight
	out  map[steps.Attempt]bool // attempts that are out when it is asked
	left map[int]bool           // units whose future is left open
	list []Happening

	expired map[int]bool // units with an escalation that has just expired
}

func (v *seer) run() {
	before := v.note()
	v.machines() // what is being recalled is withdrawn at once
	v.compare(before)
	for range mostForeseen {
		if st := v.s.Status(); st.Ended() {
			v.say(v.s.Now, Happening{What: HappensEnd, State: st, Text: "the run ends " + string(st) + v.from()})
			return
		}
		at, unserved := v.next()
		if at.IsZero() {
			v.rest()
			return
		}
		before := v.note()
		if unserved >= 0 {
			v.apply(at, steps.Unserved{Attempt: v.s.Attempt(unserved)})
		} else {
			v.apply(at, steps.Fired{})
		}
		v.machines()
		v.compare(before)
	}
	v.say(time.Time{}, Happening{What: HappensAny, Text: "and so on"})
}

// from says which rungs the results of a degraded run come from.
func (v *seer) from() string {
	if v.s.Status() != steps.RunDegraded {
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

func (v *seer) apply(at time.Time, e steps.Event) {
	v.s, _ = steps.Apply(v.s, steps.Record{Seq: v.s.Seq + 1, Time: at, Run: v.s.Run, Event: e})
}

// next is when something happens without anybody acting, and the unit that people are then asked about because no worker
// serves it, -1 where the timer fires. What is overdue happens now.
func (v *seer) next() (at time.Time, unserved int) {
	unserved = -1
	sooner := func(t time.Time, unit int) {
		if t = later(t, v.s.Now); at.IsZero() || t.Before(at) {
			at, unserved = t, unit
		}
	}
	for i := range v.s.Units {
		if due := v.s.UnitDue(i); !due.IsZero() && !v.left[i] {
			sooner(due, -1)
		}
		if asks, ok := v.unserved(i); ok {
			sooner(asks, i)
		}
	}
	if due := v.s.RunDue(); !due.IsZero() {
		sooner(due, -1)
	}
	return at, unserved
}

// unserved is when people are asked about an attempt that was out from the start and that no worker serves.
func (v *seer) unserved(i int) (time.Time, bool) {
	u := &v.s.Units[i]
	if !u.State().InQueue() || u.State() == steps.StepRunning || u.FannedOut() || u.Recalled() || !v.out[v.s.Attempt(i)] {
		return time.Time{}, false
	}
	return v.o.unserved(v.s.Tool(i).Name, v.s.RungName(i))
}

// machines do what follows without people: recalled attempts are withdrawn, and what was started succeeds or is left open.
func (v *seer) machines() {
	for more := true; more; {
		more = false
		w := steps.Wants(v.s, nil)
		for _, m := range w.Withdraw {
			v.apply(v.s.Now, steps.Withdrawal(m))
			more = true
		}
		for _, m := range w.Steps {
			i, ok := v.s.Unit(m.Step), !v.out[m.Attempt]
			if !ok || v.left[i] {
				continue
			}
			if more = true; v.matters(i) {
				v.left[i] = true
				v.s.Units[i].Deadline = time.Time{} // its time may be over, or it may not come to that
				continue
			}
			v.apply(v.s.Now, steps.Succeeded{Attempt: m.Attempt, Output: json.RawMessage("null")})
		}
	}
}

// matters reports whether more must be known about unit i than that it succeeds to say what follows.
func (v *seer) matters(i int) bool {
	u := &v.s.Units[i]
	switch {
	case v.s.Probing(i):
		return true
	case u.IsUndo():
		return false
	}
	for _, j := range v.s.Program.Nodes[u.Node].Dependents {
		if !v.s.Units[j].Over() {
			return true
		}
	}
	return false
}

// retry says when the wait of unit i ends.
func (v *seer) retry(i int) {
	if u := &v.s.Units[i]; u.State() != steps.StepRunning && u.NotBefore().After(v.o.Now) {
		v.say(u.NotBefore(), Happening{What: HappensRetry, Step: u.ID, Text: fmt.Sprintf("rung %s is tried again (try %d)", v.s.RungName(i), u.Try)})
	}
}

// rest says how the forecast ends where the run does not.
func (v *seer) rest() {
	switch {
	case len(openEscalations(v.s)) > 0:
		v.say(time.Time{}, Happening{What: HappensNever, Text: "it waits without an end for a person"})
	case len(v.left) > 0:
		v.say(time.Time{}, Happening{What: HappensAny, Text: "what follows depends on what comes of that"})
	case v.s.HeldBack() > 0:
		v.say(time.Time{}, Happening{What: HappensNever, Text: "it waits without an end until nothing holds it back"})
	default:
		v.say(time.Time{}, Happening{What: HappensNever, Text: "it waits without an end for a worker"})
	}
}

// say adds something that happens at a time. Items to which the same happens become one.
func (v *seer) say(at time.Time, h Happening) {
	if !at.IsZero() {
		h.At, h.In = moment(at), steps.Duration(max(0, at.Sub(v.o.Now)))
	}
	if n := len(v.list); n > 0 && h.Step != "" && v.list[n-1].alike(h) {
		v.list[n-1].Step = stepOf(h.Step)
		v.list[n-1].Count = max(2, v.list[n-1].Count+1)
		return
	}
	v.list = append(v.list, h)
}

// alike reports whether the same happens to two items of one step at the same time.
func (h *Happening) alike(o Happening) bool {
	return stepOf(h.Step) == stepOf(o.Step) && o.Step != stepOf(o.Step) && h.What == o.What && h.Text == o.Text && compare(h.At, o.At) == 0
}
