package prove

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"belay/internal/plan"
	"belay/internal/steps"
	"belay/internal/stepstest"
	"belay/internal/wire"
)

// hostile plays a run against the core, with workers whose only aim is to make it as expensive as it can be. It does what
// a dispatcher and workers do: it executes what is wanted once its wait is over, loses workers, fires the timer when it
// is due, and takes back what the core wants back. It ends when the run has ended or only people can move it on.
type hostile struct {
	t       testing.TB
	run     string
	start   time.Time
	now     time.Time
	people  time.Duration // time that only people could have moved the run on
	state   *steps.State
	log     []steps.Record
	choose  func(h *hostile, m steps.StepMessage, delivery int) act
	calls   map[string]int // executions, by tool/rung
	used    map[string]int // faults that the greedy adversary has spent
	steps   int
	jitter  time.Duration // how much longer waits with jitter could have been
	instant bool          // waits with jitter take no time
	wide    bool          // models propose several calls at once, which are executed one after the other here: it takes longer than it may
}

// act is what a worker does with an attempt.
type act struct {
	lose    bool            // its worker dies, and the message is delivered again
	fault   *steps.Fault    // nil: it succeeds
	lasts   time.Duration   // how long it takes
	silence bool            // no outcome, ever
	says    json.RawMessage // the output; nil: one that means nothing
	usage   *steps.Usage    // what a model says that it took; nil: it does not count
}

func play(t testing.TB, run string, choose func(*hostile, steps.StepMessage, int) act) *hostile {
	return &hostile{t: t, run: run, start: stepstest.Start, now: stepstest.Start, choose: choose, calls: map[string]int{}, used: map[string]int{}}
}

// until plays a run of the plan.
func (h *hostile) until(doc *plan.Document) *hostile {
	h.add(steps.Submitted{Epoch: steps.Epoch, Program: doc.Program, Input: json.RawMessage(`{}`), By: "sue"})
	for h.steps = 0; h.steps < 20_000; h.steps++ {
		w := steps.Wants(h.state, nil)
		switch {
		case w.Result != nil:
			return h
		case len(w.Withdraw) > 0:
			h.withdraw(w.Withdraw[0])
		case len(w.Steps) > 0:
			h.work(next(w.Steps))
		case !w.Timer.IsZero() && !asksApproval(h.state, w.Escalations):
			h.people += w.Timer.Sub(h.now) // only a question has a timer here
			h.now = w.Timer
			h.add(steps.Fired{})
		case len(w.Escalations) > 0 && h.state.Escalations[w.Escalations[0]].Kind == steps.KindApproval:
			h.approve(w.Escalations[0])
		case len(w.Escalations) > 0 && h.state.Escalations[w.Escalations[0]].Kind == steps.KindLimit:
			h.add(steps.Decided{Escalation: h.state.Escalations[w.Escalations[0]].ID, Verb: steps.VerbAnswer, Answer: json.RawMessage(`{}`), By: "bo"})
		case len(w.Escalations) > 0 && slices.Contains(h.state.Escalations[w.Escalations[0]].Allowed, steps.VerbSkip):
			h.skip(h.state.Escalations[w.Escalations[0]])
		default:
			return h
		}
	}
	h.t.Fatalf("the run does not end")
	return h
}

func asksApproval(s *steps.State, open []int) bool {
	return len(open) > 0 && s.Escalations[open[0]].Kind == steps.KindApproval
}

func (h *hostile) approve(n int) {
	d := steps.Decided{Escalation: h.state.Escalations[n].ID, Verb: steps.VerbApprove, By: "bo"}
	grant, ok, err := steps.GrantFor(h.state, n, d)
	if !ok || err != nil {
		h.t.Fatalf("%v %v", ok, err)
	}
	d.Grant = &grant
	h.add(d)
}

// skip is how a person lets the run go on at the least cost: no attempt comes of it, and escalate_after counts anew.
func (h *hostile) skip(e steps.Escalation) {
	h.add(steps.Decided{Escalation: e.ID, Verb: steps.VerbSkip, By: "bo"})
	for key := range h.used {
		if strings.HasPrefix(key, "of ") {
			delete(h.used, key)
		}
	}
}

// next is the attempt that may begin first.
func next(list []steps.StepMessage) steps.StepMessage {
	return slices.MinFunc(list, func(a, b steps.StepMessage) int { return a.NotBefore.Compare(b.NotBefore) })
}

func (h *hostile) add(e steps.Event) {
	r := steps.Record{Seq: uint64(len(h.log) + 1), Time: h.now, Run: h.run, Event: e}
	h.log = append(h.log, r)
	h.state, _ = steps.Apply(h.state, r)
}

// pass lets time go on to at, with the timer fired when it is due, as long as is true. It reports whether it still is.
func (h *hostile) pass(at time.Time, as func() bool) bool {
	for {
		due := steps.Wants(h.state, nil).Timer
		if due.IsZero() || due.After(at) {
			break
		}
		h.now = due
		h.add(steps.Fired{})
		if !as() {
			return false
		}
	}
	if at.After(h.now) {
		h.now = at
	}
	return true
}

// wants reports whether attempt m is still wanted, or goes on though it is told to stop: these workers do not hear that.
func (h *hostile) wants(m steps.StepMessage) func() bool {
	return func() bool {
		w, i := steps.Wants(h.state, nil), h.state.Unit(m.Step)
		list := w.Steps
		if h.state.Units[i].State() == steps.StepRunning && h.state.Attempt(i) == m.Attempt { // else it is given up
			list = append(list, w.Stop...)
		}
		return slices.ContainsFunc(list, func(o steps.StepMessage) bool { return o.Attempt == m.Attempt })
	}
}

