package dispatch

import (
	"context"

	"belay/internal/steps"
)

// Guard says whether the log is what it was. While it is not, or nobody has looked yet, attempts that must not happen twice are
// held back: the log may have forgotten that they happened.
type Guard interface {
	// Safe reports whether the log has been looked at over the present connection, and nothing is wrong with it.
	Safe() bool
	// Looked has a value whenever it was looked at.
	Looked() <-chan struct{}
}

// holds reports whether an attempt is held back now.
func (p *partition) holds(m *steps.StepMessage) bool {
	if p.Guard == nil || !m.Claimed() || p.Guard.Safe() {
		return false
	}
	p.waits[m.Run] = struct{}{}
	return true
}

// guard holds attempts back, and lets them go, as the guard says, until ctx ends.
func (d *Dispatcher) guard(ctx context.Context) {
	if d.Guard == nil {
		return
	}
	safe := true // nothing was published yet
	for {
		select {
		case <-ctx.Done():
			return
		case <-d.Guard.Looked():
		}
		now := d.Guard.Safe()
		for _, p := range d.parts {
			if now {
				p.box.call(p.letGo)
			} else if safe {
				p.box.call(p.holdBack)
			}
		}
		if now != safe {
			d.Logger.Warn("calls that must not happen twice are held back until somebody accepts what has happened to the log, or go on", "waiting", !now)
		}
		safe = now
	}
}

// letGo publishes what was held back.
func (p *partition) letGo() {
	for id := range p.waits {
		delete(p.waits, id)
		p.reopen(id, true, func() {})
	}
}

// holdBack takes out of the queue what is to be held back and no worker has begun, as far as it is in memory.
func (p *partition) holdBack() {
	for _, r := range p.runs {
		if r.fold == nil || r.fold.State == nil {
			continue
		}
		w, err := wants(r.fold.State, nil)
		if err != nil {
			continue // whoever publishes it says so
		}
		for i := range w.Steps {
			p.unqueue(r, &w.Steps[i])
		}
	}
}

func (p *partition) unqueue(r *run, m *steps.StepMessage) {
	s := r.fold.State
	u := &s.Units[s.Unit(m.Step)]
	if !r.hasSent(m.Attempt) || len(u.Attempts) == 0 || u.Current().State != steps.AttemptQueued || !p.holds(m) {
		return
	}
	delete(r.sent, m.Step)
	subject := p.names.Step(m.Tool, m.RungName, m.Run, m.Attempt)
	rc := &receipt{run: r, sweep: true}
	p.purge(rc, func(ctx context.Context) error { return p.Bus.Purge(ctx, p.names.StepsStream(), subject) })
}
