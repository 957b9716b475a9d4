package steps

import (
	"slices"
	"time"
)

// Apply folds one record into s, which is nil before the first one, and returns the new state and the indexes of the
// units that the record touched, [RunUnit] for the run itself. The list is never nil, but empty when the record says
// nothing new. Apply may reuse s. A record at or before s.Seq, a record after the end, and one that names an attempt that
// is over change nothing.
func Apply(s *State, r Record) (*State, []int) { return fold(s, r, nil) }

// fold is Apply, watched: watch, which may be nil, sees every transition of a unit.
func fold(s *State, r Record, watch func(u *Unit, to Phase)) (*State, []int) {
	if s == nil {
		return begin(r, watch)
	}
	if r.Seq <= s.Seq {
		return s, []int{}
	}
	c := &change{State: s, touched: []int{}, watch: watch, before: s.Seq}
	s.Seq = r.Seq
	if s.closed {
		return s, []int{}
	}
	c.tick(r.Time)
	if c.Foreign(r) {
		c.disbelieve(r)
		return s, c.touched
	}
	c.noteEarly(r.Event)
	c.apply(r.Event)
	c.advance()
	return s, c.touched
}

// change is one call of Apply: the state, and what it has touched and made ready so far.
type change struct {
	*State
	touched []int
	before  uint64 // sequence of the record before
	ready   []int  // plan steps and items whose needs are done, to be started
	watch   func(u *Unit, to Phase)
}

// apply only routes: there is one function per event.
func (c *change) apply(e Event) {
	switch e := e.(type) {
	case Started:
		c.onStarted(e)
	case Progress:
		c.onProgress(e)
	case Resumable:
		c.onResumable(e)
	case Succeeded:
		c.onSucceeded(e)
	case Failed:
		c.onFailed(e)
	case Objected:
		c.onObjected(e)
	case Claimed:
		c.onClaimed(e)
	case Junk:
		c.onJunk(e)
	case Fired:
		c.onFired()
	case Unserved:
		c.onUnserved(e)
	case Withdrawn:
		c.onWithdrawn(e)
	case Damaged:
		c.onDamaged(e)
	case Held:
		c.onHeld(e)
	case Released:
		c.onReleased(e)
	case Decided:
		c.onDecided(e)
	case Cancelled:
		c.onCancelled(e)
	case Migrated:
		c.onMigrated(e)
	case Steered:
		c.onSteered(e)
	case Closed:
		c.onClosed(e)
	}
}

// begin starts the fold. Only Submitted can do that: whatever comes before it belongs to no run.
func begin(r Record, watch func(u *Unit, to Phase)) (*State, []int) {
	e, ok := r.Event.(Submitted)
	if !ok || e.Program == nil {
		return nil, []int{}
	}
	s := &State{
		Run: r.Run, Program: e.Program, Input: e.Input, Labels: e.Labels, ToolsFile: e.ToolsFile, Trace: e.Trace, ReportTo: e.ReportTo, RetryOf: e.RetryOf, Replay: e.Replay, Migrates: e.Migrates,
		epoch: epochOf(e), By: e.By, Token: e.Token, Seq: r.Seq, first: r.Seq, Now: r.Time, Submitted: r.Time, clock: workClock{from: r.Time}, keyRun: e.KeyRun, keyRuns: e.Keys,
		allowed: time.Duration(e.Program.Plan.Deadline),
		Units:   make([]Unit, len(e.Program.Nodes)), left: len(e.Program.Nodes),
	}
	if s.keyRun == "" {
		s.keyRun = r.Run
	}
	if of := e.Migrates; of != nil {
		s.clock.spent = time.Duration(of.Spent)
		if s.allowed > 0 {
			s.allowed += time.Duration(of.More)
		}
	}
	if e.Proof != nil {
		of := e.Submission(r.Run)
		s.proof, s.submission = e.Proof, &of
	}
	for _, k := range e.Carried {
		if s.carried == nil {
			s.carried = make(map[string]Carried, len(e.Carried))
		}
		s.carried[k.Step] = k
	}
	c := &change{State: s, touched: []int{RunUnit}, watch: watch}
	for i := range s.Units {
		n := &s.Program.Nodes[i]
		s.Units[i] = Unit{ID: n.Step.ID, Node: i, Since: s.Seq, unmet: int32(len(n.Needs))}
	}
	if s.Scheduled = e.Begins(r.Time); !s.Scheduled.After(r.Time) {
		c.start()
	}
	c.advance()
	return s, c.touched
}

