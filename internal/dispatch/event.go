package dispatch

import (
	"slices"
	"time"

	"belay/internal/bus"
	"belay/internal/crashpoint"
	"belay/internal/runlog"
	"belay/internal/steps"
	"belay/internal/wire"
)

// parkFor is how long an event that could not be handled is parked.
const parkFor = time.Second

// handle handles one event of the log.
func (p *partition) handle(d bus.Delivery) {
	crashpoint.At(crashpoint.EventInHand)
	if !p.pinned || d.Pin != p.pin {
		p.newPin(d.Pin)
	}
	fresh := d.Count == 1 && d.Seq > p.note && d.Seq > p.delivered
	if fresh {
		if from := p.known() + 1; from < d.Seq {
			p.skipped(from, d.Seq-1)
		}
		p.Bus.Arrived(d.Time)
	}
	p.delivered = max(p.delivered, d.Seq)
	p.Score.InHand(p.p, d.Seq)
	p.Received(p.p, d.Entry)
	if d.Subject == p.names.Seal(p.p) {
		p.finish(&receipt{d: d, run: &run{}})
		return
	}
	_, id, kind, ok := p.names.ParseLog(d.Subject)
	if !ok || !wire.ValidName(id) || !p.owns(id) {
		p.stray(d)
		return
	}
	r := p.runs[id]
	if r == nil {
		r = p.admit(id)
		if fresh && startsRun(d, kind) {
			r.fold = &runlog.Fold{Run: id}
		}
	}
	p.place(r, event{d, fresh})
}

// startsRun reports whether an event is certainly the first of its run. For any other event of a run that is not in memory,
// the log is read.
func startsRun(d bus.Delivery, kind string) bool {
	return kind == wire.KindPlan && d.IsFirst()
}

func (p *partition) admit(id string) *run {
	delete(p.gating.forgotten, id)
	r := &run{id: id}
	p.runs[id] = r
	return r
}

// place handles an event with the fold of its run.
func (p *partition) place(r *run, e event) {
	switch {
	case r.fold == nil || r.state == reading:
		p.read(r, p.unobserved(r, e))
		r.wait(e)
	case e.d.Seq <= r.fold.Seq:
		p.ackWhenStored(r, &receipt{d: e.d, run: r})
	case !e.fresh:
		p.read(r, p.unobserved(r, e))
		r.wait(e)
	default:
		p.advance(r, e)
	}
}

// unobserved estimates the first sequence of a run that the observer has not seen, when an event causes its log to be read:
// it has seen everything in memory, and events that are redelivered.
func (p *partition) unobserved(r *run, e event) uint64 {
	switch {
	case r.fold != nil:
		return r.fold.Seq + 1
	case e.d.Count == 1:
		return e.d.Seq
	}
	return p.delivered + 1
}

// ackWhenStored acknowledges an event as soon as everything that it caused is stored, which may be at once.
func (p *partition) ackWhenStored(r *run, rc *receipt) {
	if r.out == 0 && r.result == nil {
		p.finish(rc)
		return
	}
	if i := slices.IndexFunc(r.late, func(o *receipt) bool { return o.d.Seq == rc.d.Seq }); i >= 0 { // redelivered while it waits
		r.late[i] = rc
		return
	}
	r.late = append(r.late, rc)
}

// advance applies a new event to the fold in memory and publishes the difference.
func (p *partition) advance(r *run, e event) {
	wasFrozen := r.frozen()
	rec, touched, ok := p.Log.Apply(r.fold, e.d.Entry)
	switch {
	case r.fold.Stale:
		p.read(r, r.fold.Seq+1)
		r.wait(e)
		return
	case r.frozen() && !wasFrozen:
		p.freeze(r, &receipt{d: e.d, run: r})
		return
	case !ok:
		p.ackWhenStored(r, &receipt{d: e.d, run: r})
		return
	}
	p.Score.Applied(p.p, r.fold.State, rec, touched)
	p.applied(r.fold.State, rec, touched)
	if _, is := rec.Event.(steps.Closed); is {
		p.report(r.fold.State)
	}
	r.timer.heard(rec)
	p.hear(r, rec)
	p.giveBack(r)
	p.passDoors(r, touched)
	p.ensure(r, touched, &receipt{d: e.d, run: r})
}

// forget drops a run from memory, and hands back the events that wait for it, to be redelivered.
func (p *partition) forget(r *run) {
	if !r.gone {
		p.gating.forgotten[r.id] = struct{}{}
	}
	p.drop(r)
	for _, rc := range r.late {
		p.handBack(rc)
	}
	for _, e := range r.waiting {
		p.handBack(&receipt{d: e.d, run: r})
	}
	if r.result != nil {
		p.handBack(r.result.receipt)
	}
	r.late, r.waiting, r.result = nil, nil, nil
}

// drop removes a run from memory; answers to its publishes are still handled.
func (p *partition) drop(r *run) {
	if r.gone {
		return
	}
	r.gone = true
	delete(p.runs, r.id)
	p.listed.outdated(r.id)
	p.due.remove(r)
	p.leaveAll(r)
	r.fold, r.made = nil, nil
}

// finish acknowledges. If the ack is lost the event is redelivered, and acknowledged then.
func (p *partition) finish(rc *receipt) {
	if rc.sweep || rc.failed {
		return
	}
	p.Score.Done(p.p, rc.d.Seq)
	crashpoint.At(crashpoint.BeforeAck)
	if err := rc.d.Ack(); err != nil {
		p.complain(rc.run.id, err)
	}
	crashpoint.At(crashpoint.Acked)
}

// handBack has an event redelivered; a run that was read without an event is read once more.
func (p *partition) handBack(rc *receipt) {
	if rc.failed {
		return
	}
	rc.failed = true
	if rc.sweep {
		p.retryLater(rc.run.id)
		return
	}
	if err := rc.d.Park(parkFor); err != nil {
		p.complain(rc.run.id, err)
	}
}
