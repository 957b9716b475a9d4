package worker

import "time"

// Times in messages are the log's: before which an attempt must not begin, when its step's budget ends, until when an approval
// holds. This machine's clock may differ, so the worker goes by the server's.

// notYet is how long it is until a time of the log; not positive once it has certainly come.
func (w *Worker) notYet(at time.Time) time.Duration { return at.Sub(w.earliest(time.Now())) }

// earliest is the log's time at a moment of this process, or a little before that.
func (w *Worker) earliest(here time.Time) time.Time {
	c := w.clock()
	return c.Earliest(here)
}

// latest is the log's time at a moment of this process, or a little later.
func (w *Worker) latest(here time.Time) time.Time {
	c := w.clock()
	return c.Latest(here)
}

// logTime is the log's time now, or a little later.
func (w *Worker) logTime() time.Time { return w.latest(time.Now()) }

// began is when something began that has just ended, by the log's time.
func (w *Worker) began(took time.Duration) time.Time {
	c := w.clock()
	return c.Now(time.Now()).Add(-took).UTC()
}
