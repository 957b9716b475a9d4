package worker

import (
	"context"
	"time"

	"belay/internal/steps"
)

// Once a run or an attempt is shown as over nothing of it may begin, and the run is shown so only when no worker can
// begin it (see dispatch's takeBack). A worker's side of that: what waits in hand hears stops like what executes, and
// says that it was put down; and right before an attempt begins, its worker must have heard everything up to a moment
// ago, and hold a lease on the message that it could renew. What remains is a process that is frozen between this check
// and the call.

// mayBegin is the last look. If the attempt may not begin, the message has been dealt with.
func (j *job) mayBegin() bool {
	switch {
	case !j.ours(j.AckWait):
		j.lost()
	case j.m.Claimed():
		return true // nobody can take back what is claimed
	case !j.ears.uptodate(j.life):
		j.park(time.Second)
	case j.conn != j.Bus.ConnectedAt():
		j.park(0) // words may have gone with the connection; when it comes again the log is asked
	default:
		return true // what it has heard is looked at when it begins
	}
	return false
}

// lost lets go of a message whose lease ran out before its attempt began: it may be in another hand. Nobody else can
// begin what is claimed, so of that the log is told.
func (j *job) lost() {
	j.Log.Warn("the server has not heard of this message for the ack wait, so it may be another worker's; it is not begun here", "attempt", j.name())
	if !j.m.Claimed() {
		j.release()
		return
	}
	j.report(j.failed(steps.Fault{Class: steps.Unavailable, Acted: steps.ActedNo, Message: "never begun: its worker was out of touch for longer than the ack wait"}, 0))
}

// begin marks the attempt as executing, unless it has heard that nobody wants it. The log learns at once of an attempt
// that is told to stop: whoever waits for that knows then that there is an outcome to wait for.
func (j *job) begin(cancel context.CancelCauseFunc) bool {
	return j.stops.begin(j.word, func() {
		if !j.awaited && !j.m.Claimed() {
			j.tell(steps.Started{Attempt: j.m.Attempt, Worker: j.worker})
		}
		cancel(errStopped)
	})
}

// putDown says that the attempt was in hand and never begun, because nobody wants it any more.
func (j *job) putDown() { j.report(j.neverBegun()) }

//go:noinline
func (j *job) neverBegun() steps.Event {
	f := steps.Fault{Class: steps.Unavailable, Acted: steps.ActedNo, Message: "never begun, because the run is ending or has given this attempt up"}
	return steps.Failed{Attempt: j.m.Attempt, Worker: j.worker, Fault: f, Start: j.start, Stopped: j.worker == j.Name} // what is claimed cannot be withdrawn
}

// wait lets time pass with the message in hand. If something ended the wait, the message has been dealt with.
func (j *job) wait(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-j.stops.heard(j.word):
		j.putDown()
	case <-j.stopping:
		j.park(d)
	}
	return false
}
