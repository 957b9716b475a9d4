package dispatch

import (
	"context"
	"slices"
	"time"

	"belay/internal/steps"
	"belay/internal/wire"
)

// withdrawAll makes sure that nobody begins these attempts: by claiming them, or by removing them from the queue.
func (p *partition) withdrawAll(r *run, rc *receipt, all []steps.StepMessage) error {
	back := map[string][]steps.Attempt{} // by what is to be purged
	for i := range all {
		m := &all[i]
		if m.Claimed() {
			if err := p.withdraw(r, rc, m); err != nil {
				return err
			}
			continue
		}
		if name := attemptName(m); !r.knows(withdrawal, name) {
			r.note(withdrawal, name)
			r.note(purged, name)
			subject := p.purgeFor(r, m)
			back[subject] = append(back[subject], m.Attempt)
		}
	}
	for subject, attempts := range back {
		p.withdrawUnclaimed(r, rc, subject, attempts)
	}
	return nil
}

// purgeFor returns the subject to purge to remove a message. If the run is ending, nothing of it is wanted in the queue of
// the attempt's tool and rung, because compensations come later.
func (p *partition) purgeFor(r *run, m *steps.StepMessage) string {
	if r.fold.State.Ending() != "" {
		return p.names.StepsOfRung(m.Tool, m.RungName, m.Run)
	}
	return p.names.Step(m.Tool, m.RungName, m.Run, m.Attempt)
}

// withdrawUnclaimed sees to it that nobody begins attempts that need no claim. The worker that has one in hand, or gets it
// now, is told to drop it, and its message is removed; the purge's answer shows that the server has passed the stop on. A
// worker begins nothing unless it has heard everything up to a moment before ([wire.HearsWithin]). So after
// [wire.HeardBy] no worker can begin the attempt, also where none answers, and that is appended to the log. Usually a
// worker reports first that it dropped the attempt.
//
// The event that caused this is acknowledged once the messages are removed: a dispatcher that dies meanwhile leaves
// withdrawals that are wanted, and whoever takes over begins anew.
func (p *partition) withdrawUnclaimed(r *run, rc *receipt, subject string, attempts []steps.Attempt) {
	bodies := make([][]byte, len(attempts))
	for n, a := range attempts {
		bodies[n] = r.stopBody(a)
	}
	tell := func() error {
		for n, a := range attempts {
			if err := p.Bus.Tell(p.names.Stop(r.id, a), bodies[n]); err != nil {
				return err
			}
		}
		return nil
	}
	p.purge(rc, func(ctx context.Context) error {
		if err := tell(); err != nil {
			return err
		}
		if err := p.Bus.Purge(ctx, p.names.StepsStream(), subject); err != nil {
			return err
		}
		if err := tell(); err != nil { // once more: if the connection broke before the purge, the first is lost
			return err
		}
		time.AfterFunc(wire.HeardBy, func() {
			p.box.call(func() {
				for _, a := range attempts {
					p.withdrawn(r, a)
				}
			})
		})
		return nil
	})
}

// stopBody says to workers whether an attempt is to be stopped where it is executed.
func (r *run) stopBody(a steps.Attempt) []byte {
	s := r.fold.State
	if i := s.Unit(a.Step); i >= 0 && s.Units[i].ToBeHeld() {
		return []byte(wire.StopUnbegun)
	}
	return nil
}

// withdrawn appends that nobody will begin an attempt, unless something else has ended the wait for that. Either way the
// attempt may have to be withdrawn once more: the log may have a start of it in front of what is appended here.
func (p *partition) withdrawn(r *run, a steps.Attempt) {
	if !r.live() {
		return
	}
	delete(r.made, made{withdrawal, a.Step + "/" + a.Token()})
	if !r.withdraws(a) {
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
