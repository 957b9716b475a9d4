package dispatch

import (
	"belay/internal/gates"
	"belay/internal/limits"
	"belay/internal/steps"
	"belay/internal/steps/view"
)

// What a gate has held back does not go all at once when it is opened, so that it does not overrun what it calls: it goes as calls go to a target
// that has asked to wait, few at first and more every second, over all dispatchers together. Until its turn comes it is held by the gate, so that its
// clocks stand.

// waitsBehind reports whether unit i, which an opened gate has held back, waits for its turn.
func (p *partition) waitsBehind(r *run, i int, h *steps.Hold, o gates.Opening) bool {
	s, ramp := r.fold.State, limits.Wait{Until: o.At}
	if p.Limits == nil || !s.Counts(i) || p.Bus.Now().Sub(o.At).Abs() >= limits.RampFor {
		return false
	}
	a, target := s.Attempt(i), limits.TargetOf(view.TargetHost(s, i), s, i)
	w := &waiter{
		Place: p.placeOf(s, i), p: p, run: s.Run, attempt: a, tool: s.Tool(i).Name, name: limits.GateName(h.Gate, o.At, target),
		limit: limit{
			why: steps.HoldGate, covers: limits.BehindGate(target, h.Gate),
			pace: func() (limits.Pace, bool) { return ramp.Pace(), p.Bus.Now().Before(ramp.Over()) },
		},
		key: "gate " + steps.AttemptName(s.Run, a), from: p.Bus.Now(), // it may still wait for a limit from before it was held back
	}
	if p.enlist(w) {
		p.join(w)
	}
	return true
}

// leavesGate lets a unit go on whose turn has come; false: nothing is to go on.
func (p *partition) leavesGate(w *waiter) bool {
	r := p.runs[w.run]
	if r == nil || !r.live() {
		return false // where it is open still it is looked at once it is read
	}
	i := r.fold.State.Unit(w.attempt.Step)
	if i < 0 || r.fold.State.Attempt(i) != w.attempt {
		return false
	}
	rc := &receipt{run: r, sweep: true}
	h, o, ok := p.opened(r, i, p.Gates.Closed(), rc)
	if ok {
		p.letOut(r, i, h, o, rc)
	}
	return ok
}

// countBehind counts what waits for its turn behind gates that were opened. While one is closed, that is counted with all that gates hold
// back.
func (p *partition) countBehind() {
	if p.closedGates() != nil {
		return
	}
	n := 0
	for _, w := range p.waiters.by {
		if w.limit.why == steps.HoldGate {
			n++
		}
	}
	p.gating.waiting.Store(int64(n))
}
