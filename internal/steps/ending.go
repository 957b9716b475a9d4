package steps

import "time"

// How long a run that is ending waits for its executing attempts: they are told to stop again at every tick, and given
// up after the grace.
const (
	stopTick  = 2 * time.Second
	stopGrace = 10 * time.Second
)

// onCancelled ends the run because a person said so.
func (c *change) onCancelled(e Cancelled) {
	reason := "cancelled"
	if e.By != "" {
		reason += " by " + e.By
	}
	if e.Reason != "" {
		reason += ": " + e.Reason
	}
	c.startEnding(RunCancelled, reason)
}

// startEnding lets nothing new start. Attempts that nobody executes are withdrawn, and executing ones are told to stop.
// Once all have ended or are unknown, what was completed is compensated, and then the run ends as st.
func (c *change) startEnding(st RunState, reason string) {
	if c.ending != "" || c.final != "" {
		return
	}
	c.ending, c.Reason, c.endingFrom, c.endingSeq, c.paused, c.holed = st, reason, c.Now, c.Seq, false, false
	for c.escalationOf(RunUnit) != nil {
		c.supersede(RunUnit)
	}
	for i := range c.Units {
		c.stop(i)
	}
	c.askLeft()
	c.touch(RunUnit)
}

// stop ends unit i of a run that is ending, as far as that can be done at once.
func (c *change) stop(i int) {
	u := &c.Units[i]
	switch {
	case u.Over():
	case u.doubt != 0 && !u.phase.out() && u.phase != PhaseUnknown && c.since(3): // its probe is put off, or with a person
		c.supersede(i)
		c.standOn(i, u.doubt.index())
		c.become(i, PhaseUnknown)
		c.stopUnknown(i)
	case (u.phase == PhaseAsked || u.phase == PhaseDeferred || u.phase == PhaseGated) && c.leftOff(i):
		c.supersede(i)
		c.leaveOff(i, "the run is ending, and the call does not go on")
	case u.phase == PhaseFannedOut, u.phase == PhaseLooping, u.phase == PhaseWaiting, u.phase == PhaseDeferred, u.phase == PhaseHeld, u.phase == PhaseGated:
		c.supersede(i)
		c.become(i, PhaseCancelled)
	case c.Probing(i) && !c.since(2):
		c.unprobe(i, Attempt{})
		c.stopUnknown(i)
	case u.phase == PhaseRunning, u.phase == PhaseStopping:
		c.touch(i) // told to stop; its outcome or the grace ends it
	case u.phase.out():
		c.giveBack(i, Fault{Class: PolicyDenied, Acted: ActedNo, Message: "the run is ending: " + c.Reason})
	case u.phase == PhaseUnknown:
		c.stopUnknown(i)
	default:
		c.supersede(i)
		c.become(i, PhaseFailed)
	}
}

// stopUnknown asks people, or goes on asking, only where the answer decides whether something is to be undone.
func (c *change) stopUnknown(i int) {
	if c.undone(i) {
		if c.escalationOf(i) == nil {
			c.ask(i, KindUnknown, *c.Units[i].Fault)
		}
		c.touch(i)
		return
	}
	c.supersede(i)
	c.leaveUnknown(i)
}
