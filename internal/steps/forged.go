package steps

// alarm asks people about a message that a worker refused to execute because the run never wanted it: somebody else put it
// into the queue. They are asked once for each such attempt.
func (c *change) alarm(e Failed) {
	if e.Fault.Class != PolicyDenied || c.known(e.Attempt) || c.alarms[e.Attempt] || len(c.alarms) >= maxAlarms {
		return
	}
	if c.alarms == nil {
		c.alarms = map[Attempt]bool{}
	}
	c.alarms[e.Attempt] = true
	f := e.Fault
	f.Message = "a worker refused a step message that this run never wanted, " + AttemptName(c.Run, e.Attempt) + ": " + f.Message
	c.ask(RunUnit, KindFailure, f)
}

// maxAlarms bounds the questions that a flood of forged messages can cause in one run.
const maxAlarms = 20

// known reports whether the run has ever wanted attempt a.
func (c *change) known(a Attempt) bool { return c.attempt(a) != nil }

// attempt is what the run knows of attempt a; nil if it has never wanted it.
func (c *change) attempt(a Attempt) *AttemptRecord {
	i := c.Unit(a.Step)
	if i < 0 {
		return nil
	}
	for n := range c.Units[i].Attempts {
		if rec := &c.Units[i].Attempts[n]; rec.is(a) {
			return rec
		}
	}
	return nil
}
