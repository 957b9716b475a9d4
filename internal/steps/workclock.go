package steps

import "time"

// workClock measures the time in which machines have something to do. It stands while only people can go on.
type workClock struct {
	spent    time.Duration // up to from
	from     time.Time
	standing bool
}

// at is what the clock shows at a time that is not before the last change.
func (w workClock) at(now time.Time) time.Duration {
	if w.standing {
		return w.spent
	}
	return w.spent + now.Sub(w.from)
}

func (w *workClock) stand(standing bool, now time.Time) {
	if standing != w.standing {
		*w = workClock{spent: w.at(now), from: now, standing: standing}
	}
}

// stand stops the run's work clock, and those of its agents, while only people can move the run, or the agent, on, and before the
// run begins.
func (c *change) stand() {
	c.clock.stand((c.active == 0 && c.open+c.held > 0 || c.toBegin()) && c.final == "", c.Now)
	for i := range c.Program.Nodes {
		if l := c.Units[i].loop; l != nil {
			waits := l.out == 0 && (l.asked+l.held > 0 || c.pausing())
			l.clock.stand(waits || c.clock.standing || c.Units[i].Over(), c.Now)
		}
	}
}

// out counts n more units whose attempt is in the queue or with a worker.
func (c *change) out(i, n int) {
	c.active += n
	if l := c.agentOf(i); l != nil {
		l.out += n
	}
}

// asked counts n more open escalations of unit i.
func (c *change) asked(i, n int) {
	c.open += n
	if l := c.agentOf(i); l != nil {
		l.asked += n
	}
}

// agentOf is the loop that unit i belongs to; nil where there is none.
func (c *change) agentOf(i int) *loop {
	if i == RunUnit {
		return nil
	}
	if u := &c.Units[i]; u.ofAgent() {
		i = int(u.origin.parent)
	}
	return c.Units[i].loop
}
