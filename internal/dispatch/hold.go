package dispatch

import (
	"context"
	"slices"
	"time"

	"belay/internal/bus"
	"belay/internal/steps"
	"belay/internal/steps/view"
)

// Guard says whether the log is what it was. Where it is not, or nobody has looked yet, attempts that must not happen twice are
// held back: the log may have forgotten that they happened.
type Guard interface {
	// Safe reports whether the log has been looked at over the present connection.
	Safe() bool
	// Looked has a value whenever it was looked at.
	Looked() <-chan struct{}
	// News grows whenever something was found, or somebody has said something about it.
	News() int
	// Doubts says what was found that may concern a run, which begins at a sequence of its partition and was submitted at a time: what its log has to say of
	// it, so that the core decides what becomes of its calls, and what is open, because nobody has accepted it yet.
	Doubts(partition int, run string, first uint64, submitted time.Time) (due, open []steps.Damaged)
}

// doubts is what a run's log does not say yet of what may have happened to it.
func (p *partition) doubts(r *run) (due, open []steps.Damaged) {
	if p.Guard == nil {
		return nil, nil
	}
	known := func(d steps.Damaged) bool { return r.fold.State.Knows(d.Damage) }
	due, open = p.Guard.Doubts(p.p, r.id, r.fold.State.First(), r.fold.State.Submitted)
	return slices.DeleteFunc(due, known), slices.DeleteFunc(open, known)
}

// holds reports whether an attempt is held back now.
func (p *partition) holds(r *run, m *steps.StepMessage) bool {
	if p.Guard == nil || !m.Claimed() {
		return false
	}
	due, open := p.doubts(r)
	if p.Guard.Safe() && len(open) == 0 && (len(due) == 0 || !m.Effects.Unsafe()) {
		return false
	}
	p.waits[r.id] = struct{}{}
	return true
}

// tellDamage appends to the run's log what has happened to it: at once where entries of it are gone, else when it wants a call
// that the log may have forgotten. A call that is to be taken back is not thought never to have happened before that.
func (p *partition) tellDamage(r *run, rc *receipt, w *steps.WantList) error {
	due, open := p.doubts(r)
	if len(due)+len(open) == 0 {
		return nil
	}
	unsafe := func(m steps.StepMessage) bool { return m.Effects.Unsafe() }
	back := slices.ContainsFunc(w.Withdraw, unsafe)
	acts := back || slices.ContainsFunc(w.Steps, unsafe)
	due = slices.DeleteFunc(due, func(d steps.Damaged) bool { return !d.Hole && !acts })
	if back {
		due = append(due, open...)
		w.Withdraw = slices.DeleteFunc(w.Withdraw, unsafe)
	}
	for _, d := range due {
		if r.knows(damage, d.Damage) {
			continue
		}
		msg, stream, err := p.Log.Message(r.id, d)
		if err != nil {
			return err
		}
		if r.note(damage, d.Damage); d.Hole {
			go p.removeForgotten(p.work, r.id)
		}
		p.publish(rc, stream, msg, bus.ErrConflict)
		p.logger.Warn("the log may have forgotten what a run has done; its calls that must not happen twice are in doubt", "run_id", r.id, "damage", d.Damage)
	}
	return nil
}

// removeForgotten removes questions of a run that its log has forgotten: it may give their ids to others.
func (p *partition) removeForgotten(ctx context.Context, run string) {
	all, err := p.escalations.IDs(ctx)
	if err != nil {
		p.complain(run, err)
		return
	}
	f, err := p.Log.Read(ctx, run, nil)
	if err != nil || f.State == nil {
		return
	}
	asked := map[string]bool{}
	for n := range f.State.Escalations {
		asked[p.escalations.Subject(view.EscalationOf(f.State, n))] = true
	}
	for _, v := range all {
		if runOf(v) == run && v.Kind != steps.KindDeadLetter && !asked[p.escalations.Subject(v)] {
			p.removeNow(ctx, v)
		}
	}
}

// guard holds attempts back, and lets them go, as the guard says, until ctx ends.
func (d *Dispatcher) guard(ctx context.Context) {
	if d.Guard == nil {
		return
	}
	safe, news := true, 0 // nothing was published yet
	for {
		select {
		case <-ctx.Done():
			return
		case <-d.Guard.Looked():
		}
		now, latest := d.Guard.Safe(), d.Guard.News()
		if now == safe && latest == news && now {
			for _, p := range d.parts {
				p.box.call(p.letGo)
			}
			continue
		}
		for _, p := range d.parts {
			p.box.call(p.judge)
		}
		switch {
		case now && !safe:
			d.Logger.Info("somebody has looked whether the log is what it was; calls that must not happen twice wait for that no more")
		case safe && !now:
			d.Logger.Warn("calls that must not happen twice wait until somebody has looked whether the log is what it was")
		}
		safe, news = now, latest
	}
}

// letGo publishes what was held back only until somebody had looked.
func (p *partition) letGo() {
	for id := range p.waits {
		if r := p.runs[id]; r != nil && r.live() {
			if due, open := p.doubts(r); len(due)+len(open) > 0 {
				continue
			}
		}
		delete(p.waits, id)
		p.reopen(id, true, func() {})
	}
}

// judge looks at everything anew: what is to be held back, what goes on, and which logs are to say what has happened to them.
func (p *partition) judge() {
	ids := p.waits
	p.waits = map[string]struct{}{}
	for id := range ids {
		p.reopen(id, true, func() {})
	}
	for id, r := range p.runs {
		if !r.live() {
			continue
		}
		due, open := p.doubts(r)
		if len(due) > 0 {
			p.reopen(id, true, func() {})
			continue
		}
		if len(open) > 0 || !p.Guard.Safe() {
			p.holdBack(r)
		}
	}
}

// holdBack takes out of the queue what is to be held back of a run and no worker has begun.
func (p *partition) holdBack(r *run) {
	w, err := wants(r.fold.State, nil)
	if err != nil {
		return // whoever publishes it says so
	}
	for i := range w.Steps {
		if m := &w.Steps[i]; r.hasSent(m.Attempt) && p.holds(r, m) {
			p.unqueue(r, m)
		}
	}
}

// unqueue takes an attempt that no worker has begun out of the queue.
func (p *partition) unqueue(r *run, m *steps.StepMessage) {
	s := r.fold.State
	u := &s.Units[s.Unit(m.Step)]
	if len(u.Attempts) == 0 || u.Current().State != steps.AttemptQueued {
		return
	}
	if was := r.sent[m.Step]; was != nil {
		p.leaves(was)
	}
	delete(r.sent, m.Step)
	subject := p.names.Step(m.Tool, m.RungName, m.Run, m.Attempt)
	rc := &receipt{run: r, sweep: true}
	p.purge(rc, func(ctx context.Context) error { return p.Bus.Purge(ctx, p.names.StepsStream(), subject) })
}
