package worker

import (
	"time"

	"belay/internal/steps"
)

// approvalNeeded reports whether the call in hand needs a person's approval, by the worker's own tools file. Parameters
// that two readers could take for two different things always do: the condition might see one, and the tool the other.
func (j *job) approvalNeeded() bool {
	if j.rung.Held == nil || mutant("no-approval") {
		return false
	}
	canonical, err := steps.Canonical(j.m.Params)
	if err != nil {
		return true
	}
	j.m.Params = canonical // what is judged is what is executed, byte for byte
	return j.rung.Held(canonical)
}

// guard is what the call is checked with.
func (j *job) guard() steps.Guard {
	return steps.Guard{
		Tool: j.rung.Tool, Needed: true, Now: time.Now(),
		Check: func(g steps.Grant) error { return j.Keys.Check(j.life, g) },
	}
}

// notApproved is the fault of a call that is not the one that was approved, or on whose approval something else was
// done, which only the run's log tells; nil lets it pass.
func (j *job) notApproved(log []steps.Record) *steps.Fault {
	f := j.guard().Refuse(j.m, log)
	if f != nil {
		j.Observer.Refused(j.m, *f)
		j.Log.Error("refused a step message", "attempt", j.name(), "tool", j.m.Tool, "rung", j.m.RungName, "error", f.Message)
	}
	return f
}

// asApproved reports whether the call may go on. If not, the message has been dealt with.
func (j *job) asApproved(log []steps.Record) bool {
	f := j.notApproved(log)
	if f != nil {
		j.report(j.failed(*f, 0))
	}
	return f == nil
}

// approvalUnused is asked once the attempt is claimed: of two attempts on one approval at least one then sees the other.
func (j *job) approvalUnused() bool {
	log, err := j.readLog()
	if err != nil {
		j.report(j.failed(steps.Fault{Class: steps.Unavailable, Acted: steps.ActedNo, Message: "the run's log cannot be read, so the approval cannot be checked: " + err.Error()}, 0))
		return false
	}
	return j.asApproved(log)
}
