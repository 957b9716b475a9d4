package steps

import "time"

// A run may be accepted now for a time to come. Until then nothing of it is out, its work clock stands, and its timer is the time
// at which it begins: the dispatcher's Fired begins it, as it does whatever else time alone does.

// Begins is when a run begins that the log has had since accepted; zero where that is at once.
func (e *Submitted) Begins(accepted time.Time) time.Time {
	switch {
	case epochOf(*e) < 7:
		return time.Time{}
	case e.At.IsZero() && e.In > 0:
		return accepted.Add(time.Duration(e.In))
	}
	return e.At
}

// toBegin reports whether the run's time to begin has not come.
func (s *State) toBegin() bool { return s.Began.IsZero() && s.ending == "" && s.final == "" }

// start begins the run: the steps that need no other one are ready.
func (c *change) start() {
	c.Began = c.Now
	for i := range c.Units {
		if c.Units[i].unmet == 0 {
			c.ready = append(c.ready, i)
		}
	}
	c.touch(RunUnit)
}

// Lasted is how long the run took, or has taken so far, with the time that people took; 0 where it never began.
func (s *State) Lasted() time.Duration {
	switch {
	case s.Began.IsZero():
		return 0
	case s.Ended.IsZero():
		return s.Now.Sub(s.Began)
	}
	return s.Ended.Sub(s.Began)
}
