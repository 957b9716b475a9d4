package worker

import (
	"context"
	"errors"
	"time"

	"belay/internal/bus"
	"belay/internal/executor"
	"belay/internal/steps"
)

// approvalNeeded reports whether the call in hand needs a person's approval, by the worker's own tools file. Parameters that
// can be read in two ways always need one: the condition might see one, and the tool the other.
func (j *job) approvalNeeded() bool {
	if j.rung.NeedsApproval == nil || mutant("no-approval") {
		return false
	}
	canonical, err := steps.Canonical(j.m.Params)
	if err != nil {
		return true
	}
	j.m.Params = canonical // what is checked is what is executed, byte for byte
	need, otherwise := j.rung.NeedsApproval(canonical, true), j.rung.NeedsApproval(canonical, false)
	if need != otherwise && !j.untrusted() {
		return otherwise
	}
	return need
}

// trust is what the run's log has said about what a call is made from, once it is read.
type trust struct{ read, untrusted bool }

// untrusted reports whether the call in hand is made from what nobody vouches for, by the run's own log. It is where that
// cannot be read, and then the call is not made now.
func (j *job) untrusted() bool {
	if j.trust.read {
		return j.trust.untrusted
	}
	err := j.withState(func(s *steps.State) { j.trust.untrusted = s.Untrusted(j.m.Step) })
	if err != nil {
		j.unchecked = err
		return true
	}
	j.trust.read = true
	return j.trust.untrusted
}

// guard returns what the call is checked against.
func (j *job) guard() steps.Guard {
	c, here := j.clock(), time.Now()
	return steps.Guard{Tool: j.rung.Tool, Needed: true, Now: c.Earliest(here), Within: 2 * c.Within(), Check: j.genuine, Passkey: j.passkey}
}

// genuine checks an approval's signature. A key that cannot be read now says nothing about it.
func (j *job) genuine(g steps.Grant) error { return j.known(j.Keys.Check(j.life, g)) }

// passkey checks what the approver's passkey has signed.
func (j *job) passkey(g steps.Grant, challenge []byte) error {
	if j.Passkeys == nil {
		return errors.New("this worker trusts no passkey: give it what `dispatcher passkeys export` writes (--passkeys FILE)")
	}
	return j.known(j.Passkeys.Check(j.life, g, challenge))
}

// known notes an error that says nothing about an approval, because what it is checked with cannot be read now.
func (j *job) known(err error) error {
	if errors.Is(err, bus.ErrUnreachable) || errors.Is(err, bus.ErrUncertain) || errors.Is(err, context.DeadlineExceeded) {
		j.unchecked = err
	}
	return err
}

// showGrants has the service that is called see what people have approved. What they have approved is sent byte for byte.
//
//go:noinline
func (j *job) showGrants(req *executor.Request) {
	if len(j.m.Grants) == 0 || j.asks != nil || j.rung.Tool == nil {
		return
	}
	canonical, err := steps.Canonical(j.m.Params)
	if err != nil {
		return
	}
	m := *j.m
	m.Params = canonical
	if req.Grant = executor.GrantHeader(j.rung.Tool, m); req.Grant != "" {
		req.Params = canonical
	}
}

// notNow is for a call whose approval could not be checked: that is no refusal. What is claimed is nobody else's, so it is
// reported.
func (j *job) notNow() {
	j.Logger.Warn("an approval cannot be checked now, so the call is not made", "attempt", j.name(), "error", j.unchecked)
	if j.worker == j.Name {
		j.park(time.Second)
		return
	}
	j.report(j.failed(j.cannotCheck(), 0))
}

func (j *job) cannotCheck() steps.Fault {
	return steps.Fault{Class: steps.Unavailable, Acted: steps.ActedNo, Message: "the approval cannot be checked: " + j.unchecked.Error()}
}

// refused says that a call is not made that nobody has approved, or that nobody has asked for.
func (j *job) refused(f steps.Fault) {
	j.Observer.Refused(*j.m, f)
	j.Logger.Error("refused a step message", "attempt", j.name(), "tool", j.m.Tool, "rung", j.m.RungName, "error", f.Message)
}
