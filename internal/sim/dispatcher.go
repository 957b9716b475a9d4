package sim

import (
	"fmt"
	"slices"
	"time"

	"belay/internal/steps"
	"belay/internal/wire"
)

// Times of dispatchers: how long it takes until another one has taken over, how long a step may wait for a worker, how often
// the queue is compared with what is wanted, and how long one that was replaced takes to notice.
const (
	takeover      = 5 * time.Second
	unservedAfter = time.Minute
	queueEvery    = 30 * time.Second
	noticesAfter  = time.Minute
)

// dispatcher is a dispatcher, with what it has in memory.
type dispatcher struct {
	*play
	name   string
	up     bool
	first  bool         // nothing was there before it
	state  *steps.State // nil until it has read the log
	seen   int          // records folded
	sent   map[string]steps.Attempt
	made   map[string]bool
	timer  time.Time
	frozen frozen
}

// startDispatcher has another dispatcher take the place of the one that there was.
func (p *play) startDispatcher() {
	p.born++
	p.d = &dispatcher{play: p, name: fmt.Sprintf("d%d", p.born), up: true, first: p.born == 1, sent: map[string]steps.Attempt{}, made: map[string]bool{}}
}

func (p *play) wake() { p.d.wake() }

// pinned reports whether the log's events go to this dispatcher.
func (d *dispatcher) pinned() bool { return d.d == d }

// wake folds what is new in the log, publishes the difference after each event, and would acknowledge the event then.
func (d *dispatcher) wake() {
	if !d.up || d.frozen.still || d.state != nil && d.state.Closed() {
		return
	}
	if d.state == nil && !d.first {
		d.takeOver()
		return
	}
	d.foldUpTo(len(d.Log))
}

func (d *dispatcher) foldUpTo(end int) {
	for d.up && !d.frozen.still && d.seen < min(end, len(d.Log)) {
		var touched []int
		d.state, touched = steps.Apply(d.state, d.Log[d.seen])
		d.seen++
		d.ensure(steps.Wants(d.state, touched), nil)
	}
}

// takeOver reads the queue and then the log, and publishes all that is wanted and not there.
func (d *dispatcher) takeOver() {
	d.state = nil
	queued := d.queued()
	for _, rec := range d.Log {
		d.state, _ = steps.Apply(d.state, rec)
	}
	d.seen = len(d.Log)
	if d.Broken == NoReconcile {
		return
	}
	d.ensure(steps.Wants(d.state, nil), queued)
}

// publish stores one thing, unless the dispatcher is killed before it, or stands still.
func (d *dispatcher) publish(do func()) {
	if !d.up {
		return
	}
	if d.frozen.still {
		d.unlessStill(do)
		return
	}
	n := d.Published
	d.Published++ // what is not stored counts: the next one has another number
	if d.Crash != nil && d.Crash(n) {
		d.kill()
		return
	}
	if d.Freeze != nil {
		if long := d.Freeze(n); long > 0 {
			d.freeze(long)
			d.unlessStill(do)
			return
		}
	}
	do()
}

func (d *dispatcher) kill() {
	d.up = false
	if !d.pinned() {
		return
	}
	d.say("dispatcher", "is killed; another one takes over in %s", takeover)
	d.in(takeover, func() {
		if d.pinned() {
			d.startDispatcher()
			d.play.wake()
		}
	})
}

// once publishes what was not published before.
func (d *dispatcher) once(name string, do func()) {
	if !d.made[name] {
		d.made[name] = true
		d.publish(do)
	}
}

// ensure publishes what is wanted and not there, the result last.
func (d *dispatcher) ensure(w steps.WantList, queued []steps.Attempt) {
	s := d.state
	for _, m := range w.Steps {
		d.queueStep(m, queued)
	}
	for _, m := range w.Withdraw {
		d.withdraw(m)
	}
	for _, m := range w.Gone {
		d.once("gone "+short(m.Attempt), func() { d.purge(m) })
	}
	for _, m := range w.Stop {
		d.unlessStill(func() { d.tellStop(m.Attempt, false) })
	}
	for _, n := range w.Escalations {
		id := s.Escalations[n].ID
		d.once("asks "+id, func() { d.ask(id) })
	}
	for _, n := range w.Closed {
		d.once("closed "+s.Escalations[n].ID, func() {})
	}
	if w.Result != nil {
		result := *w.Result
		d.once("result", func() { d.append(result) })
	}
	d.arm()
}

