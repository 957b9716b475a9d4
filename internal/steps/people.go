package steps

import (
	"slices"
	"time"
)

// Escalation is a question to people. Its id is `<run>-<n>`, n from 1.
type Escalation struct {
	Digest    string    // approval: of tool, tool definition and canonical parameters, see [Tool.CallDigest]
	Needed    int       // approval: how many people must approve
	Approvals []Decided // approval: those given so far, each by another person
	Question  *Question // what a human rung or the other side of a call asks; nil otherwise
	Resume    *Resume   // the answer goes back to the other side, and the call goes on with it; nil: it is the result
	Deadline  time.Time // when nobody may have decided; zero = never
	OnExpiry  OnExpiry  // what happens at the deadline
	Tier      int       // how often the same was asked before without a decision
	Follows   string    // the expired escalation that asked the same

	ID       string          // `<run>-<n>`
	Kind     EscalationKind  // what people are asked
	State    EscalationState // whether it is still open
	Unit     int             // index of State.Units, or RunUnit
	Rung     string          // the one that its unit stood on; empty before the first attempt
	Fault    Fault           // what it is about; of an approval only the message
	Allowed  []Verb          // what may be decided, in the order in which it is offered
	Opened   time.Time       // the log's time, like Ended
	Ended    time.Time       // zero while it is open
	Revision uint64          // sequence of the record that opened it; whoever decides says which one they saw
	EndedSeq uint64          // sequence of the log record that ended it, 0 while it is open
	Decision *Decided        // nil while open or superseded

	before mark // the escalation before it of the same unit

	DecisionSeq  uint64   // sequence of the decision
	ApprovalSeqs []uint64 // sequences of the approvals
}

// ask opens an escalation about unit i, or about the run, and lets the unit wait for it.
func (c *change) ask(i int, kind EscalationKind, f Fault) {
	if i != RunUnit {
		c.Units[i].Fault = &f
	}
	c.raise(Escalation{Kind: kind, Unit: i, Fault: f})
}

// raise opens an escalation. Its kind, its unit and what belongs to the kind are given; the rest is filled in.
func (c *change) raise(e Escalation) {
	e.ID, e.State = EscalationID(c.Run, len(c.Escalations)+1), EscalationOpen
	e.Opened, e.Revision, e.Allowed = c.Now, c.Seq, c.withoutRepeats(&e, c.verbs(&e))
	if i := e.Unit; i != RunUnit {
		u := &c.Units[i]
		if u.origin.kind == undo && e.OnExpiry == ExpiryFail && c.since(6) {
			e.OnExpiry = ExpiryEscalate // else what was done would stay, and nobody would have said so
		}
		e.Rung, e.before = c.RungName(i), u.question
		u.question = markOf(len(c.Escalations))
		if u.phase != PhaseUnknown || e.Kind != KindUnknown && c.since(3) {
			c.become(i, e.waitsIn())
		}
	}
	c.Escalations = append(c.Escalations, e)
	c.asked(e.Unit, 1)
	c.touch(e.Unit)
}

// waitsIn is the phase of the unit that waits for e.
func (e *Escalation) waitsIn() Phase {
	if e.Kind == KindApproval {
		return PhaseHeld
	}
	return PhaseAsked
}

func (e *Escalation) ApprovedBy() []string {
	var who []string
	for _, d := range e.Approvals {
		who = append(who, d.By)
	}
	return who
}