// withdraw takes an attempt back: at once by claiming it, else once every worker has heard of it.
func (h *hostile) withdraw(m steps.StepMessage) {
	still := func() bool {
		return slices.ContainsFunc(steps.Wants(h.state, nil).Withdraw, func(o steps.StepMessage) bool { return o.Attempt == m.Attempt })
	}
	if m.Claimed() || h.pass(h.now.Add(wire.HeardBy), still) {
		h.add(steps.Withdrawal(m))
	}
}

// work executes an attempt, once or, where its worker is lost, several times.
func (h *hostile) work(m steps.StepMessage) {
	wanted := h.wants(m)
	waited := !m.NotBefore.IsZero() && !h.instantly(m) // else it is the first delivery, whose log nobody reads
	if waited && !h.pass(m.NotBefore, wanted) {
		return
	}
	for delivery := 1; ; delivery++ {
		if waited || delivery > 1 {
			d := steps.Delivered{StepMessage: m, Redelivered: true, Now: h.now, InHandSince: h.now.Add(-time.Hour), AckWait: ackWait}
			switch v, _ := steps.VerdictOn(h.log, d); v {
			case steps.Execute:
				if delivery > 1 && !h.pass(h.now.Add(time.Second<<min(delivery-1, 2)), wanted) { // it rests before what has ended a worker
					return
				}
			case steps.ReportCrashed:
				h.add(steps.Failed{Attempt: m.Attempt, Worker: "w", Fault: steps.Fault{Class: steps.Crashed, Acted: steps.ActedMaybe, Message: "x"}})
				return
			case steps.ReportUnknown:
				h.add(steps.Failed{Attempt: m.Attempt, Worker: "w", Fault: steps.Fault{Class: steps.Unknown, Acted: steps.ActedMaybe, Message: "x"}})
				return
			default:
				h.t.Fatalf("%v of %+v", v, m.Attempt)
			}
		}
		h.begin(m, delivery)
		a := h.choose(h, m, delivery)
		end := h.now.Add(a.lasts)
		if a.silence || !m.Deadline.IsZero() && end.After(m.Deadline.Add(steps.RunningGrace)) {
			end = m.Deadline.Add(steps.RunningGrace)
		}
		if !h.pass(end, wanted) {
			return
		}
		if a.lose {
			if !h.pass(h.now.Add(ackWait), wanted) {
				return
			}
			continue
		}
		h.report(m, a)
		return
	}
}

// instantly reports whether the wait before m takes no time here: its jitter may be as short as that.
func (h *hostile) instantly(m steps.StepMessage) bool {
	u := &h.state.Units[h.state.Unit(m.Step)]
	for n := len(u.Attempts) - 2; n >= 0; n-- {
		if rec := &u.Attempts[n]; rec.Rung == m.Rung && rec.Try == m.Try-1 && rec.Fault != nil {
			return h.instant && rec.Fault.RetryAfter == 0
		}
	}
	return false
}

func (h *hostile) begin(m steps.StepMessage, delivery int) {
	if m.Claimed() {
		h.add(steps.Claimed{Attempt: m.Attempt, Worker: "w"})
	} else {
		h.add(steps.Started{Attempt: m.Attempt, Worker: "w", Delivery: fmt.Sprintf("%s-%d", m.Token(), delivery)})
	}
	h.calls[m.Tool+"/"+m.RungName]++
}

func (h *hostile) report(m steps.StepMessage, a act) {
	if a.fault == nil {
		if a.says == nil {
			a.says = json.RawMessage(`{"found":false}`)
		}
		h.add(steps.Succeeded{Attempt: m.Attempt, Worker: "w", Output: a.says, Usage: a.usage})
		return
	}
	f := *a.fault
	f.Message = "x"
	before := len(h.state.Units[h.state.Unit(m.Step)].Attempts)
	h.add(steps.Failed{Attempt: m.Attempt, Worker: "w", Fault: f})
	u := &h.state.Units[h.state.Unit(m.Step)]
	if len(u.Attempts) > before && f.RetryAfter == 0 { // tried once more: the wait had jitter
		n := 0
		for _, rec := range u.Attempts {
			if rec.Rung == m.Rung && rec.Round == m.Round && rec.Fault != nil && rec.Fault.Class == f.Class && rec.Fault.RetryAfter == 0 {
				n++
			}
		}
		if last := u.Attempts[len(u.Attempts)-1]; last.Rung == m.Rung {
			h.jitter += h.state.Tool(h.state.Unit(m.Step)).Rung(m.Rung).Retry.Bound(f.Class, n) - time.Duration(last.Wait)
		}
	}
}

// attempts counts what the core has asked workers for, by tool/rung.
func (h *hostile) attempts() map[string]int {
	n := map[string]int{}
	for i := range h.state.Units {
		for _, rec := range h.state.Units[i].Attempts {
			if rec.State != steps.AttemptAsked && h.state.Tool(i).Rung(rec.Rung).Human == nil {
				n[h.state.Tool(i).Name+"/"+h.state.Tool(i).Rung(rec.Rung).Name]++
			}
		}
	}
	return n
}

func (h *hostile) worked() time.Duration { return h.now.Sub(h.start) - h.people }

func sum(m map[string]int) (n int) {
	for _, v := range m {
		n += v
	}
	return n
}

// story is the log of a run in a few lines, for messages.
func (h *hostile) story() string {
	var b strings.Builder
	for _, r := range h.log {
		fmt.Fprintf(&b, "%8s %T %+v\n", r.Time.Sub(h.start), r.Event, r.Event)
		if b.Len() > 6000 {
			b.WriteString("...")
			break
		}
	}
	return b.String()
}
