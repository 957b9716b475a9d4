package worker

import (
	"testing"
	"time"

	"belay/internal/bus"
	"belay/internal/ladder"
	"belay/internal/steps"
)

// skewed is a worker whose machine's clock is two minutes ahead of the server's.
func skewed(r *rig) *Worker {
	w := New(Options{Bus: r.Bus, Tools: map[ladder.Key]ladder.Rung{tool: {}}, Name: "w", AckWait: ackWait})
	now := time.Now()
	c := bus.NewClock(now.Add(-2*time.Minute), now, now)
	w.clock = func() bus.Clock { return c }
	return w
}

// TestTimesInMessagesAreTheServers, whatever this machine's clock says.
func TestTimesInMessagesAreTheServers(t *testing.T) {
	t.Parallel()
	w := skewed(newRig(t))
	soon := time.Now().Add(-time.Minute) // in a minute, at the server
	if wait := w.notYet(soon); wait < 50*time.Second || wait > time.Minute {
		t.Errorf("an attempt that is due in a minute waits for %v", wait)
	}
	j := &job{Worker: w}
	j.m = &j.handling.StepMessage
	j.m.Deadline = soon
	if e := j.refuse(); e != nil {
		t.Errorf("a budget that ends in a minute is used up: %+v", e)
	}
	j.m.Deadline = time.Now().Add(-2*time.Minute - time.Second)
	if e, is := j.refuse().(steps.Failed); !is || e.Fault.Class != steps.DeadlineExceeded {
		t.Errorf("a budget that ended a second ago: %+v", e)
	}
}

// TestAClaimedAttemptBeginsSoonOrNotAtAll: others reckon from its claim until when it may be executed.
func TestAClaimedAttemptBeginsSoonOrNotAtAll(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.submit(steps.EffectsUnsafe)
	m := message(steps.EffectsUnsafe)
	r.log(steps.Claimed{Attempt: m.Attempt, Worker: "w#me"})
	w := New(Options{Bus: r.Bus, Tools: map[ladder.Key]ladder.Rung{tool: {}}, Name: "w", AckWait: ackWait})
	w.pending.add()
	j := &job{
		Worker: w, inHand: w.keeper.keep(bus.Delivery{Entry: bus.Entry{Time: time.Now()}, Count: 1}), worker: "w#me",
		claimed: time.Now().Add(-steps.BeginsWithin - time.Second),
	}
	j.handling.StepMessage, j.m = m, &j.handling.StepMessage
	if j.mayBegin() {
		t.Fatal("it may begin")
	}
	if f := r.fault(steps.Unavailable); f.MayHaveActed() {
		t.Errorf("the log says %+v", f)
	}
}