// verbs are what a person may decide about an escalation.
func (c *change) verbs(e *Escalation) []Verb {
	i := e.Unit
	switch {
	case i == RunUnit && e.Kind == KindDeadline:
		return []Verb{VerbRetry, VerbAbort}
	case e.AboutDamage():
		return []Verb{VerbRetry, VerbAbort}
	case i == RunUnit && e.Fault.Class == PolicyDenied:
		return []Verb{VerbSkip, VerbAbort}
	case i == RunUnit:
		return []Verb{VerbRetry, VerbAnswer, VerbSkip, VerbAbort}
	case c.ending != "" && c.Units[i].origin.kind != undo:
		return []Verb{VerbAnswer, VerbSkip}
	case e.Kind == KindLimit && c.Units[i].loop.last:
		return []Verb{VerbExtend, VerbAnswer, VerbAbort}
	case e.Kind == KindLimit:
		return []Verb{VerbExtend, VerbFinish, VerbAnswer, VerbAbort}
	case e.Kind == KindApproval:
		return c.Tool(i).Approval.Decisions
	case e.Resume != nil && c.Tool(i).Effects.Unsafe(): // the call may have acted before it asked, and is not begun anew
		return []Verb{VerbAnswer, VerbReject, VerbSkip, VerbAbort}
	case e.Resume != nil:
		return []Verb{VerbAnswer, VerbReject, VerbRetry, VerbEdit, VerbSkip, VerbAbort}
	case e.Question != nil:
		return []Verb{VerbAnswer, VerbSkip, VerbAbort}
	case c.Units[i].onward != nil && c.otherInDoubt(i) >= 0:
		return []Verb{VerbRetry, VerbAnswer, VerbSkip, VerbAbort}
	case c.Units[i].asksModel():
		return []Verb{VerbRetry, VerbAnswer, VerbSkip, VerbAbort}
	case e.Kind == KindUnknown && (c.Tool(i).Verify != nil || c.Standing(i) != nil):
		return []Verb{VerbVerify, VerbAnswer, VerbRetry, VerbSkip, VerbAbort}
	case e.Kind == KindUnknown:
		return []Verb{VerbAnswer, VerbRetry, VerbSkip, VerbAbort}
	case e.Fault.Class == BadExpression && len(c.Units[i].Attempts) == 0 && c.isFan(i):
		return []Verb{VerbRetry, VerbAnswer, VerbSkip, VerbAbort}
	}
	return []Verb{VerbRetry, VerbEdit, VerbAnswer, VerbSkip, VerbAbort}
}

func (c *change) isFan(i int) bool {
	return c.Units[i].origin.kind == planStep && c.Program.Nodes[i].ForEach != nil
}

// escalationOf is the open escalation of unit i, or of the run.
func (c *change) escalationOf(i int) *Escalation {
	for n := len(c.Escalations) - 1; n >= 0; n-- {
		if e := &c.Escalations[n]; e.Unit == i && e.State == EscalationOpen {
			return e
		}
	}
	return nil
}

// supersede closes the open escalation of unit i, because events have answered it.
func (c *change) supersede(i int) {
	if i != RunUnit && c.Units[i].question == 0 {
		return
	}
	if e := c.escalationOf(i); e != nil {
		c.close(e, EscalationSuperseded)
		if e.Question != nil {
			c.endQuestion(i, AttemptGivenUp)
		}
	}
}

func (c *change) close(e *Escalation, st EscalationState) {
	e.State, e.Ended, e.EndedSeq = st, c.Now, c.Seq
	c.asked(e.Unit, -1)
	c.touch(e.Unit)
}

// onDecided applies a person's decision. The log's order says who was first: a decision on an escalation that is no longer
// open, or with a verb that is not allowed, changes nothing.
func (c *change) onDecided(d Decided) {
	n := slices.IndexFunc(c.Escalations, func(e Escalation) bool { return e.ID == d.Escalation })
	if n < 0 {
		return
	}
	e := &c.Escalations[n]
	if e.State != EscalationOpen || !slices.Contains(e.Allowed, d.Verb) {
		return
	}
	if !e.Deadline.IsZero() && !c.Now.Before(e.Deadline) {
		c.expire(n) // the timer is on its way, and the log's time says that the deadline was first
		return
	}
	if !c.isEnough(e, d) {
		return
	}
	given := d
	if d.Verb == VerbAnswer {
		var err error
		if given.Answer, err = Reshaped(c.State, e, d.Answer); err != nil {
			return // whoever gave it was told so; here nothing can be made of it
		}
	}
	e.Decision, e.DecisionSeq = &d, c.Seq
	c.close(e, EscalationDecided)
	if e.Unit == RunUnit {
		c.decideRun(e, d)
		return
	}
	clear(c.faults)
	c.decideUnit(e, given)
}

