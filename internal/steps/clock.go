package steps

import "time"

// runningGrace is how long after the end of its budget an executing attempt may still report. Its worker stops it at the
// end of the budget, and the outcome needs time to arrive.
const runningGrace = 5 * time.Second

// onFired deals with everything that is due. It touches every unit, because the next timer depends on all of them.
func (c *change) onFired() {
	c.touched = c.touched[:0]
	if c.toBegin() && !c.Scheduled.After(c.Now) {
		c.start()
	}
	for i := range c.Units {
		if due := c.UnitDue(i); !due.IsZero() && !due.After(c.Now) {
			c.overdue(i)
		}
	}
	c.startReady()
	c.stand() // a question that has expired may have set the work going again
	if due := c.RunDue(); !due.IsZero() && !due.After(c.Now) {
		c.runOverdue()
	}
	c.touched = append(c.touched[:0], RunUnit)
	for i := range c.Units {
		c.touched = append(c.touched, i)
	}
}

// UnitDue is when time alone changes something about unit i; zero = never.
func (s *State) UnitDue(i int) time.Time {
	u := &s.Units[i]
	if n := u.question.index(); n >= 0 && s.Escalations[n].State == EscalationOpen {
		return s.Escalations[n].Deadline
	}
	switch {
	case !u.phase.out() || u.Recalled():
		return time.Time{}
	case s.ending != "" && u.origin.kind != undo:
		return s.stopDue()
	case u.brokenBy():
		return s.brokenUntil(i)
	case u.Deadline.IsZero():
		return time.Time{}
	case u.phase == PhaseRunning:
		return u.Deadline.Add(runningGrace)
	}
	return u.Deadline
}

// stopDue is when the executing attempts of an ending run are next told to stop.
func (s *State) stopDue() time.Time {
	n := s.Now.Sub(s.endingFrom)/stopTick + 1
	return s.endingFrom.Add(min(n*stopTick, stopGrace))
}

// overdue ends the wait for people or for an attempt when the time for it is over.
func (c *change) overdue(i int) {
	u := &c.Units[i]
	if n := u.question.index(); n >= 0 && c.Escalations[n].State == EscalationOpen {
		c.expire(n)
		return
	}
	if u.brokenBy() && c.heldLongEnough(i) {
		c.giveBack(i, u.limit.fault("it was "+u.limit.lasted(c.Now)))
		return
	}
	if c.ending == "" || u.origin.kind == undo {
		c.giveBack(i, Fault{Class: DeadlineExceeded, Acted: ActedNo, Message: "the step's budget of " + c.Tool(i).Timeout.String() + " is used up" + c.heldFor(i)})
		return
	}
	c.giveBack(i, Fault{Class: DeadlineExceeded, Acted: ActedMaybe, Message: "told to stop, gave no answer within " + stopGrace.String()})
}

// RunDue is when the run is to begin and, once it has begun, when its work clock reaches the deadline; zero = never, or not
// while the clock stands.
func (s *State) RunDue() time.Time {
	if s.toBegin() {
		return s.Scheduled
	}
	if s.allowed == 0 || s.clock.standing || s.pausing() || s.ending != "" || s.final != "" {
		return time.Time{}
	}
	return s.clock.from.Add(s.allowed - s.clock.spent)
}

// runOverdue ends the run, or asks people whether it gets its time again.
func (c *change) runOverdue() {
	f := Fault{Class: DeadlineExceeded, Acted: ActedNo, Message: "the run's deadline of " + c.Program.Plan.Deadline.String() + " of work is used up"}
	if c.Program.Plan.OnDeadline == DeadlineFail {
		c.startEnding(RunFailed, f.Error())
		return
	}
	c.paused = true
	c.ask(RunUnit, KindDeadline, f)
}

// onUnserved gives up an attempt that no worker asks for, so that the run does not hang silently.
func (c *change) onUnserved(e Unserved) {
	i, ok := c.current(e.Attempt)
	if !ok || c.Units[i].phase == PhaseRunning || c.Units[i].Recalled() {
		return
	}
	c.giveBack(i, Fault{Class: NoWorker, Acted: ActedNo, Message: c.unserved(i)})
}