func (d *dispatcher) queueStep(m steps.StepMessage, queued []steps.Attempt) {
	if a, ok := d.sent[m.Step]; ok && a == m.Attempt {
		return
	}
	d.sent[m.Step] = m.Attempt
	if !slices.Contains(queued, m.Attempt) {
		requeued := d.queuesLost > 0
		d.publish(func() { d.enqueue(m, requeued) })
	}
}

// withdraw makes sure that nobody begins an attempt: by claiming it, or by telling workers to drop it, removing it from
// the queue, and waiting until every worker has heard that.
func (d *dispatcher) withdraw(m steps.StepMessage) {
	wide := d.state.Ending() != ""
	d.once("withdraw "+short(m.Attempt), func() {
		if m.Claimed() {
			d.append(steps.Withdrawal(m))
			return
		}
		d.tellStop(m.Attempt, d.state.Units[d.state.Unit(m.Step)].ToBeHeld())
		d.purge(m)
		if wide { // in one go with the others of its rung: compensations come later
			d.purgeRung(m)
		}
		d.in(wire.HeardBy, func() {
			delete(d.made, "withdraw "+short(m.Attempt)) // the log may have a start of it in front of what is appended here
			if d.up && d.stillWithdraws(m.Attempt) {     // else whoever takes over begins anew
				d.append(steps.Withdrawal(m))
			}
		})
	})
}

func (d *dispatcher) stillWithdraws(a steps.Attempt) bool {
	i := d.state.Unit(a.Step)
	w := steps.Wants(d.state, []int{i})
	return slices.ContainsFunc(w.Withdraw, func(m steps.StepMessage) bool { return m.Attempt == a })
}

// tellStop tells workers that an attempt is not wanted any more; unbegunOnly is for those that have not begun it.
func (p *play) tellStop(a steps.Attempt, unbegunOnly bool) {
	p.in(p.hop(), func() {
		for _, h := range p.handsOf(a) {
			h.stop(unbegunOnly)
		}
	})
}

// arm sets the run's timer, by the dispatcher's own clock: one that is early changes nothing, and is set once more.
func (d *dispatcher) arm() {
	if !d.up || d.state == nil {
		return
	}
	due := nextDue(d.state)
	if due.IsZero() || due.Equal(d.timer) {
		return
	}
	d.timer = due
	d.wait(due, d.ahead(d.name), time.Second)
}

// wait fires the timer when it is due by a clock that is ahead, and then by one that is less and less so.
func (d *dispatcher) wait(due time.Time, ahead, rest time.Duration) {
	d.at(later(due.Add(-ahead), d.now), func() {
		switch w := d.wantsTimer(); {
		case !d.up || !d.timer.Equal(due):
		case d.frozen.still:
			d.in(time.Second, func() { d.wait(due, 0, rest) })
		case !w.Equal(due):
			d.timer = time.Time{}
			d.arm()
		case due.After(d.now):
			early := due.Sub(d.now)
			d.append(steps.Fired{})
			d.wait(due, max(early-rest, 0), 2*rest)
		default:
			d.timer = time.Time{} // what comes of it sets the next one
			d.append(steps.Fired{})
		}
	})
}

func (d *dispatcher) wantsTimer() time.Time {
	if d.state == nil {
		return time.Time{}
	}
	return nextDue(d.state)
}

// nextDue is the timer that [steps.Wants] wants for the whole run.
func nextDue(s *steps.State) time.Time {
	if s.Closed() {
		return time.Time{}
	}
	due := s.RunDue()
	for i := range s.Units {
		if at := s.UnitDue(i); !at.IsZero() && (due.IsZero() || at.Before(due)) {
			due = at
		}
	}
	return due
}

// waitServed asks people about a message that no worker serves, once that has lasted long enough.
func (p *play) waitServed(it *item) {
	p.in(unservedAfter, func() {
		if !p.there(it) || it.holder != nil || p.served(it.m) {
			return
		}
		d := p.d
		if sent, ok := d.sent[it.m.Step]; !d.up || d.frozen.still || d.state == nil || !ok || sent != it.m.Attempt {
			if !p.closed { // whoever takes over, or queues it, sees it too
				p.waitServed(it)
			}
			return
		}
		if e := steps.Abandoned(p.truth, it.m); e != nil {
			p.append(e)
			p.remove(it.m)
			return
		}
		p.append(steps.Unserved{Attempt: it.m.Attempt})
	})
}
