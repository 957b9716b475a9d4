package dispatch

import (
	"context"
	"errors"

	"belay/internal/bus"
	"belay/internal/crashpoint"
	"belay/internal/steps"
)

// answer is the result of one publish or purge.
type answer struct {
	receipt *receipt
	err     error
}

// answered counts down: the event is acknowledged when all that it caused is stored.
func (p *partition) answered(a answer) {
	rc, r := a.receipt, a.receipt.run
	p.out--
	r.out--
	rc.left--
	if a.err != nil {
		p.complain(r.id, a.err)
		p.handBack(rc)
		p.forget(r)
		return
	}
	crashpoint.At(crashpoint.Published)
	if rc.left == 0 {
		p.finish(rc)
	}
	if r.out == 0 {
		p.quiet(r)
	}
}

// quiet is called when nothing of a run is in flight any more: its end can be stored, and events that waited are
// acknowledged.
func (p *partition) quiet(r *run) {
	if h := r.result; h != nil {
		r.result = nil
		p.publishResult(r, h)
		return
	}
	for _, rc := range r.late {
		p.finish(rc)
	}
	r.late = nil
}

// publish sends one message; the refusal there, which means that it is there already, counts as stored.
func (p *partition) publish(rc *receipt, stream string, m bus.Message, there error) {
	p.expect(rc)
	p.Bus.Publish(stream, m, func(_ uint64, err error) {
		if err != nil && errors.Is(err, there) {
			err = nil
		}
		p.box.answer(answer{rc, err})
	})
}

// expect counts one more publish or purge of a receipt that will be answered.
func (p *partition) expect(rc *receipt) {
	p.out++
	rc.run.out++
	rc.left++
}

// purge removes what is no longer wanted, or does what takes more than one message, outside the loop.
func (p *partition) purge(rc *receipt, remove func(context.Context) error) {
	p.expect(rc)
	p.startPurge(rc, remove)
}

// startPurge is [partition.purge] of something that [partition.expect] has counted.
func (p *partition) startPurge(rc *receipt, remove func(context.Context) error) {
	go func() {
		p.purges <- struct{}{}
		err := remove(p.work)
		<-p.purges
		p.box.answer(answer{rc, err})
	}()
}

// append adds an event to a run's log that no other event has caused; done is called in the partition's goroutine.
func (p *partition) append(r *run, e steps.Event, done func(error)) {
	m, stream, err := p.Log.Message(r.id, e)
	if err != nil {
		done(err)
		return
	}
	p.out++
	p.Bus.Publish(stream, m, func(_ uint64, err error) {
		p.box.call(func() {
			p.out--
			done(err)
		})
	})
}
