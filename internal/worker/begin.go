package worker

import (
	"context"
	"time"

	"belay/internal/steps"
)

// Once a run or an attempt is shown as over, nothing of it may begin; it is shown so only when no worker can begin it (see
// dispatch's withdrawUnclaimed). The worker's part: a message that waits in hand gets stops like an executing one, and
// reports that it was never begun; and right before an attempt begins, its worker must have heard every stop up to a moment
// ago, and still own the message. What remains is a process that is frozen between this check and the call.

// mayBegin is the last check. If the attempt may not begin, the message has been handled.
func (j *job) mayBegin() bool {
	switch {
	case !j.ours(j.AckWait):
		j.lost()
	case j.m.Claimed() && time.Since(j.claimed) > steps.BeginsWithin:
		j.tooLate()
	case j.m.Claimed():
		return j.stillClaimed() // what is claimed cannot be withdrawn
	case !j.listener.upToDate(j.life):
		j.park(time.Second)
	case j.conn != j.Bus.ConnectedAt():
		j.park(0) // stops may have been lost with the connection; the redelivery reads the log
	default:
		return true // begin checks the signal
	}
	return false
}

// stillClaimed reads the log once more where the connection is another one than that which delivered the message: the server
// may have forgotten who had it.
func (j *job) stillClaimed() bool {
	conn := j.Bus.ConnectedAt()
	if conn.Equal(j.conn) || conn.Equal(j.checked) {
		return true
	}
	j.checked, j.behind.until = conn, time.Now().Add(claimPatience)
	j.handling.Recheck()
	return j.proceed(steps.ActBegin) && j.mayBegin()
}

// lost gives up a message whose ack wait passed before its attempt began: another worker may have it. A claimed attempt
// cannot begin elsewhere, so it is reported.
func (j *job) lost() {
	j.Logger.Warn("the server got no heartbeat for this message within the ack wait, so another worker may have it; it is not begun here", "attempt", j.name())
	if !j.m.Claimed() {
		j.release()
		return
	}
	j.report(j.failed(steps.Fault{Class: steps.Unavailable, Acted: steps.ActedNo, Message: "never begun: its worker had no contact with the server for longer than the ack wait"}, 0))
}

// tooLate gives up a claimed attempt that did not begin soon. Others reckon from its claim until when it may be executed, and
// may look or repeat it after that.
func (j *job) tooLate() {
	took := time.Since(j.claimed).Round(time.Millisecond).String()
	j.Logger.Warn("an attempt does not begin, because its claim took too long", "attempt", j.name(), "took", took)
	j.report(j.failed(steps.Fault{Class: steps.Unavailable, Acted: steps.ActedNo, Message: "never begun: from its claim on " + took + " passed, at most " + steps.BeginsWithin.String() + " may"}, 0))
}

// begin marks the attempt as executing, unless it was stopped. If it is stopped later, Started is appended at once, so that
// the dispatcher knows that there is an outcome to wait for.
func (j *job) begin(cancel context.CancelCauseFunc) bool {
	return j.stops.begin(j.signal, func(unbegunOnly bool) {
		if !j.awaited && !j.m.Claimed() {
			j.logEvent(j.started())
		}
		if !unbegunOnly {
			cancel(errStopped)
		}
	})
}

// reportNeverBegun reports that the attempt was in hand and never begun, because it is no longer wanted.
func (j *job) reportNeverBegun() { j.report(j.neverBegun()) }

//go:noinline
func (j *job) neverBegun() steps.Event {
	f := steps.Fault{Class: steps.Unavailable, Acted: steps.ActedNo, Message: "never begun, because the run is ending or has given this attempt up"}
	return steps.Failed{Attempt: j.m.Attempt, Worker: j.worker, Fault: f, Start: j.handling.Start, Stopped: j.worker == j.Name} // what is claimed cannot be withdrawn
}

// wait waits with the message in hand. If something else ended the wait, the message has been handled.
func (j *job) wait(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-j.stops.heard(j.signal):
		j.reportNeverBegun()
	case <-j.stopping:
		j.park(d)
	}
	return false
}
