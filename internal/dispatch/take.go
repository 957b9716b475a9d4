package dispatch

import (
	"time"

	"belay/internal/bus"
	"belay/internal/runlog"
	"belay/internal/wire"
)

// headerExpected stands in a stored message when the server checked, before storing it, what was there on its subject.
const headerExpected = "Nats-Expected-Last-Subject-Sequence"

// parkFor is how long an event that could not be answered stays away.
const parkFor = time.Second

// take handles one event of the log.
func (p *partition) take(d bus.Delivery) {
	if !p.pinned || d.Pin != p.pin {
		p.newPin(d.Pin)
	}
	fresh := d.Count == 1 && d.Seq > p.note && d.Seq > p.delivered
	p.delivered = max(p.delivered, d.Seq)
	if fresh {
		p.clock.learn(d.Time)
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

// startsRun reports whether an event is surely the first of its run: a submission that the server stored under the
// condition that there was none. Everything else about a run that is not in memory is answered by reading its log.
func startsRun(d bus.Delivery, kind string) bool {
	v := d.Header[headerExpected]
	return kind == wire.KindPlan && len(v) == 1 && v[0] == "0"
}

func (p *partition) admit(id string) *run {
	r := &run{id: id}
	p.runs[id] = r
	return r
}

// place answers an event by the fold of its run.
func (p *partition) place(r *run, e event) {
	switch {
	case r.fold == nil || r.state == reading:
		p.read(r, p.unobserved(r, e))
		r.waiting = append(r.waiting, e)
	case e.d.Seq <= r.fold.Seq:
		p.settle(r, &receipt{d: e.d, run: r})
	case !e.fresh:
		p.read(r, p.unobserved(r, e))
		r.waiting = append(r.waiting, e)
	default:
		p.advance(r, e)
	}
}

// unobserved is the first sequence of a run that was not observed, as well as that can be told when its log is read
// because of an event: what is in memory was, and so was an event that comes again.
func (p *partition) unobserved(r *run, e event) uint64 {
	switch {
	case r.fold != nil:
		return r.fold.Seq + 1
	case e.d.Count == 1:
		return e.d.Seq
	}
	return p.delivered + 1
}

// settle acknowledges an event whose consequences are all stored, or as soon as they are.
func (p *partition) settle(r *run, rc *receipt) {
	if r.out == 0 && r.result == nil {
		p.finish(rc)
		return
	}
	r.late = append(r.late, rc)
}

// advance applies a new event to the fold in memory and publishes the difference.
func (p *partition) advance(r *run, e event) {
	wasFrozen := r.frozen()
	rec, touched, ok := p.Log.Take(r.fold, e.d.Entry)
	switch {
	case r.fold.Stale:
		p.read(r, r.fold.Seq+1)
		r.waiting = append(r.waiting, e)
		return
	case r.frozen() && !wasFrozen:
		p.freeze(r, &receipt{d: e.d, run: r})
		return
	case !ok:
		p.settle(r, &receipt{d: e.d, run: r})
		return
	}
	p.Observer.Applied(r.fold.State, rec, touched)
	r.timer.heard(rec)
	p.ensure(r, touched, &receipt{d: e.d, run: r})
}

// forget drops a run from memory. What waits for it is handed back and comes again.
func (p *partition) forget(r *run) {
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

// drop takes a run out of memory; what it caused is still answered.
func (p *partition) drop(r *run) {
	if r.gone {
		return
	}
	r.gone = true
	delete(p.runs, r.id)
	p.listed.outdated(r.id)
	p.due.remove(r)
	r.fold, r.sent, r.made = nil, nil, nil
}

// finish acknowledges; an ack that is lost brings the event again, and it is settled then.
func (p *partition) finish(rc *receipt) {
	if rc.sweep || rc.failed {
		return
	}
	if err := rc.d.Ack(); err != nil {
		p.complain(rc.run.id, err)
	}
}

// handBack lets an event come again; a run that was read for its own sake is read again.
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
