package steps

import (
	"slices"
	"strconv"
	"time"
)

// Escalation is a question to people. Its id is `<run>-<n>`, n from 1.
type Escalation struct {
	Digest    string    // approval: of tool, tool definition and canonical parameters
	Needed    int       // approval: how many people must approve
	Approvals []Decided // approval: those that have, each another person
	Question  *Question // of a human rung
	Deadline  time.Time // when nobody may have decided; zero = never
	OnExpiry  OnExpiry  // what happens then
	Tier      int       // how often the same was asked before, in vain
	Follows   string    // the expired escalation that asked the same

	ID       string
	Kind     EscalationKind
	State    EscalationState
	Unit     int // index of Units, or RunUnit
	Rung     string
	Fault    Fault
	Allowed  []Verb
	Opened   time.Time
	Ended    time.Time
	Revision uint64   // sequence of the log record that opened it
	Settled  uint64   // sequence of the log record that ended it, 0 while it is open
	Decision *Decided // nil while open or superseded

	before int // 1 + index of the escalation before it of the same unit, 0 = none

	decided uint64   // sequence of the decision
	votes   []uint64 // sequences of the approvals
}

// ask opens an escalation about unit i (or the run) and lets the unit wait for it.
func (c *change) ask(i int, kind EscalationKind, f Fault) {
	if i != RunUnit {
		c.Units[i].Fault = &f
	}
	c.put(Escalation{Kind: kind, Unit: i, Fault: f})
}

// put opens an escalation of which kind, unit and what belongs to the kind are given.
func (c *change) put(e Escalation) {
	e.ID, e.State = c.Run+"-"+strconv.Itoa(len(c.Escalations)+1), EscalationOpen
	e.Opened, e.Revision, e.Allowed = c.Now, c.Seq, c.verbs(&e)
	if i := e.Unit; i != RunUnit {
		u := &c.Units[i]
		e.Rung, e.before = c.RungName(i), u.escalation
		u.escalation = len(c.Escalations) + 1
		if u.State != StepUnknown {
			c.set(i, e.holds())
		}
	}
	c.Escalations = append(c.Escalations, e)
	c.open++
	c.touch(e.Unit)
}

// holds is the state of the unit that waits for e.
func (e *Escalation) holds() StepState {
	if e.Kind == KindApproval {
		return StepHeld
	}
	return StepEscalated
}

func (e *Escalation) givenBy() []string {
	var who []string
	for _, d := range e.Approvals {
		who = append(who, d.By)
	}
	return who
}

// verbs are what a person may decide about an escalation. The server checks them again.
func (c *change) verbs(e *Escalation) []Verb {
	i := e.Unit
	switch {
	case i == RunUnit && e.Kind == KindDeadline:
		return []Verb{VerbRetry, VerbAbort}
	case i == RunUnit && e.Fault.Class == PolicyDenied:
		return []Verb{VerbSkip, VerbAbort}
	case i == RunUnit:
		return []Verb{VerbRetry, VerbAnswer, VerbSkip, VerbAbort}
	case c.ending != "" && c.Units[i].kind != undo:
		return []Verb{VerbAnswer, VerbSkip}
	case e.Kind == KindApproval:
		return c.Tool(i).Approval.Decisions
	case e.Question != nil:
		return []Verb{VerbAnswer, VerbSkip, VerbAbort}
	case e.Kind == KindUnknown && c.Tool(i).Verify != nil:
		return []Verb{VerbVerify, VerbAnswer, VerbRetry, VerbSkip, VerbAbort}
	case e.Kind == KindUnknown:
		return []Verb{VerbAnswer, VerbRetry, VerbSkip, VerbAbort}
	case e.Fault.Class == BadExpression && len(c.Units[i].Attempts) == 0 && c.isFan(i):
		return []Verb{VerbRetry, VerbAnswer, VerbSkip, VerbAbort}
	}
	return []Verb{VerbRetry, VerbEdit, VerbAnswer, VerbSkip, VerbAbort}
}