// tick moves time on to at, the log's timestamp.
func (c *change) tick(at time.Time) {
	if at.Before(c.Now) {
		at = c.Now // a new leader's clock may be behind; time never goes back within a run
	}
	c.Now = at
}

// advance does what follows from the event: it starts what is ready, ends what is over and sets the work clocks.
func (c *change) advance() {
	c.startReady()
	if c.ending != "" {
		c.compensate()
	}
	c.finish()
	c.stand()
}

func (c *change) startReady() {
	for len(c.ready) > 0 {
		i := c.ready[0]
		c.ready = c.ready[1:]
		c.begin(i)
	}
}

func (c *change) touch(i int) {
	if n := len(c.touched); n > 0 && c.touched[n-1] == i {
		return
	}
	if len(c.touched) < 32 && slices.Contains(c.touched, i) {
		return
	}
	c.touched = append(c.touched, i)
}

// become moves unit i to a phase.
func (c *change) become(i int, to Phase) {
	c.shift(i, to)
	c.Units[i].Since = c.Seq
	c.touch(i)
}

// shift changes the phase of unit i and keeps the counts that the run is judged by. Since stays: it is for phases that
// look the same from outside.
func (c *change) shift(i int, to Phase) {
	u := &c.Units[i]
	if c.watch != nil {
		c.watch(u, to)
	}
	c.checkMove(u, to)
	switch was := u.phase; {
	case to.out() && !was.out():
		c.out(i, 1)
	case was.out() && !to.out():
		c.out(i, -1)
	}
	if overPhases.has(to) && !u.Over() {
		c.left--
	}
	if (to == PhaseGated) != (u.phase == PhaseGated) {
		c.countGated(i, to)
	}
	if u.phase = to; !recalledPhases.has(to) {
		u.out.recall = nil
	}
	c.setLimit(i, nil)
	if u.hold != nil && to != PhaseGated && !recalledPhases.has(to) {
		u.hold = nil
	}
}

// finish ends the run once every unit is over and nobody is asked.
func (c *change) finish() {
	if c.final != "" || c.left > 0 || c.open > 0 {
		return
	}
	if c.ending != "" {
		c.end(c.ending)
		return
	}
	if !c.evalOutput() {
		return
	}
	if len(c.DegradedSteps()) > 0 {
		c.end(RunDegraded)
		return
	}
	c.end(RunSucceeded)
}

func (c *change) evalOutput() bool {
	expr := c.Program.Output
	if expr == nil || c.outputAsk {
		return true
	}
	out, err := expr(Scope{state: c.State})
	if err != nil {
		c.outputAsk = true
		c.ask(RunUnit, KindFailure, Fault{Class: BadExpression, Acted: ActedNo, Message: "output: " + err.Error()})
		return false
	}
	c.Output = out
	return true
}

func (c *change) end(st RunState) {
	c.final, c.Ended = st, c.Now
	c.touch(RunUnit)
}

// onClosed notes that the end is published. Closed repeats what the fold already says; the fold stays the truth. Only that the id of the
// run that this one goes on as was taken is not known before.
func (c *change) onClosed(e Closed) {
	if c.final == "" {
		return // the fold does not bear it out: somebody else wrote it
	}
	if m := c.migrated; m != nil && m.Spare != nil && e.GoesOnAs == m.Spare.To {
		c.spared, c.Reason = true, m.why(e.GoesOnAs)
	}
	c.closed = true
	c.touch(RunUnit)
}
