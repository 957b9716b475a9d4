package sim

import (
	"bytes"
	"slices"
	"time"

	"belay/internal/steps"
)

// startedAfter is how long an attempt goes on before its worker says that it has begun.
const startedAfter = 200 * time.Millisecond

// begin executes the attempt, unless it is too late or not allowed any more.
func (h *hand) begin() {
	if h.stopped {
		h.neverBegun()
		return
	}
	if h.m.Claimed() && h.p.now.Sub(h.claimedAt) > steps.BeginsWithin && h.p.Broken != Unhurried {
		h.report(h.failed(steps.Fault{Class: steps.Unavailable, Acted: steps.ActedNo, Message: "never begun: too long after its claim"}, 0))
		return
	}
	if f := h.refuse(); f != nil {
		h.report(h.failed(*f, 0))
		return
	}
	if h.goesOn() {
		return
	}
	name := steps.AttemptName(Run, h.m.Attempt)
	call := Call{StepMessage: h.m, Execution: h.p.ran[name], Worker: h.worker}
	h.p.ran[name]++
	h.p.Calls = append(h.p.Calls, call)
	if h.p.over(h.m.Attempt) {
		h.p.Late = append(h.p.Late, call)
	}
	h.call = call
	h.unapproved = h.needsApproval() && (len(h.m.Grants) == 0 || !h.m.Continues && h.expired() || h.unproven())
	h.execute(h.p.World(call))
}

// expired reports whether an approval is used after its end, counted from when the log got it.
func (h *hand) expired() bool {
	for _, rec := range h.p.Log {
		d, is := rec.Event.(steps.Decided)
		if !is || d.Grant == nil {
			continue
		}
		for _, g := range h.m.Grants {
			if g.Nonce == d.Grant.Nonce && h.p.now.Sub(rec.Time) > g.Expires.Sub(g.Issued)+steps.BeginsWithin {
				return true
			}
		}
	}
	return false
}

// unproven reports whether an approval lacks what the passkey of the approver must have signed.
func (h *hand) unproven() bool {
	return h.p.Program.Tools[h.m.Tool].Approval.Proof == steps.ProofPasskey && slices.ContainsFunc(h.m.Grants, func(g steps.Grant) bool {
		return g.Passkey == nil || !bytes.Equal(g.Passkey.Signature, g.Challenge(h.p.Log[0].Time))
	})
}

// over reports whether the log has the end of an attempt.
func (p *play) over(a steps.Attempt) bool {
	i := p.truth.Unit(a.Step)
	return i < 0 || slices.ContainsFunc(p.truth.Units[i].Attempts, func(r steps.AttemptRecord) bool {
		return r.Round == a.Round && r.Rung == a.Rung && r.Try == a.Try && r.State != steps.AttemptQueued && r.State != steps.AttemptRunning
	})
}

func (h *hand) refuse() *steps.Fault {
	if !h.m.Deadline.IsZero() && !h.logTime(h.late).Before(h.m.Deadline) {
		return &steps.Fault{Class: steps.DeadlineExceeded, Acted: steps.ActedNo, Message: "the step's budget was used up before the attempt could start"}
	}
	if h.p.CheckInput == nil {
		return nil
	}
	if err := h.p.CheckInput(h.m.Tool, h.m.Params); err != nil {
		return &steps.Fault{Class: steps.InvalidInput, Acted: steps.ActedNo, Message: "the parameters do not fit the tool's input_schema: " + err.Error()}
	}
	return nil
}

