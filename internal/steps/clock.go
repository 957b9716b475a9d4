package steps

import "time"

// runningGrace is how long after the end of its budget an executing attempt may still report; its worker ends it at
// the budget, and the word needs time to arrive.
const runningGrace = 5 * time.Second

// onFired deals with everything that is due. It touches every unit, because the next timer is wanted anew.
func (c *change) onFired() {
	c.touched = c.touched[:0]
	for i := range c.Units {
		if due := c.unitDue(i); !due.IsZero() && !due.After(c.Now) {
			c.overdue(i)
		}
	}
	c.startReady()
	c.stand() // questions that nobody answered may have set the work going again
	if due := c.runDue(); !due.IsZero() && !due.After(c.Now) {
		c.runOverdue()
	}
	c.touched = append(c.touched[:0], RunUnit)
	for i := range c.Units {
		c.touched = append(c.touched, i)
	}
}

// unitDue is when the clock has something to say about unit i; zero = never.
func (s *State) unitDue(i int) time.Time {
	u := &s.Units[i]
	if n := u.escalation; n > 0 && s.Escalations[n-1].State == EscalationOpen {
		return s.Escalations[n-1].Deadline
	}
	switch {
	case !u.State.InQueue() || u.fan != nil || u.giving != nil:
		return time.Time{}
	case s.ending != "" && u.kind != undo:
		return s.stopDue()
	case u.Deadline.IsZero():
		return time.Time{}
	case u.State == StepRunning:
		return u.Deadline.Add(runningGrace)
	}
	return u.Deadline
}

// stopDue is the next tick at which executing attempts of an ending run are told again to stop.
func (s *State) stopDue() time.Time {
	n := s.Now.Sub(s.endingFrom)/stopTick + 1
	return s.endingFrom.Add(min(n*stopTick, stopGrace))
}

// overdue ends the wait for an attempt whose time is over.
func (c *change) overdue(i int) {
	u := &c.Units[i]
	if n := u.escalation; n > 0 && c.Escalations[n-1].State == EscalationOpen {
		c.expire(n - 1)
		return
	}
	if c.ending == "" || u.kind == undo {
		c.giveBack(i, Fault{Class: DeadlineExceeded, Acted: ActedNo, Message: "the step's budget of " + c.Tool(i).Timeout.String() + " is used up"})
		return
	}
	c.giveBack(i, Fault{Class: DeadlineExceeded, Acted: ActedMaybe, Message: "told to stop, gave no answer within " + stopGrace.String()})
}

// runDue is when the run's work clock reaches the deadline; zero = never, or not while the clock stands.
func (s *State) runDue() time.Time {
	if s.allowed == 0 || s.standing || s.paused || s.ending != "" || s.final != "" {
		return time.Time{}
	}
	return s.from.Add(s.allowed - s.spent)
}

// runOverdue ends the run or asks whether it may have its time again.
func (c *change) runOverdue() {
	f := Fault{Class: DeadlineExceeded, Acted: ActedNo, Message: "the run's deadline of " + c.Program.Plan.Deadline.String() + " of work is used up"}
	if c.Program.Plan.OnDeadline == DeadlineFail {
		c.startEnding(RunFailed, f.Error())
		return
	}
	c.paused = true
	c.ask(RunUnit, KindDeadline, f)
}

// onUnserved gives up an attempt that no worker asks for; people are told instead of the run hanging silently.
func (c *change) onUnserved(e Unserved) {
	i, ok := c.current(e.Attempt)
	if !ok || c.Units[i].State == StepRunning || c.Units[i].giving != nil {
		return
	}
	msg := "no worker serves tool " + c.Tool(i).Name + ", rung " + c.RungName(i) + ": start one with this tool, then retry"
	c.giveBack(i, Fault{Class: NoWorker, Acted: ActedNo, Message: msg})
}
