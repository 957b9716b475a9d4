package steps

// onStarted notes that an attempt is being executed. A redelivery that starts it again is a crash of the one before.
func (c *change) onStarted(e Started) {
	i, ok := c.current(e.Attempt)
	if !ok {
		return
	}
	rec := c.Units[i].record()
	if rec.knowsStart(e) {
		return
	}
	// An attempt that had to wait was handed back until its time, so its first start is a redelivery as well.
	if e.Delivery != "" && (rec.Wait == 0 || rec.State == AttemptRunning) {
		rec.Crashes++
	}
	rec.noteStart(e, c.Now)
	c.begun(i)
	c.running(i, e.Worker)
}

// begun lets an attempt that was to be taken back go on, because a worker had begun it before it heard so: what it does
// is for its outcome to say. It is told to stop, and given time for that.
func (c *change) begun(i int) {
	if u := &c.Units[i]; u.giving != nil && u.State != StepRunning {
		u.giving = nil
	}
}

func (c *change) running(i int, worker string) {
	rec := c.Units[i].record()
	rec.State, rec.Worker = AttemptRunning, worker
	if rec.Started.IsZero() {
		rec.Started = c.Now
	}
	c.set(i, StepRunning)
}

func (c *change) onProgress(e Progress) {
	if i, ok := c.current(e.Attempt); ok && c.Units[i].record().Note != e.Message {
		c.Units[i].record().Note = e.Message
		c.touch(i)
	}
}

// onSucceeded ends a unit with its result.
func (c *change) onSucceeded(e Succeeded) {
	i, ok := c.settles(e.Attempt, e.Worker)
	if !ok {
		c.late(e.Attempt, "succeeded")
		return
	}
	c.unprobe(i, e.Attempt)
	rec := c.Units[i].record()
	rec.State, rec.Ended, rec.Took = AttemptSucceeded, c.Now, e.Took
	rec.Worker = orElse(e.Worker, rec.Worker)
	if c.probing(i) {
		c.probed(i, e.Output)
		return
	}
	c.succeed(i, e)
}

func (c *change) succeed(i int, e Succeeded) {
	u := &c.Units[i]
	u.Output, u.Fault, u.giving, u.doubt = e.Output, nil, nil, 0
	c.label(i, e.Age)
	c.supersede(i)
	c.done(i, StepSucceeded)
}

// label marks a result that did not come as meant. Whoever uses it is told.
func (c *change) label(i int, age Duration) {
	u := &c.Units[i]
	var cause string
	switch {
	case u.Rung > 0:
		cause = orElse(c.whyLeft(i), u.instead)
	case u.tainted:
		cause = c.taintedBy(i)
	default:
		return
	}
	u.tainted = true
	u.Degraded = &Degraded{Step: u.ID, Rung: c.RungName(i), Cause: cause, Age: age}
}

// whyLeft is the fault for which unit i left its first rung in this round: what people want to know of a fallback.
func (c *change) whyLeft(i int) string {
	u := &c.Units[i]
	for n := len(u.Attempts) - 1; n >= 0; n-- {
		rec := &u.Attempts[n]
		if rec.Fault != nil && rec.Rung == 0 && rec.Round == u.Round {
			return rec.Fault.Error()
		}
	}
	return ""
}

func (c *change) taintedBy(i int) string {
	for _, j := range c.Program.Nodes[c.Units[i].Node].Needs {
		if c.Units[j].tainted {
			return "input from " + c.Units[j].ID
		}
	}
	return "degraded input"
}

// onFailed ends an attempt with a fault and lets the policy say what comes next.
func (c *change) onFailed(e Failed) {
	if e.Stopped && c.since(2) && c.putDown(e) {
		return
	}
	i, ok := c.settles(e.Attempt, e.Worker)
	if !ok || !c.Units[i].is(e.Attempt) && e.Fault.MayHaveActed() {
		c.late(e.Attempt, e.Fault.Error())
		c.alarm(e)
		return
	}
	c.unprobe(i, e.Attempt)
	rec := c.Units[i].record()
	if e.Fault.Class == Crashed {
		rec.lose(c.Now)
	}
	rec.Took, rec.Worker = e.Took, orElse(e.Worker, rec.Worker)
	c.supersede(i)
	c.failed(i, e.Fault)
}

// failed ends the current attempt of unit i with f.
func (c *change) failed(i int, f Fault) {
	rec := c.Units[i].record()
	rec.State, rec.Ended, rec.Fault = AttemptFailed, c.Now, &f
	c.Units[i].giving = nil
	c.react(i, f)
}