func (c *change) isFan(i int) bool {
	return c.Units[i].kind == planStep && c.Program.Nodes[i].ForEach != nil
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
	if i != RunUnit && c.Units[i].escalation == 0 {
		return
	}
	if e := c.escalationOf(i); e != nil {
		c.close(e, EscalationSuperseded)
		if e.Question != nil {
			c.asked(i, AttemptGivenUp)
		}
	}
}

func (c *change) close(e *Escalation, st EscalationState) {
	e.State, e.Ended, e.Settled = st, c.Now, c.Seq
	c.open--
	c.touch(e.Unit)
}

// onDecided applies a person's decision. The log's order settles who was first: a decision on what is no longer open,
// or with a verb that is not allowed, changes nothing.
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
		c.expire(n) // its timer is on its way; the log's time says who was first
		return
	}
	if !c.enough(e, d) {
		return
	}
	given := d
	if d.Verb == VerbAnswer {
		var err error
		if given.Answer, err = Reshaped(c.State, e, d.Answer); err != nil {
			return // refused where it was given; nobody can tell what it is to be
		}
	}
	e.Decision, e.decided = &d, c.Seq
	c.close(e, EscalationDecided)
	if e.Unit == RunUnit {
		c.decideRun(e.Kind, d)
		return
	}
	clear(c.faults)
	c.decideUnit(e, given)
}

func (c *change) decideUnit(e *Escalation, d Decided) {
	i := e.Unit
	u := &c.Units[i]
	switch d.Verb {
	case VerbApprove:
		c.approved(i, e)
	case VerbReject:
		c.deny(e, d)
		c.reject(i, d, "rejected by "+d.By+because(d.Reason))
	case VerbRetry:
		c.again0(i, d)
	case VerbEdit:
		u.Params, u.edit = d.Params, u.edit+1
		c.nextRound(i, d)
		c.firstTry(i)
	case VerbVerify:
		c.probe(i)
	case VerbAnswer:
		c.asked(i, AttemptSucceeded)
		u.Output, u.AnswerBy, u.Fault = d.Answer, d.By, nil
		if e.Question != nil {
			c.label(i, 0)
		}
		c.done(i, StepSucceeded)
	case VerbSkip:
		c.asked(i, AttemptGivenUp)
		c.skip(i)
	case VerbAbort:
		c.asked(i, AttemptGivenUp)
		c.abort(i, d)
	}
}

// again0 sends unit i back to the first rung in the next round, with the parameters that it had. One that never had
// any (its expression failed) evaluates them again.
func (c *change) again0(i int, d Decided) {
	u := &c.Units[i]
	c.nextRound(i, d)
	switch {
	case u.Params != nil:
		c.firstTry(i)
	case u.kind == undo:
		c.prepare(i)
	default:
		c.set(i, StepPending)
		c.ready = append(c.ready, i)
	}
}

// nextRound begins anew, with the approval that an approver's decision brings along.
func (c *change) nextRound(i int, d Decided) {
	u := &c.Units[i]
	u.Round++
	u.Fault, u.giving, u.grants, u.doubt, u.Rejected, u.instead = nil, nil, nil, 0, nil, ""
	if d.Grant != nil {
		u.grants = []Grant{*d.Grant}
	}
	c.reopen(i, d)
}

// abort ends the run; said about a compensation, it ends the compensations.
func (c *change) abort(i int, d Decided) {
	c.set(i, StepFailed)
	if c.Units[i].kind == undo {
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

// decideRun applies a decision about the run as a whole: its deadline, or its output.
func (c *change) decideRun(kind EscalationKind, d Decided) {
	switch {
	case d.Verb == VerbAbort:
		c.startEnding(RunAborted, "aborted by "+d.By+because(d.Reason))
	case kind == KindDeadline:
		c.allowed = c.spent + time.Duration(c.Program.Plan.Deadline)
		c.resume()
	case d.Verb == VerbRetry:
		c.outputAsk = false
	case d.Verb == VerbAnswer:
		c.Output = d.Answer
	}
}

// resume queues what was put off while a person held the run.
func (c *change) resume() {
	c.paused = false
	for i := range c.Units {
		if c.Units[i].deferred {
			c.newBudget(i)
			c.queue(i, 0)
		}
	}
}
