package steps

import "time"

// onStarted notes that an attempt is being executed. A redelivery that starts it means that the execution before crashed.
func (c *change) onStarted(e Started) {
	i, ok := c.current(e.Attempt)
	if !ok {
		return
	}
	rec := c.Units[i].Current()
	if rec.knowsStart(e) {
		return
	}
	// An attempt that had to wait was parked until its time, so its first start is a redelivery as well.
	if e.Delivery != "" && (rec.Wait == 0 || rec.State == AttemptRunning) {
		rec.Crashes++
	}
	rec.noteStart(e, c.Now)
	// An attempt that is being recalled goes on if a worker has begun it: its outcome says what it did. One that is told to
	// stop goes on stopping.
	to := PhaseRunning
	if c.Units[i].phase == PhaseStopping {
		to = PhaseStopping
	}
	c.running(i, e.Worker, to)
}

func (c *change) running(i int, worker string, to Phase) {
	rec := c.Units[i].Current()
	rec.State, rec.Worker = AttemptRunning, worker
	if rec.Started.IsZero() {
		rec.Started = c.Now
	}
	c.Units[i].ladder.broken = time.Time{}
	c.become(i, to)
}

func (c *change) onProgress(e Progress) {
	if i, ok := c.current(e.Attempt); ok && c.Units[i].Current().Note != e.Message {
		c.Units[i].Current().Note = e.Message
		c.touch(i)
	}
}

// onSucceeded ends a unit with its result.
func (c *change) onSucceeded(e Succeeded) {
	i, ok := c.accepts(e.Attempt, e.Worker)
	if !ok {
		c.keepLate(e.Attempt, "succeeded")
		return
	}
	c.unprobe(i, e.Attempt)
	rec := c.Units[i].Current()
	rec.State, rec.Ended, rec.Took = AttemptSucceeded, c.Now, e.Took
	c.used(i, e.Usage)
	if e.Usage == nil && c.Tool(i).Rung(rec.Rung).isModel() { // not every provider counts
		c.reserved(i, 1)
	}
	rec.Worker = orElse(e.Worker, rec.Worker)
	if c.Probing(i) {
		c.probed(i, e.Output)
		return
	}
	c.succeed(i, e)
}

func (c *change) succeed(i int, e Succeeded) {
	u := &c.Units[i]
	u.Output, u.Fault, u.doubt = e.Output, nil, 0
	c.label(i, e.Age)
	c.supersede(i)
	c.done(i, PhaseSucceeded)
}

// label marks a result that did not come about as meant, so that whoever uses it sees that.
func (c *change) label(i int, age Duration) {
	u := &c.Units[i]
	var cause string
	switch {
	case u.Rung > 0:
		cause = orElse(c.whyLeft(i), u.ladder.unapproved)
	case u.tainted:
		cause = c.taintedBy(i)
	default:
		return
	}
	u.tainted = true
	u.Degraded = &Degraded{Step: u.ID, Rung: c.RungName(i), Cause: cause, Age: age}
}

// whyLeft is the fault for which unit i left its first rung in this round: what people want to know about a fallback.
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

// onFailed ends an attempt with a fault and lets the policy decide what comes next.
func (c *change) onFailed(e Failed) {
	if e.Stopped && c.since(2) && c.neverBegun(e) {
		return
	}
	i, ok := c.accepts(e.Attempt, e.Worker)
	if !ok || !c.Units[i].is(e.Attempt) && e.Fault.MayHaveActed() || c.overruled(i, e) {
		c.keepLate(e.Attempt, e.Fault.Error())
		c.alarm(e)
		return
	}
	c.unprobe(i, e.Attempt)
	rec := c.Units[i].Current()
	if e.Fault.Class == Crashed {
		rec.lose(c.Now)
	}
	holder := c.holds(i, e.Worker)
	rec.silent = !holder && (e.Fault.Class == Unknown || e.Fault.Class == Crashed)
	rec.Took = e.Took
	c.used(i, e.Usage)
	if !c.since(5) || e.Fault.Class != Unknown || rec.Worker == "" { // whoever finds that it may have happened has not claimed it
		rec.Worker = orElse(e.Worker, rec.Worker)
	}
	if u := &c.Units[i]; c.since(3) && u.doubt != 0 && u.Attempts[u.doubt.index()].is(e.Attempt) {
		u.doubt = 0 // this settles it, however often it is repeated
	}
	c.supersede(i)
	if c.leave(i, e, holder) && c.askBack(i, e) {
		return
	}
	c.failed(i, e.Fault)
}

// failed ends the current attempt of unit i with f.
func (c *change) failed(i int, f Fault) {
	rec := c.Units[i].Current()
	rec.State, rec.Ended, rec.Fault = AttemptFailed, c.Now, &f
	if rec.Usage == nil && mayHaveCost(f) {
		c.reserved(i, 1)
	}
	c.react(i, f)
}

// onClaimed notes who has the right to execute an attempt of an unsafe tool: a worker, or nobody ever.
func (c *change) onClaimed(e Claimed) {
	i, ok := c.current(e.Attempt)
	if !ok {
		return
	}
	u := &c.Units[i]
	switch {
	case e.Worker != "":
		u.Current().claimed = c.Now
		c.running(i, e.Worker, PhaseRunning) // the worker was first: the outcome says what it did
	case u.Recalled() && (c.claimed(i) || !c.since(2)):
		c.withdrawn(i, *u.out.recall)
	}
}