// onClaimed settles who owns an attempt of an unsafe tool: a worker, or nobody ever.
func (c *change) onClaimed(e Claimed) {
	i, ok := c.current(e.Attempt)
	if !ok {
		return
	}
	u := &c.Units[i]
	switch {
	case e.Worker != "":
		u.giving = nil // it was first: what it does is for its outcome to say
		c.running(i, e.Worker)
	case u.giving != nil && (c.claimed(i) || !c.since(2)):
		c.withdrawn(i, *u.giving)
	}
}

// withdrawn ends an attempt that nobody executed and nobody will.
func (c *change) withdrawn(i int, f Fault) {
	rec := c.Units[i].record()
	rec.State, rec.Ended, rec.Fault = AttemptWithdrawn, c.Now, &f
	c.Units[i].giving = nil
	if c.probing(i) && c.since(2) {
		c.react(i, f)
		return
	}
	if c.ending != "" && c.Units[i].kind != undo {
		c.set(i, StepCancelled)
		return
	}
	c.react(i, f)
}

// giveBack gives up the current attempt of unit i although no outcome has come. One that a worker may still begin is
// withdrawn first; what follows waits until the log says that it is.
func (c *change) giveBack(i int, f Fault) {
	u := &c.Units[i]
	switch {
	case u.State == StepRunning && c.effects(i).Unsafe():
		c.failed(i, Fault{Class: Unknown, Acted: ActedMaybe, Message: f.Message})
	case u.State == StepRunning && (c.claimed(i) || !c.since(2)):
		c.givenUp(i, f)
	case c.claimed(i), c.since(2):
		u.giving = &f
		c.touch(i)
	default:
		c.withdrawn(i, f)
	}
}

// givenUp ends an attempt that was begun, without its outcome.
func (c *change) givenUp(i int, f Fault) {
	rec := c.Units[i].record()
	c.failed(i, f)
	rec.State = AttemptGivenUp
}

// onWithdrawn ends an attempt that is out of the queue and of every hand. One that had been begun was lost, or does not
// obey; nobody begins it again.
func (c *change) onWithdrawn(e Withdrawn) {
	i, ok := c.current(e.Attempt)
	if !ok || c.Units[i].giving == nil || c.claimed(i) || !c.since(2) {
		return
	}
	f := *c.Units[i].giving
	if c.Units[i].State == StepRunning {
		c.givenUp(i, f)
		return
	}
	c.withdrawn(i, f)
}

// putDown hears from a worker that it had an attempt in hand and never began it. It reports whether that is all that
// the word says: about an attempt that the run still wants it is a failure like others.
func (c *change) putDown(e Failed) bool {
	i, ok := c.current(e.Attempt)
	if !ok {
		return true // it was over before
	}
	u := &c.Units[i]
	wanted := u.giving == nil && !c.stopping(i)
	if wanted {
		return false
	}
	if rec := u.record(); u.State == StepRunning && (e.Start == "" || e.Start != rec.delivery) {
		return true // another delivery than the one that was begun; that one is waited for
	}
	f := e.Fault
	if u.giving != nil {
		f = *u.giving
	}
	u.record().Worker = e.Worker
	c.withdrawn(i, f)
	return true
}

// stopping reports whether unit i is to come to rest because the run is ending.
func (s *State) stopping(i int) bool { return s.ending != "" && s.Units[i].kind != undo }

// current finds the unit whose attempt a is out. Anything else is late: an old round or try.
func (c *change) current(a Attempt) (int, bool) {
	i := c.Unit(a.Step)
	return i, i >= 0 && c.Units[i].is(a)
}

// settles finds the unit that the outcome of a decides: its attempt is out, or unknown and a person has not yet
// decided, and the word comes from the worker that holds the claim.
func (c *change) settles(a Attempt, worker string) (int, bool) {
	i, ok := c.current(a)
	if ok || i < 0 {
		return i, ok
	}
	u := &c.Units[i]
	return i, u.doubt > 0 && !u.settled && c.final == "" && u.Attempts[u.doubt-1].is(a) && u.Attempts[u.doubt-1].Worker == worker
}

// late keeps an outcome that came after the run went on without it, as history only.
func (c *change) late(a Attempt, what string) {
	i := c.Unit(a.Step)
	if i < 0 {
		return
	}
	for n := range c.Units[i].Attempts {
		rec := &c.Units[i].Attempts[n]
		note := "late outcome: " + what
		if rec.is(a) && rec.Note != note && !rec.reported(what) {
			rec.Note = note
			c.touch(i)
		}
	}
}

func (rec *AttemptRecord) is(a Attempt) bool {
	return rec.Round == a.Round && rec.Rung == a.Rung && rec.Try == a.Try
}

// reported says whether the record already tells of this outcome, or of one that counted.
func (rec *AttemptRecord) reported(what string) bool {
	counted := rec.State == AttemptSucceeded || rec.State == AttemptFailed
	return counted || rec.Fault != nil && rec.Fault.Error() == what
}

func orElse(s, other string) string {
	if s != "" {
		return s
	}
	return other
}