// execute lets a call happen.
func (h *hand) execute(w Happens) {
	p := h.p
	h.busy = true
	if p.Broken == AckFirst {
		p.remove(h.m)
	}
	began := p.now
	p.say(h.worker, "calls %s", spoken(h.m))
	took, overdue := w.Took, false
	now := h.logTime(h.late)
	if end, ok := h.m.End(now); ok && end.Sub(now) < took {
		took, overdue = end.Sub(now), true
	}
	over := false
	if p.Ended != nil {
		over := took
		if w.Task {
			over = w.Took
		}
		call := h.call
		p.in(over, func() { p.Ended(call) })
	}
	h.ending = func(f *steps.Fault) {
		if !over {
			over = true
			h.busy = false
			p.in(p.hop(), func() { h.report(h.failed(*f, p.now.Sub(began))) })
		}
	}
	if w.Task {
		h.becomeTask(w)
	}
	if w.Acts && !w.Task && !w.Asks {
		half := took / 2
		if w.AtEnd {
			half = took - took/100
		}
		p.in(half, func() {
			if !over && !h.done {
				h.act()
			}
		})
	}
	h.sayStarted(took)
	h.befall(w.Worker, took)
	p.in(took, func() {
		if over || h.done {
			return
		}
		over, h.busy = true, false
		h.finish(w, took, overdue)
	})
}

// act is the effect of a call.
func (h *hand) act() {
	e := Effect{h.m.Step, h.m.Tool, h.p.Program.Tools[h.m.Tool].Effects, h.m.Key, h.m.Attempt, h.p.now, h.unapproved}
	h.p.Effects = append(h.p.Effects, e)
	if h.p.Options.Acted != nil {
		h.p.Options.Acted(e)
	}
	h.p.say("world", "%s has its effect (key %s)", h.m.Tool, h.m.Key)
}

// sayStarted has the log know of an attempt that takes a while.
func (h *hand) sayStarted(took time.Duration) {
	if took <= startedAfter || h.awaited || h.m.Claimed() {
		return
	}
	h.p.in(startedAfter, func() {
		if !h.done && h.busy {
			h.p.append(steps.Started{Attempt: h.m.Attempt, Worker: h.worker})
		}
	})
}

// befall lets the trouble happen to the worker.
func (h *hand) befall(t Trouble, took time.Duration) {
	p := h.p
	die := func(after time.Duration, forGood bool) {
		p.in(after, func() {
			if h.done {
				return
			}
			h.done, h.busy = true, false
			p.say(h.worker, "is killed in the middle of %s", short(h.m.Attempt))
			if forGood {
				p.gone[h.m.Tool+"/"+h.m.RungName] = true
			}
			p.silent(h)
		})
	}
	switch t {
	case KilledBefore:
		die(took/4, false)
	case KilledAfter:
		die(took*3/4, false)
	case KilledForGood:
		die(took*3/4, true)
	case CutOff:
		p.say(h.worker, "loses the server")
		p.silent(h)
	case DeliveredTwice:
		p.in(took/4, func() {
			if !h.done && p.there(h.it) {
				p.say("server", "delivers %s a second time", short(h.m.Attempt))
				p.deliver(h.it)
			}
		})
	}
}

// finish reports what came of a call.
func (h *hand) finish(w Happens, took time.Duration, overdue bool) {
	var outcome steps.Event
	switch {
	case overdue:
		outcome = h.failed(steps.Fault{Class: steps.Timeout, Acted: steps.ActedMaybe, Message: "no result within " + h.m.Timeout.String()}, took)
	case w.Asks:
		failed := h.failed(steps.Fault{Class: steps.NeedsHuman, Acted: steps.ActedMaybe, Message: "which one?"}, took)
		failed.Resume, failed.Question = &steps.Resume{Value: []byte(`"state"`), About: "the server's state"}, &steps.Question{Text: "which one?"}
		outcome = failed
	case w.Fault != nil:
		failed := h.failed(*w.Fault, took)
		failed.Usage = w.Usage
		outcome = failed
	default:
		outcome = steps.Succeeded{Attempt: h.m.Attempt, Worker: h.worker, Output: w.Output, Age: steps.Duration(w.Age), Usage: w.Usage, Started: h.p.now.Add(-took), Took: steps.Duration(took)}
	}
	switch w.Worker {
	case CutOff:
		h.p.in(2*h.p.AckWait, func() { h.report(outcome) })
	case ReportedTwice:
		h.report(outcome)
		h.p.in(time.Second, func() { h.p.append(outcome) })
	case AckLost:
		h.done = true
		h.p.surely(outcome, func() { h.p.silent(h) })
	default:
		h.report(outcome)
	}
}
