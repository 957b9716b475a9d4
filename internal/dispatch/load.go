package dispatch

import (
	"time"

	"belay/internal/runlog"
	"belay/internal/steps"
)

// maxReads is how many logs a partition reads at the same time.
const maxReads = 8

// read folds a run to the head of its log, outside the loop. Records from sequence since on are observed.
func (p *partition) read(r *run, since uint64) {
	if r.state == reading {
		return
	}
	r.state, r.since = reading, since
	p.toRead = append(p.toRead, r)
	p.startReads()
}

func (p *partition) startReads() {
	for p.reads < maxReads && len(p.toRead) > 0 {
		r := p.toRead[0]
		p.toRead[0] = nil
		p.toRead = p.toRead[1:]
		if r.gone {
			r.wasRead()
			continue
		}
		p.reads++
		id, since, queue := r.id, r.since, p.listed.of(r)
		go func() {
			now, err := p.look(id, since, queue)
			p.box.call(func() { p.loaded(r, now, err) })
		}()
	}
}

// found is what was read of a run: its fold, and the attempts whose step messages were in the queue before that.
type found struct {
	fold   *runlog.Fold
	queued []steps.Attempt
	made   time.Time // when the queue was made
}

// look reads the queue first and the log after it. A worker stores its outcome before it acknowledges the step; so an
// attempt that is wanted by this log and was not in that queue is in no queue and with no worker, and may be queued.
// The other way round a step that finishes in between would be queued and executed once more. A listing of the whole
// queue will do as well, if this dispatcher has queued nothing for the run since.
func (p *partition) look(run string, since uint64, l *listing) (now found, err error) {
	if l == nil {
		l, err = p.listQueue(p.work, p.names.StepsOf(run))
	}
	if err != nil {
		return found{}, err
	}
	now.queued, now.made = l.queued[run], l.made
	now.fold, err = p.Log.Read(p.work, run, func(s *steps.State, rec steps.Record, touched []int) {
		p.Score.Applied(p.p, s, rec, touched)
		if rec.Seq >= since {
			p.applied(s, rec, touched)
		}
	})
	return now, err
}

// loaded puts a run that was folded to the head in place and makes sure of everything that it wants.
func (p *partition) loaded(r *run, now found, err error) {
	p.reads--
	p.startReads()
	r.wasRead()
	if r.gone {
		return // the events that waited for it were handed back
	}
	waiting := r.waiting
	r.state, r.waiting = idle, nil
	if err != nil {
		p.complain(r.id, err)
		p.abandon(r, waiting)
		return
	}
	fold := now.fold
	p.leaveAll(r)
	p.listed.read(r.id)
	r.fold, r.made, r.queued = fold, nil, setOf(now.queued)
	r.timer.loaded()
	rc := &receipt{sweep: true, run: r, requeued: len(r.lost) > 0 || fold.State != nil && fold.State.Submitted.Before(now.made)}
	switch {
	case fold.Poison != nil:
		p.freeze(r, rc)
	case fold.State == nil:
		if s := fold.Stray(); s != nil {
			p.putEscalation(r, rc, strayDeadLetter(s))
		}
		p.removeDecided(r, rc)
		p.giveBack(r)
		p.drop(r) // events of a run that was never submitted, or is no longer kept
	default:
		p.giveBack(r)
		p.ensure(r, nil, rc)
		p.afterDeadLetters(r)
	}
	r.queued = nil
	for _, e := range waiting {
		p.placeRead(r, fold.Seq, e)
	}
}

func setOf(list []steps.Attempt) map[steps.Attempt]struct{} {
	set := make(map[steps.Attempt]struct{}, len(list))
	for _, a := range list {
		set[a] = struct{}{}
	}
	return set
}

// wasRead calls those that wait for the run to be read.
func (r *run) wasRead() {
	for _, f := range r.onRead {
		f()
	}
	r.onRead = nil
}

// afterDeadLetters removes dead letters that no longer freeze the run.
func (p *partition) afterDeadLetters(r *run) {
	if r.gone || r.fold == nil || len(r.fold.DeadLetters) == 0 {
		return
	}
	rc := &receipt{sweep: true, run: r}
	p.removeDecided(r, rc)
}

// placeRead answers an event that waited for its run to be read up to head.
func (p *partition) placeRead(r *run, head uint64, e event) {
	switch {
	case e.d.Seq <= head:
		p.ackWhenStored(r, &receipt{d: e.d, run: r})
	case r.gone || !e.fresh:
		// The log that was read does not have it: the replica lags, or the entry was removed meanwhile. It is redelivered.
		p.handBack(&receipt{d: e.d, run: r})
	default:
		p.place(r, e)
	}
}

// abandon gives up a run whose log could not be read.
func (p *partition) abandon(r *run, waiting []event) {
	r.waiting = waiting
	if len(waiting) == 0 {
		p.retryLater(r.id)
	}
	p.forget(r)
}

// redo is a run to be read again, after what it wanted could not be stored.
type redo struct {
	id string
	at time.Time
}

// retryAfter is how long to wait after a failure for which no event will be redelivered.
const retryAfter = 2 * time.Second

func (p *partition) retryLater(id string) {
	p.later = append(p.later, redo{id, time.Now().Add(retryAfter)})
}

// retry reads the runs whose wait is over, and returns when the next one's is.
func (p *partition) retry(now time.Time) (next time.Time) {
	for len(p.later) > 0 && !p.later[0].at.After(now) {
		id := p.later[0].id
		p.later = p.later[1:]
		p.open(id)
	}
	if len(p.later) == 0 {
		return time.Time{}
	}
	return p.later[0].at
}

// open reads a run that is not in memory, without an event.
func (p *partition) open(id string) {
	if p.runs[id] == nil && p.pinned {
		p.read(p.admit(id), p.delivered+1)
	}
}