// withdrawn ends an attempt that nobody executed and nobody will.
func (c *change) withdrawn(i int, f Fault) {
	if f.Class == Unknown {
		c.putInDoubt(i, f)
		return
	}
	rec := c.Units[i].Current()
	rec.State, rec.Ended, rec.Fault = AttemptWithdrawn, c.Now, &f
	if c.Units[i].hold != nil {
		c.holdBack(i)
		return
	}
	if c.Probing(i) && c.since(2) {
		c.react(i, f)
		return
	}
	if c.ending != "" && c.Units[i].origin.kind != undo && !c.leftOff(i) {
		c.become(i, PhaseCancelled)
		return
	}
	c.react(i, f)
}

// giveBack gives up the current attempt of unit i although no outcome has come. An attempt that a worker may still begin
// is withdrawn first, and what follows waits until the log says that it is.
func (c *change) giveBack(i int, f Fault) {
	running := c.Units[i].State() == StepRunning
	switch {
	case running && c.effects(i).Unsafe():
		c.failed(i, Fault{Class: Unknown, Acted: ActedMaybe, Message: f.Message})
	case running && (c.claimed(i) || !c.since(2)):
		c.givenUp(i, f)
	case c.claimed(i), c.since(2):
		c.recall(i, f)
	default:
		c.withdrawn(i, f)
	}
}

// recall has the attempt of unit i, which is out, taken back; if it is being taken back already, it ends with f now.
func (c *change) recall(i int, f Fault) {
	u := &c.Units[i]
	if !u.Recalled() {
		c.shift(i, u.phase.recalled())
	}
	if r := u.out.recall; r == nil || r.Class != Unknown { // else the log may have forgotten that it happened, whatever comes of it
		u.out.recall = &f
	}
	u.hold = nil
	c.touch(i)
}

// givenUp ends an attempt that was begun, without an outcome.
func (c *change) givenUp(i int, f Fault) {
	rec := c.Units[i].Current()
	if f.Class == PolicyDenied && c.unwanted(i) {
		c.reserved(i, 1) // nobody has refused it: it may have been answered before it was stopped
	}
	c.failed(i, f)
	rec.State = AttemptGivenUp
}

// onWithdrawn ends an attempt that is out of the queue and in nobody's hands. If it had been begun, its worker was lost or
// does not obey; nobody begins it any more.
func (c *change) onWithdrawn(e Withdrawn) {
	i, ok := c.current(e.Attempt)
	if !ok || !c.Units[i].Recalled() || c.claimed(i) || !c.since(2) {
		return
	}
	f := *c.Units[i].out.recall
	if c.Units[i].State() == StepRunning {
		c.givenUp(i, f)
		return
	}
	c.withdrawn(i, f)
}

// neverBegun takes in that a worker had an attempt in hand and did not begin it. It reports whether that is all: for an
// attempt that the run still wants it is a failure like others.
func (c *change) neverBegun(e Failed) bool {
	i, ok := c.current(e.Attempt)
	if !ok {
		return true // it was over before
	}
	u := &c.Units[i]
	wanted := !u.Recalled() && !c.Stopping(i)
	if wanted {
		return false
	}
	if rec := u.Current(); u.State() == StepRunning && (e.Start == "" || e.Start != rec.delivery) {
		return true // this is another delivery than the one that was begun; the outcome of that one is awaited
	}
	f := e.Fault
	if u.Recalled() {
		f = *u.out.recall
	}
	u.Current().Worker = e.Worker
	c.withdrawn(i, f)
	return true
}

// stopping reports whether unit i is to come to rest because the run is ending.
func (s *State) Stopping(i int) bool { return s.ending != "" && s.Units[i].origin.kind != undo }

// current finds the unit whose attempt a is out. Any other attempt is late: it belongs to an old round or try.
func (c *change) current(a Attempt) (int, bool) {
	i := c.Unit(a.Step)
	return i, i >= 0 && c.Units[i].is(a)
}

// accepts finds the unit for which the outcome of a counts: its attempt is out, or its outcome is unknown, nobody has
// decided about it yet, and this one comes from the worker that has the claim.
func (c *change) accepts(a Attempt, worker string) (int, bool) {
	i, ok := c.current(a)
	if ok || i < 0 {
		return i, ok
	}
	u := &c.Units[i]
	if u.doubt == 0 || u.phase == PhaseLeftUnknown || c.final != "" {
		return i, false
	}
	rec := &u.Attempts[u.doubt.index()]
	return i, rec.is(a) && rec.Worker == worker
}

// overruled reports whether a worker says that nothing happened in an attempt that another one has claimed: only who has
// the claim knows that. Others can find that it may have happened.
func (c *change) overruled(i int, e Failed) bool {
	rec := c.Units[i].Current()
	return c.since(5) && c.claimed(i) && rec.State == AttemptRunning && e.Worker != "" && rec.Worker != e.Worker && !e.Fault.MayHaveActed()
}

// keepLate keeps an outcome that came after the run had gone on without it, as history only.
func (c *change) keepLate(a Attempt, what string) {
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

// reported reports whether the record already shows this outcome, or one that counted.
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