func (c *change) decideUnit(e *Escalation, d Decided) {
	i := e.Unit
	u := &c.Units[i]
	if c.since(3) && (d.Verb == VerbAnswer || d.Verb == VerbSkip || d.Verb == VerbAbort && u.origin.kind == undo) {
		u.doubt = 0 // an outcome that comes later is history only
	}
	if e.Resume != nil && (d.Verb == VerbAnswer || d.Verb == VerbReject) {
		c.reply(i, e.Resume, d)
		return
	}
	switch d.Verb {
	case VerbApprove:
		c.approved(i, e)
	case VerbReject:
		c.deny(e, d)
		c.reject(i, d, "rejected by "+d.By+because(d.Reason))
		c.refuseOthers(i, d)
	case VerbRetry:
		if e.Kind == KindUnknown && c.stillRunning(i) > 0 {
			c.tooSoon(i)
			return
		}
		if u.onward != nil {
			c.goOnWith(i, u.onward)
			return
		}
		c.sendBack(i, d)
	case VerbEdit:
		u.Params, u.edit = d.Params, u.edit+1
		c.nextRound(i, d)
		c.firstTry(i)
	case VerbExtend:
		c.extendAgent(i, d)
	case VerbFinish:
		u.Fault = nil
		c.become(i, PhaseLooping)
		c.finishAgent(i, e.Fault.Message)
	case VerbVerify:
		c.look(i)
	case VerbAnswer:
		c.endQuestion(i, AttemptSucceeded)
		u.Output, u.AnswerBy, u.Fault = d.Answer, d.By, nil
		if e.Question != nil {
			c.label(i, 0)
		}
		c.done(i, PhaseSucceeded)
	case VerbSkip:
		c.endQuestion(i, AttemptGivenUp)
		c.skip(i)
	case VerbAbort:
		c.endQuestion(i, AttemptGivenUp)
		c.abort(i, d)
	}
}

// sendBack sends unit i back to the first rung in the next round, with the parameters that it had. If it never had any,
// because an expression failed, they are evaluated again.
func (c *change) sendBack(i int, d Decided) {
	u := &c.Units[i]
	c.nextRound(i, d)
	switch {
	case u.Params != nil:
		c.firstTry(i)
	case u.origin.kind == undo:
		c.prepare(i)
	default:
		c.become(i, PhaseWaiting)
		c.ready = append(c.ready, i)
	}
}

// nextRound begins a new round, with the approval that an approver's decision brings along.
func (c *change) nextRound(i int, d Decided) {
	u := &c.Units[i]
	u.Round++
	u.Fault, u.permit.grants, u.doubt, u.Rejected, u.ladder.unapproved, u.onward = nil, nil, 0, nil, "", nil
	if d.Grant != nil {
		u.permit.grants = []Grant{*d.Grant}
		c.forgetEarly(i)
	}
	c.reopen(i, d)
}

// abort ends the run; decided about a compensation, it ends the compensations.
func (c *change) abort(i int, d Decided) {
	c.become(i, PhaseFailed)
	if c.Units[i].origin.kind == undo {
		c.noUndo = true
		return
	}
	c.startEnding(RunAborted, "aborted by "+d.By+because(d.Reason))
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + reason
}

// decideRun applies a decision about the run as a whole: its deadline, what its log has lost, or its output.
func (c *change) decideRun(e *Escalation, d Decided) {
	switch {
	case d.Verb == VerbAbort:
		c.startEnding(RunAborted, "aborted by "+d.By+because(d.Reason))
	case e.AboutDamage():
		c.holed = false
		c.resume()
	case e.Kind == KindDeadline:
		c.paused = false
		c.allowed = c.clock.at(c.Now) + time.Duration(c.Program.Plan.Deadline)
		c.resume()
	case d.Verb == VerbRetry:
		c.outputAsk = false
	case d.Verb == VerbAnswer:
		c.Output = d.Answer
	}
}

// resume queues what was deferred while people were asked about the run as a whole.
func (c *change) resume() {
	if c.pausing() {
		return
	}
	for i := range c.Units {
		if c.Units[i].phase == PhaseDeferred {
			c.newBudget(i)
			c.queue(i, c.stillRunning(i))
		}
	}
}
