package steps

import (
	"slices"
	"strconv"
	"time"
)

// Escalation is a question to people. Its id is `<run>-<n>`, n from 1.
type Escalation struct {
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
	Decision *Decided // nil while open or superseded

	before int // 1 + index of the escalation before it of the same unit, 0 = none
}

// ask opens an escalation about unit i (or the run) and lets the unit wait for it.
func (c *change) ask(i int, kind EscalationKind, f Fault) {
	esc := Escalation{
		ID: c.Run + "-" + strconv.Itoa(len(c.Escalations)+1), Kind: kind, State: EscalationOpen, Unit: i,
		Fault: f, Opened: c.Now, Revision: c.Seq, Allowed: c.verbs(i, kind, f),
	}
	if i != RunUnit {
		u := &c.Units[i]
		u.Fault = &f
		esc.Rung, esc.before = c.RungName(i), u.escalation
		u.escalation = len(c.Escalations) + 1
		if u.State != StepUnknown {
			c.set(i, StepEscalated)
		}
	}
	c.Escalations = append(c.Escalations, esc)
	c.open++
	c.touch(i)
}

// verbs are what a person may decide about an escalation. The server checks them again.
func (c *change) verbs(i int, kind EscalationKind, f Fault) []Verb {
	switch {
	case i == RunUnit && kind == KindDeadline:
		return []Verb{VerbRetry, VerbAbort}
	case i == RunUnit:
		return []Verb{VerbRetry, VerbAnswer, VerbSkip, VerbAbort}
	case c.ending != "" && c.Units[i].kind != undo:
		return []Verb{VerbAnswer, VerbSkip}
	case kind == KindUnknown:
		return []Verb{VerbAnswer, VerbRetry, VerbSkip, VerbAbort}
	case f.Class == BadExpression && len(c.Units[i].Attempts) == 0 && c.isFan(i):
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
	}
}

func (c *change) close(e *Escalation, st EscalationState) {
	e.State, e.Ended = st, c.Now
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
	e.Decision = &d
	c.close(e, EscalationDecided)
	if e.Unit == RunUnit {
		c.decideRun(e.Kind, d)
		return
	}
	clear(c.faults)
	c.decideUnit(e.Unit, d)
}

func (c *change) decideUnit(i int, d Decided) {
	u := &c.Units[i]
	switch d.Verb {
	case VerbRetry:
		c.again0(i)
	case VerbEdit:
		u.Params, u.edit = d.Params, u.edit+1
		c.nextRound(i)
		c.firstTry(i)
	case VerbAnswer:
		u.Output, u.AnswerBy, u.Fault = d.Answer, d.By, nil
		c.done(i, StepSucceeded)
	case VerbSkip:
		c.skip(i)
	case VerbAbort:
		c.abort(i, d)
	}
}

// again0 sends unit i back to the first rung in the next round, with the parameters that it had. One that never had
// any (its expression failed) evaluates them again.
func (c *change) again0(i int) {
	u := &c.Units[i]
	c.nextRound(i)
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

func (c *change) nextRound(i int) {
	u := &c.Units[i]
	u.Round++
	u.Fault, u.giving = nil, nil
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
