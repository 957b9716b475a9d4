package steps

import "time"

// HoldWhy says what holds an attempt back.
type HoldWhy string

const (
	HoldGate        HoldWhy = "gate"        // a gate that a person has closed
	HoldRate        HoldWhy = "rate"        // as many calls as may begin in a while have begun
	HoldConcurrency HoldWhy = "concurrency" // as many calls as may be under way at once are
	HoldRetryAfter  HoldWhy = "retry_after" // the other side takes no calls before a time that it has named, or fewer after it
	HoldBreaker     HoldWhy = "breaker"     // calls of the other side have failed too often
	HoldRetries     HoldWhy = "retries"     // as many of the calls of the other side are retries as may be
)

// ByPerson reports whether only a person ends the hold: the work clock stands then, and so does the step's budget.
func (w HoldWhy) ByPerson() bool { return w == HoldGate }

// ByLimit reports whether the hold ends by itself: the run's clock and the step's budget go on, the attempt is still wanted under
// its name, and only its message is kept out of the queue until then.
func (w HoldWhy) ByLimit() bool {
	return w == HoldRate || w == HoldConcurrency || w == HoldRetryAfter || w.ByBreaker()
}

// Hold is what holds a unit back: nothing of it is begun until it ends. A gate's is the gate as it was then, so that a gate
// that was lost outside can be made again from the log.
type Hold struct {
	Why    HoldWhy   `json:"why"`
	Gate   string    `json:"gate,omitempty"`   // id of the gate; empty for another reason
	Covers string    `json:"covers,omitempty"` // what the gate, or the limit, holds back, as people write it
	By     string    `json:"by,omitempty"`     // who closed it; empty for a limit
	Reason string    `json:"reason,omitempty"` // in that person's words, or the limit in words
	Since  time.Time `json:"since,omitzero"`   // when the gate was closed; since when a limit holds the attempt back
	Until  time.Time `json:"until,omitzero"`   // when it opens by itself, if that is known; a gate without it a person opens
}

