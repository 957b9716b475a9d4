package steps

import "time"

// BeginsWithin is how long after its claim was sent a worker begins an attempt, or not at all: the fold reckons from the
// claim until when it may be executed, and allows for less than runningGrace.
const BeginsWithin = 3 * time.Second

// mayRunUntil is when the current attempt of unit i must have ended, if its outcome is unknown because nobody hears of the
// worker that has claimed it: that worker may be cut off and still executing it. Zero where nothing bounds it.
func (c *change) mayRunUntil(i int) time.Time {
	u := &c.Units[i]
	rec := u.Current()
	end := u.Deadline
	if t := time.Duration(c.Tool(i).Rung(u.Rung).Timeout); t > 0 {
		if sooner := rec.claimed.Add(t); end.IsZero() || sooner.Before(end) {
			end = sooner
		}
	}
	if rec.claimed.IsZero() || end.IsZero() {
		return time.Time{}
	}
	return end.Add(runningGrace)
}

// stillRunning is how long an attempt of unit i with an unknown outcome may still be executed. Before that, finding nothing
// proves nothing, and a repetition may be the second payment.
func (c *change) stillRunning(i int) (left time.Duration) {
	for n := range c.Units[i].Attempts {
		if until := c.Units[i].Attempts[n].mayRunUntil; !until.IsZero() {
			left = max(left, until.Sub(c.Now))
		}
	}
	return left
}

// tooSoon is for what a person sends back while it may still be executed: whoever looked saw nothing yet. A probe looks once
// it must be over; where there is none, the person is asked again.
func (c *change) tooSoon(i int) {
	if c.Tool(i).Verify != nil {
		c.probe(i)
		return
	}
	c.ask(i, KindUnknown, *c.Units[i].Fault)
}
