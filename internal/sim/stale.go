package sim

import (
	"time"

	"belay/internal/steps"
)

// A dispatcher that stands still in the middle of its publishes is replaced, and does not know: it goes on with what it
// wanted to publish, folds the events that were sent to it before, and publishes what follows from them by its old state.
// Nothing takes that from it. What makes it harmless are two fences where it writes to, of which one is enough here: the log
// takes the first claim of an attempt and no other, so that a worker who finds one reads what became of it; and a worker asks
// the log whether it wants an unsafe call before it claims it. [NoFence] is both of them broken.
//
// The other conditions of a dispatcher's publishes save work, and nothing else: the core's rules cover what they keep out.
// A second message of an attempt in the queue finds the claim of the first; a second result says what the first one did,
// because what is decided stays decided; a claim that withdraws an attempt does so only if it comes before a worker's; an
// attempt that is said to be withdrawn is only if the run still takes it back; a timer that is not due changes nothing; and
// where a message is removed that is wanted, the dispatcher that has the log finds it missing.
//
// Calls without a claim have no fence: they may be repeated, and are, also when their attempt is over ([Played.Late]).

// frozen is what a dispatcher that stands still goes on with.
type frozen struct {
	still bool
	waits []func() // publishes
	sent  int      // entries of the log that were sent to it before it was replaced
	life  int      // of the server's disk by then
}

// unlessStill does something now, or once the dispatcher goes on.
func (d *dispatcher) unlessStill(do func()) {
	if d.frozen.still {
		d.frozen.waits = append(d.frozen.waits, do)
		return
	}
	do()
}

func (d *dispatcher) freeze(long time.Duration) {
	d.frozen = frozen{still: true, life: d.disk.life}
	d.say(d.name, "stands still for %s", long)
	d.in(takeover, func() {
		if d.frozen.still && d.up && d.pinned() {
			d.frozen.sent = len(d.Log)
			d.say(d.name, "is replaced")
			d.startDispatcher()
			d.play.wake()
		}
	})
	d.in(long, d.thaw)
}

// thaw goes on, one publish after the other. What a server has lost with its connections is lost to it too.
func (d *dispatcher) thaw() {
	if !d.up {
		return
	}
	if d.frozen.life != d.disk.life {
		d.up = false
		return
	}
	if len(d.frozen.waits) > 0 {
		next := d.frozen.waits[0]
		d.frozen.waits = d.frozen.waits[1:]
		next()
		d.in(d.hop(), d.thaw)
		return
	}
	d.frozen.still = false
	if d.pinned() {
		d.wake()
		return
	}
	d.say(d.name, "goes on, by what it knew")
	d.foldUpTo(d.frozen.sent)
	d.in(noticesAfter, func() { d.up = false })
}

// purge removes a message of the queue. One that was removed by a dispatcher that had been replaced may be wanted: the one
// that has the log sees that.
func (d *dispatcher) purge(m steps.StepMessage) {
	d.remove(m)
	d.compareQueue()
}

// purgeRung removes all messages of a rung.
func (d *dispatcher) purgeRung(m steps.StepMessage) {
	for _, it := range d.queue {
		if it.m.Tool == m.Tool && it.m.RungName == m.RungName {
			d.remove(it.m)
		}
	}
	d.compareQueue()
}

// compareQueue has the dispatcher that has the log look, as it does every so often, whether all that is wanted is in the queue.
func (d *dispatcher) compareQueue() {
	if d.pinned() {
		return
	}
	d.in(queueEvery, func() {
		now := d.d
		switch {
		case d.closed || now.state == nil && now.up:
		case !now.up || now.frozen.still:
			d.compareQueue()
		case now.misses():
			d.say(now.name, "finds that the queue lacks what is wanted")
			now.sent, now.made = map[string]steps.Attempt{}, map[string]bool{}
			now.takeOver()
		}
	})
}

// misses reports whether a message that was queued is wanted and not there.
func (d *dispatcher) misses() bool {
	for _, m := range steps.Wants(d.state, nil).Steps {
		if d.sent[m.Step] == m.Attempt && d.queue[steps.AttemptName(m.Run, m.Attempt)] == nil {
			return true
		}
	}
	return false
}