// Text says in words what holds the unit back.
func (h *Hold) Text() string {
	switch h.Why {
	case HoldRate:
		return "held back by the rate limit of " + h.Covers + because(h.Reason)
	case HoldConcurrency:
		return "held back by the concurrency limit of " + h.Covers + because(h.Reason)
	case HoldRetryAfter:
		return "held back because " + h.Covers + " has asked to wait" + because(h.Reason)
	case HoldBreaker:
		return "held back by the open breaker of " + h.Covers + because(h.Reason)
	}
	if h.Why == HoldRetries {
		return "held back by the retry budget of " + h.Covers + because(h.Reason)
	}
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

// HeldBack is what holds the unit back, and since when; nil: nothing does, or a limit that has not lasted long enough to be put on
// the log.
func (u *Unit) HeldBack() (*Hold, time.Time) {
	if u.limit != nil {
		return &u.limit.Hold, u.limit.from
	}
	if u.hold == nil || u.phase != PhaseGated {
		return nil, time.Time{}
	}
	return &u.hold.Hold, u.hold.from
}

// Limited reports whether the log says that a limit holds the unit back.
func (u *Unit) Limited() bool { return u.limit != nil }

// ToBeHeld reports whether the unit's attempt, which is out, is being taken back only so that it can be held back: a worker that has
// begun it goes on.
func (u *Unit) ToBeHeld() bool { return u.hold != nil && u.Recalled() }

// MayBeHeld reports whether unit i has an attempt that can be held back: it is wanted, and no worker has begun it. A probe only
// looks, and what it looks at happened before.
func (s *State) MayBeHeld(i int) bool {
	u := &s.Units[i]
	return (u.phase == PhaseQueued || u.phase == PhaseRetrying) && s.since(2) && !s.Probing(i) && !s.Stopping(i)
}

// HeldBack is how many units people hold back.
func (s *State) HeldBack() int { return s.held }

// Limited is how many units the log says that limits hold back.
func (s *State) Limited() int { return s.limited }

// onHeld takes back the attempt that a person holds back: once nobody can begin it any more, its unit waits until it is released. A
// worker that was first goes on. What a limit holds back is not taken back: see [change.onLimited].
func (c *change) onHeld(e Held) {
	i := c.Unit(e.Step)
	if i < 0 {
		return
	}
	u := &c.Units[i]
	switch {
	case e.Hold.Why.ByBreaker() && c.Tool(i).Breaker != nil:
		c.onBroken(i, e)
	case e.Hold.Why.ByLimit():
		c.onLimited(i, e)
	case !e.Hold.Why.ByPerson():
		return
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

// onLimited notes what holds the attempt of unit i back, so that people see it. Nothing else changes: the attempt stays where it is,
// its time passes, and its outcome counts if a worker has it after all.
func (c *change) onLimited(i int, e Held) {
	u := &c.Units[i]
	if !u.is(e.Attempt) || !c.MayBeHeld(i) || u.limit != nil && u.limit.Hold == e.Hold {
		return
	}
	h := &holding{Hold: e.Hold, from: c.Now}
	switch {
	case u.limit != nil:
		h.from = u.limit.from
	case !e.Hold.Since.IsZero() && e.Hold.Since.Before(c.Now):
		h.from = e.Hold.Since
	}
	c.setLimit(i, h)
	u.Current().Note = h.Text()
	c.touch(i)
}

// setLimit says that the log has it that a limit holds unit i back; nil: that none does any more.
func (c *change) setLimit(i int, h *holding) {
	u := &c.Units[i]
	switch {
	case h != nil && u.limit == nil:
		c.limited++
	case h == nil && u.limit != nil:
		c.limited--
	}
	u.limit = h
}

// heldFor adds to what is said of unit i that a limit holds it back, for how long, where one does.
func (c *change) heldFor(i int) string {
	h := c.Units[i].limit
	if h == nil {
		return ""
	}
	return "; it was " + h.lasted(c.Now)
}

// lasted says in words what has held the unit back, and for how long.
func (h *holding) lasted(now time.Time) string {
	return h.Text() + ", for " + Duration(now.Sub(h.from).Round(time.Millisecond)).String()
}

// LimitedBy is the limit on calls of unit i's tool, and what the current one is counted by, as JSON; nil where the tool has none. Calls of
// which the expression cannot say it are counted together.
func (s *State) LimitedBy(i int) (l *Limits, per string) {
	t := s.Tool(i)
	if t.Limits == nil || !s.Counts(i) {
		return nil, ""
	}
	if e := s.Asks(i).Per; e != nil {
		if v, err := e(s.CallScope(i, nil)); err == nil {
			per = string(v)
		}
	}
	return t.Limits, per
}

// Counts reports whether the current call of unit i is one that limits count: what acts on nothing is not.
func (s *State) Counts(i int) bool {
	return !s.Probing(i) && !s.Tool(i).Rung(s.Units[i].Rung).Harmless()
}

// AttemptOver reports whether nobody can execute an attempt any more at a time, as far as the log knows: its outcome is known, or it was
// taken back. One of which nobody knows whether it happened may still be executed by a worker of whom nobody hears: then at says when
// that is over at the latest. A log that does not have the attempt says nothing of it before it has ended.
func (s *State) AttemptOver(a Attempt, now time.Time) (over bool, at time.Time) {
	i := s.Unit(a.Step)
	if i < 0 {
		return s.closed, time.Time{}
	}
	u := &s.Units[i]
	if u.is(a) && !s.closed {
		return false, time.Time{}
	}
	for n := range u.Attempts {
		if rec := &u.Attempts[n]; rec.Round == a.Round && rec.Rung == a.Rung && rec.Try == a.Try {
			at = s.executedUntil(i, rec)
			return !at.After(now), at
		}
	}
	return s.closed, time.Time{}
}

// executedUntil is when an attempt of unit i that is not out is executed at the latest; zero where nobody executes it.
func (s *State) executedUntil(i int, rec *AttemptRecord) time.Time {
	limit := time.Duration(s.Tool(i).Rung(rec.Rung).Timeout)
	if rec.State == AttemptGivenUp && !rec.claimed.IsZero() && limit > 0 { // its worker may not have heard that it is to stop
		return rec.claimed.Add(limit + runningGrace)
	}
	return rec.mayRunUntil
}

// holdBack lets unit i, whose attempt nobody has begun and nobody will, wait until it is released. No try is used up.
func (c *change) holdBack(i int) {
	if c.Units[i].hold.Why.ByBreaker() {
		c.passOver(i)
		return
	}
	rec := c.Units[i].Current()
	rec.Fault, rec.Note = nil, c.Units[i].hold.Text()
	c.become(i, PhaseGated)
}

// onReleased lets a unit go on where it was held back; where a person had held it back, with what was left of its budget.
func (c *change) onReleased(e Released) {
	i := c.Unit(e.Step)
	if i >= 0 && c.Units[i].limit != nil && c.Units[i].is(e.Attempt) {
		h := c.Units[i].limit
		c.Units[i].Current().Note = "was " + h.lasted(c.Now)
		c.setLimit(i, nil)
		c.touch(i)
		return
	}
	if i < 0 || c.Units[i].phase != PhaseGated || !c.Units[i].names(e.Attempt) {
		return
	}
	u := &c.Units[i]
	h, rec := u.hold, u.Current()
	if u.Deadline = (time.Time{}); h.left > 0 {
		u.Deadline = c.Now.Add(h.left)
	}
	u.ladder.broken = time.Time{}
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
