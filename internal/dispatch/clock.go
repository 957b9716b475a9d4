package dispatch

import "time"

// A run's timer is a time of the log, which is the server's. It is turned into a moment of this process when it is looked at, and
// not before: what is known of the server's time gets better, and its clock may be set.

// here is when a time of the log has certainly come, as a moment of this process.
func (p *partition) here(at time.Time) time.Time {
	c := p.Bus.Clock()
	return c.Here(at)
}

// logged is here the other way round.
func (p *partition) logged(here time.Time) time.Time {
	c := p.Bus.Clock()
	return c.Earliest(here)
}
