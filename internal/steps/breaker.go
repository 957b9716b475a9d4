package steps

import "time"

// Breaker says when what a tool's rungs talk to is left alone for a while, because it fails for everybody. Of which calls, and what
// of them counts, package breaker knows.
type Breaker struct {
	Failures float64  `json:"failures"` // share of the calls in the window that must have failed, above 0, at most 1
	Min      int      `json:"min"`      // calls in the window below which it never opens
	Window   Duration `json:"window"`   // over which calls are counted
	Open     Duration `json:"open"`     // how long no call goes before one is let through
	MaxHold  Duration `json:"max_hold"` // how long a step waits that has no other rung
	Retries  float64  `json:"retries"`  // share of the calls in the window that may be retries
}

// ByBreaker reports whether the hold spares what the call talks to: the unit goes to its next rung, if it has one.
func (w HoldWhy) ByBreaker() bool { return w == HoldBreaker || w == HoldRetries }

// leftAlone reports whether no call was made, to spare what it would have talked to.
func (r Reason) leftAlone() bool { return r == BreakerOpen || r == RetryBudget }

// fault is why an attempt ends that a breaker keeps back.
func (h *holding) fault(message string) Fault {
	f := Fault{Class: Unavailable, Acted: ActedNo, Reason: BreakerOpen, Message: message}
	if h.Why == HoldRetries {
		f.Reason = RetryBudget
	}
	return f
}

// cause says in words why nothing is called, also where the unit does not wait for that.
func (h *holding) cause() string {
	if h.Why == HoldRetries {
		return "the retry budget of " + h.Covers + " is used up" + because(h.Reason)
	}
	return "the breaker of " + h.Covers + " is open" + because(h.Reason)
}

// Broken reports whether a breaker holds the unit back, as the log says.
func (u *Unit) Broken() bool { return u.limit != nil && u.limit.Why.ByBreaker() }

// brokenBy reports the same of a unit that is on its rung's breaker's time.
func (u *Unit) brokenBy() bool { return u.Broken() && !u.ladder.broken.IsZero() }

// HasTried reports whether the unit has called what its rung talks to before in this round.
func (u *Unit) HasTried() bool {
	for n := range u.Attempts {
		if rec := &u.Attempts[n]; rec.Round == u.Round && rec.Rung == u.Rung && !rec.Started.IsZero() {
			return true
		}
	}
	return false
}

// onBroken takes back the attempt that a breaker keeps from what it would call. Once nobody can begin it any more, see
// [change.passOver]. A worker that was first goes on.
func (c *change) onBroken(i int, e Held) {
	u := &c.Units[i]
	switch {
	case !u.is(e.Attempt) || !c.MayBeHeld(i):
	case u.Broken():
		c.onLimited(i, e)
	default:
		h := &holding{Hold: e.Hold, from: c.Now, notBefore: u.out.notBefore}
		c.recall(i, h.fault("not called: "+h.cause()))
		u.hold = h
	}
}

// passOver is for unit i, whose attempt a breaker has kept back: it goes on on its next rung at once, and no try is used up. Where it
// has none, and where what was begun has to go on, it is wanted still, and held for a while.
func (c *change) passOver(i int) {
	u := &c.Units[i]
	h, rec := u.hold, u.Current()
	since := u.ladder.broken
	if since.IsZero() {
		since = h.from
	}
	if rec.Continues == nil && c.otherInDoubt(i) < 0 && c.nextRung(i) {
		return
	}
	rec.Fault, rec.Note = nil, h.Text()
	if u.onward = nil; !rec.spent {
		u.onward = rec.Continues
	}
	c.queue(i, max(0, h.notBefore.Sub(c.Now)))
	if u.ladder.broken = since; c.MayBeHeld(i) {
		c.setLimit(i, &holding{Hold: h.Hold, from: since})
		u.Current().Note = h.Text()
	}
}

// brokenUntil is when unit i has been held by its breaker for long enough, or its budget is used up.
func (s *State) brokenUntil(i int) time.Time {
	u := &s.Units[i]
	until := u.ladder.broken.Add(time.Duration(s.Tool(i).Breaker.MaxHold))
	if !u.Deadline.IsZero() && u.Deadline.Before(until) {
		return u.Deadline
	}
	return until
}

// heldLongEnough reports whether it was its breaker that has let unit i wait for too long, not its budget.
func (c *change) heldLongEnough(i int) bool {
	u := &c.Units[i]
	return u.Deadline.IsZero() || c.Now.Before(u.Deadline)
}
