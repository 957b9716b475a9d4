package dispatch

import (
	"context"
	"slices"
	"time"

	"belay/internal/steps"
	"belay/internal/wire"
)

// takeBack sees to it that nobody begins an attempt that needs no claim. Whoever has it in hand, or gets it now, is told
// to put it down, and its message is removed; the purge's answer shows that the server has passed the word on. A worker
// begins nothing unless it has heard everything up to a moment before ([wire.HearsWithin]), so after a while no hand can
// begin it any more, also where nobody answers, and the log is told so. Usually a worker's own word comes first.
//
// The event that caused this is acknowledged once the message is removed: a dispatcher that dies meanwhile leaves a
// withdrawal that is wanted, and whoever takes over begins anew.
func (p *partition) takeBack(r *run, rc *receipt, m *steps.StepMessage) {
	name := attemptName(m)
	if r.knows(withdrawal, name) {
		return
	}
	r.note(withdrawal, name)
	stop, subject, a := p.names.Stop(m.Run, m.Attempt), p.names.Step(m.Tool, m.RungName, m.Run, m.Attempt), m.Attempt
	p.purge(rc, func(ctx context.Context) error {
		if err := p.Bus.Tell(stop, nil); err != nil {
			return err
		}
		if err := p.Bus.Purge(ctx, p.names.StepsStream(), subject); err != nil {
			return err
		}
		if err := p.Bus.Tell(stop, nil); err != nil { // once more: a connection that broke before the purge has lost the first
			return err
		}
		time.AfterFunc(wire.HeardBy, func() { p.box.call(func() { p.tookBack(r, a) }) })
		return nil
	})
}

// tookBack tells the log that nobody will begin an attempt, if nothing else has ended the wait for that. One that a
// worker had begun before may have to be taken back once more.
func (p *partition) tookBack(r *run, a steps.Attempt) {
	if !r.live() {
		return
	}
	if !r.withdraws(a) {
		delete(r.made, made{withdrawal, a.Step + "/" + a.Token()})
		return
	}
	p.append(r, steps.Withdrawn{Attempt: a}, func(err error) {
		if err != nil && !r.gone {
			p.complain(r.id, err)
			p.forget(r)
			p.retryLater(r.id)
		}
	})
}

// withdraws reports whether the run still waits for attempt a to be withdrawn.
func (r *run) withdraws(a steps.Attempt) bool {
	i := r.fold.State.Unit(a.Step)
	if i < 0 {
		return false
	}
	w, err := wants(r.fold.State, []int{i})
	return err == nil && slices.ContainsFunc(w.Withdraw, func(m steps.StepMessage) bool { return m.Attempt == a })
}
