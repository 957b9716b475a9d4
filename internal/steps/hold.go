package steps

import "time"

// HoldWhy says what holds an attempt back.
type HoldWhy string

const (
	HoldGate HoldWhy = "gate" // a gate that a person has closed
)

// ByPerson reports whether only a person ends the hold: the work clock stands then, and so does the step's budget.
func (w HoldWhy) ByPerson() bool { return w == HoldGate }

// Hold is what holds a unit back: nothing of it is begun until it ends. A gate's is the gate as it was then, so that a gate
// that was lost outside can be made again from the log.
type Hold struct {
	Why    HoldWhy   `json:"why"`
	Gate   string    `json:"gate,omitempty"`   // id of the gate; empty for another reason
	Covers string    `json:"covers,omitempty"` // what the gate holds back, as people write it
	By     string    `json:"by,omitempty"`     // who closed it
	Reason string    `json:"reason,omitempty"` // in that person's words
	Since  time.Time `json:"since,omitzero"`   // when it was closed
	Until  time.Time `json:"until,omitzero"`   // when it opens by itself; zero = a person opens it
}

// Text says in words what holds the unit back.
func (h *Hold) Text() string {
	if h.By == "" {
		return "held back by gate " + h.Gate + because(h.Reason)
	}
	return "held back by gate " + h.Gate + ", closed by " + h.By + because(h.Reason)
}

// holding is a hold of one unit.
type holding struct {
	Hold
	from      time.Time     // when the unit was held back
	left      time.Duration // of its budget; 0 = it has none
	notBefore time.Time     // when its attempt could have been executed; zero = at once
}

// HeldBack is what holds the unit back, and since when; nil: nothing does.
func (u *Unit) HeldBack() (*Hold, time.Time) {
	if u.hold == nil || u.phase != PhaseGated {
		return nil, time.Time{}
	}
	return &u.hold.Hold, u.hold.from
}

// ToBeHeld reports whether the unit's attempt, which is out, is being taken back only so that it can be held back: a worker that has
// begun it goes on.
func (u *Unit) ToBeHeld() bool { return u.hold != nil && u.Recalled() }

// MayBeHeld reports whether unit i has an attempt that can be held back: it is wanted, and no worker has begun it. A probe only
// looks, and what it looks at happened before.
func (s *State) MayBeHeld(i int) bool {
	u := &s.Units[i]
	return (u.phase == PhaseQueued || u.phase == PhaseRetrying) && s.since(2) && !s.Probing(i) && !s.Stopping(i)
}

// HeldBack is how many units are held back.
func (s *State) HeldBack() int { return s.held }

// onHeld takes back the attempt that is held back: once nobody can begin it any more, its unit waits until it is released. A
// worker that was first goes on.
func (c *change) onHeld(e Held) {
	if !e.Hold.Why.ByPerson() {
		return
	}
	i := c.Unit(e.Step)
	if i < 0 {
		return
	}
	u := &c.Units[i]
	switch {
	case u.phase == PhaseGated && u.names(e.Attempt):
		h := *u.hold
		h.Hold = e.Hold
		u.hold = &h
		u.Current().Note = h.Text()
		c.touch(i)
	case u.is(e.Attempt) && c.MayBeHeld(i):
		h := &holding{Hold: e.Hold, from: c.Now, notBefore: u.out.notBefore}
		if !u.Deadline.IsZero() {
			h.left = max(1, u.Deadline.Sub(c.Now))
		}
		c.recall(i, Fault{Class: PolicyDenied, Acted: ActedNo, Message: h.Text()})
		u.hold = h
	}
}

// holdBack lets unit i, whose attempt nobody has begun and nobody will, wait until it is released. No try is used up.
func (c *change) holdBack(i int) {
	rec := c.Units[i].Current()
	rec.Fault, rec.Note = nil, c.Units[i].hold.Text()
	c.become(i, PhaseGated)
}

// onReleased lets a unit go on where it was held back, with what was left of its budget.
func (c *change) onReleased(e Released) {
	i := c.Unit(e.Step)
	if i < 0 || c.Units[i].phase != PhaseGated || !c.Units[i].names(e.Attempt) {
		return
	}
	u := &c.Units[i]
	h, rec := u.hold, u.Current()
	if u.Deadline = (time.Time{}); h.left > 0 {
		u.Deadline = c.Now.Add(h.left)
	}
	if u.onward = nil; !rec.spent {
		u.onward = rec.Continues
	}
	c.queue(i, max(0, h.notBefore.Sub(c.Now)))
}

// countGated counts the units that are held back: unit i is from now on, or was until now.
func (c *change) countGated(i int, to Phase) {
	n := -1
	if to == PhaseGated {
		n = 1
	}
	c.held += n
	if l := c.agentOf(i); l != nil {
		l.held += n
	}
}
