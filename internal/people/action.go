package people

import (
	"maps"
	"slices"

	"belay/internal/steps"
)

// Action is what people do: a decision about an escalation ([steps.Verb]), something on the way to one, or an act on a run.
type Action string

// Decisions about an escalation.
const (
	Approve = Action(steps.VerbApprove)
	Reject  = Action(steps.VerbReject)
	Retry   = Action(steps.VerbRetry)
	Edit    = Action(steps.VerbEdit)
	Answer  = Action(steps.VerbAnswer)
	Skip    = Action(steps.VerbSkip)
	Extend  = Action(steps.VerbExtend)
	Finish  = Action(steps.VerbFinish)
	Verify  = Action(steps.VerbVerify)
	Abort   = Action(steps.VerbAbort)
)

// What people do about an escalation without deciding it.
const (
	Claim   Action = "claim"
	Release Action = "release"
	Assign  Action = "assign"
	Snooze  Action = "snooze"
	Note    Action = "note"
)

// What people do about runs, not about an escalation. Whose run it is has to be known before [LookAtOwn], [CancelOwn] and
// [SteerOwn] are asked about.
const (
	Look      Action = "look at runs, escalations and workers"
	LookAtOwn Action = "look at a run that one has started"
	Cancel    Action = "cancel"
	CancelOwn Action = "cancel a run that one has started"
	Steer     Action = "write to an agent at work"
	SteerOwn  Action = "write to an agent of a run that one has started"
)

// RemoveRun is about a run that has ended and is in an archive: [Act.Digest] is that of its entries there.
const RemoveRun Action = "remove an archived run from the log"

// AcceptDamage is about the store, and no run.
const AcceptDamage Action = "say that work may go on after the log was damaged"

// What holds calls back for the whole cluster, and lets them go.
const (
	CloseGate Action = "close a gate"
	OpenGate  Action = "open a gate"
)

// ChangeSchedule is about what starts runs again and again; who adds one must be allowed to start its runs too.
const ChangeSchedule Action = "add, pause, resume, fire or remove a schedule"

// What people start. What a submitter may start is in its [Limits] too, see [Actor.MayStart].
const (
	Submit      Action = "submit a plan that the server has"
	SubmitWhole Action = "submit a plan of one's own"
	CallTool    Action = "call a tool"
)

// needs is the least role for an action.
var needs = map[Action]Role{
	Claim: Operator, Release: Operator, Assign: Operator, Snooze: Operator, Note: Operator,
	Retry: Operator, Edit: Operator, Answer: Operator, Skip: Operator, Extend: Operator, Finish: Operator, Verify: Operator, Abort: Operator,
	Look: Viewer, LookAtOwn: Submitter, Cancel: Operator, CancelOwn: Submitter, Steer: Operator, SteerOwn: Submitter,
	Submit: Submitter, SubmitWhole: Admin, CallTool: Admin, AcceptDamage: Admin, RemoveRun: Admin,
	CloseGate: Operator, OpenGate: Operator, ChangeSchedule: Operator,
	Approve: Approver, Reject: Approver,
}

// owned are the actions of a submitter to what it has started.
var owned = map[Action]Action{Cancel: CancelOwn, Steer: SteerOwn, Retry: Submit}

// ToOwn is what it takes for the actor to do a to runs that they may see: a submitter sees its own.
func (p Actor) ToOwn(a Action) Action {
	if own, is := owned[a]; is && p.Role == Submitter {
		return own
	}
	return a
}

// Actions are all that there are.
func Actions() []Action {
	return slices.Sorted(maps.Keys(needs))
}

// Needs is the least role that may do a. An action that is not known takes an approver.
func (a Action) Needs() Role {
	if r, ok := needs[a]; ok {
		return r
	}
	return Approver
}

// Decides reports whether a is a decision, and not one of the acts on the way to one. What is not known counts as a
// decision: it is refused as one.
func (a Action) Decides() bool {
	switch a {
	case Claim, Release, Assign, Snooze, Note:
		return false
	}
	return true
}
