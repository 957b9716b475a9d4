package dispatch

import "time"

// clock estimates how far this machine's clock is ahead of the log's: no event arrives before it was stored, so the smallest
// age of a new event is the best estimate. Old values expire, because clocks drift.
type clock struct {
	now, before window
	turn        time.Time
}

// window is the smallest age seen within some time.
type window struct {
	age  time.Duration
	seen bool
}

// clockWindow is how long a window lasts; it is used for up to twice as long.
const clockWindow = time.Minute

// learn notes when the log stored an event that has just arrived for the first time.
func (c *clock) learn(stored time.Time) {
	now := time.Now()
	if now.After(c.turn) {
		c.before, c.now, c.turn = c.now, window{}, now.Add(clockWindow)
	}
	if age := now.Sub(stored); !c.now.seen || age < c.now.age {
		c.now = window{age, true}
	}
}

// ahead is the estimate; 0 before the first event.
func (c *clock) ahead() time.Duration {
	switch {
	case c.now.seen && c.before.seen:
		return min(c.now.age, c.before.age)
	case c.now.seen:
		return c.now.age
	}
	return c.before.age
}

// local turns a moment of the log into this machine's time, logged the other way round.
func (c *clock) local(at time.Time) time.Time  { return at.Add(c.ahead()) }
func (c *clock) logged(at time.Time) time.Time { return at.Add(-c.ahead()) }
