package dispatch

import (
	"context"
	"sync/atomic"
	"time"

	"belay/internal/bus"
	"belay/internal/gates"
	"belay/internal/steps"
	"belay/internal/steps/view"
)

// What a closed gate covers is not queued, and taken back where it is queued and no worker has begun it. That is decided by an
// event on the run's log, so that it is the same for every reader and stays so whatever becomes of the gate's record.

// gating is what a partition knows of gates.
type gating struct {
	caughtUp bool // the gates are as they were when the partition was taken over, or newer
	complete bool // all open runs are in memory, or were
	era      int  // grows whenever the runs are forgotten

	forgotten map[string]struct{}    // runs whose attempts may be in the queue, and which are to be read again
	reported  map[string]gates.Drain // by gate
	soon      bool                   // a report is on its way

	waiting atomic.Int64 // attempts that gates hold back
}

// BehindGates is how many attempts gates hold back, as far as this dispatcher has their runs.
func (d *Dispatcher) BehindGates() (n int) {
	for _, p := range d.parts {
		n += int(p.gating.waiting.Load())
	}
	return n
}

// closedGates are those that are closed. Without any that is one atomic load.
func (p *partition) closedGates() []gates.Gate {
	if p.Gates == nil {
		return nil
	}
	return p.Gates.Closed()
}

// gated reports whether a gate holds an attempt back that is to be queued, or whether nobody knows yet.
func (p *partition) gated(r *run, rc *receipt, m *steps.StepMessage) bool {
	closed := p.closedGates()
	if p.Gates == nil || closed == nil && p.gating.caughtUp {
		return false
	}
	s := r.fold.State
	i := s.Unit(m.Step)
	if !s.MayBeHeld(i) {
		return false
	}
	if !p.gating.caughtUp {
		p.waits[m.Run] = struct{}{}
		return true
	}
	g := covering(s, i, closed)
	if g == nil {
		return false
	}
	p.hold(r, rc, i, g)
	return true
}

// covering is a closed gate that covers the attempt of unit i; nil where none does.
func covering(s *steps.State, i int, closed []gates.Gate) *gates.Gate {
	return gates.Covering(closed, &gates.Call{
		Run: s.Run, Plan: s.Program.Plan.Name, Tool: s.Tool(i).Name, Labels: s.Labels, Target: func() string { return view.TargetHost(s, i) },
	})
}

// hold appends to the run's log that a gate holds unit i back.
func (p *partition) hold(r *run, rc *receipt, i int, g *gates.Gate) {
	a := r.fold.State.Attempt(i)
	p.tellOnce(r, rc, a.Step+"/"+a.Token()+" "+g.ID, steps.Held{Attempt: a, Hold: g.Hold()})
}

// tellOnce appends an event to the run's log, if this dispatcher has not done that.
func (p *partition) tellOnce(r *run, rc *receipt, name string, e steps.Event) {
	if r.knows(holdWord, name) {
		return
	}
	m, stream, err := p.Log.Message(r.id, e)
	if err != nil {
		p.troubled(r, rc, err)
		return
	}
	r.note(holdWord, name)
	p.publish(rc, stream, m, nil)
}

// settle lets the touched units (nil = all) go on that no gate holds back any more.
func (p *partition) settle(r *run, touched []int, rc *receipt) {
	s := r.fold.State
	if p.Gates == nil || s.HeldBack() == 0 || !p.gating.caughtUp {
		return
	}
	closed := p.Gates.Closed()
	if touched != nil {
		for _, i := range touched {
			if i != steps.RunUnit {
				p.settleUnit(r, i, closed, rc)
			}
		}
		return
	}
	for i := range s.Units {
		p.settleUnit(r, i, closed, rc)
	}
}

func (p *partition) settleUnit(r *run, i int, closed []gates.Gate, rc *receipt) {
	if h, o, ok := p.opened(r, i, closed, rc); ok && !p.waitsBehind(r, i, h, o) {
		p.letOut(r, i, h, o, rc)
	}
}

// opened reports whether a gate that was opened is all that holds unit i back. Where another one covers it, that one does from now on.
func (p *partition) opened(r *run, i int, closed []gates.Gate, rc *receipt) (h *steps.Hold, o gates.Opening, ok bool) {
	if r.gone {
		return nil, o, false
	}
	s := r.fold.State
	if h, _ = s.Units[i].HeldBack(); h == nil || h.Why != steps.HoldGate {
		return nil, o, false
	}
	if o, ok = p.Gates.Opening(p.work, *h); !ok {
		return h, o, false
	}
	if g := covering(s, i, closed); g != nil {
		p.hold(r, rc, i, g)
		return h, o, false
	}
	return h, o, true
}

// letOut appends to the run's log that unit i goes on.
func (p *partition) letOut(r *run, i int, h *steps.Hold, o gates.Opening, rc *receipt) {
	a := r.fold.State.Attempt(i)
	p.tellOnce(r, rc, a.Step+"/"+a.Token()+" released", steps.Released{Attempt: a, Gate: h.Gate, By: o.By, Reason: o.Reason})
}

// followGates lets all partitions know of changes until ctx ends.
func (d *Dispatcher) followGates(ctx context.Context) {
	if d.Gates == nil {
		return
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-d.Gates.Changed():
		}
		for _, p := range d.parts {
			p.box.call(p.gatesChanged)
			p.pinIdle(ctx)
		}
	}
}

// pinIdle has a partition delivered to some dispatcher that none has, because nothing has happened in it: otherwise nobody would
// answer for it.
func (p *partition) pinIdle(ctx context.Context) {
	if p.Gates.Closed() == nil {
		return
	}
	here, err := p.pinnedHere(ctx)
	if err != nil || here {
		return
	}
	idle, err := p.abandoned(ctx)
	if err == nil && idle {
		_, err = p.Bus.PublishWait(ctx, p.stream(), bus.Message{Subject: p.names.Seal(p.p)})
	}
	if err != nil && ctx.Err() == nil {
		p.logger.Warn("cannot see whether any dispatcher has the partition; until one has, nobody answers for its gates", "error", err)
	}
}

// gatesChanged holds back what the gates cover now, and lets go what they cover no more.
func (p *partition) gatesChanged() {
	closed := p.closedGates()
	for _, r := range p.runs {
		if !r.live() || !p.gating.caughtUp {
			continue
		}
		rc := &receipt{run: r, sweep: true}
		p.settle(r, nil, rc)
		if closed == nil || !r.live() {
			continue
		}
		for i := range r.fold.State.Units {
			if r.live() && r.fold.State.MayBeHeld(i) {
				if g := covering(r.fold.State, i, closed); g != nil {
					p.hold(r, rc, i, g)
				}
			}
		}
	}
	p.countBehind()
	p.reportSoon()
}

// catchUp waits until this dispatcher has heard of all gates that were closed before it took the partition over.
func (p *partition) catchUp(era int) {
	p.knowBreakers()
	for p.Gates != nil && p.work.Err() == nil {
		if err := p.Gates.CatchUp(p.work); err != nil {
			p.logger.Warn("cannot hear of gates yet; nothing is queued until then", "error", err)
			pause(p.work, time.Second)
			continue
		}
		break
	}
	p.box.call(func() {
		if p.gating.era == era {
			p.gating.caughtUp = true
			p.letGo()
			p.gatesChanged()
		}
	})
}

// isComplete notes that all open runs were read since they were forgotten.
func (p *partition) isComplete(era int) {
	if p.gating.era == era && p.pinned {
		p.giveBackAll()
		p.gating.complete = true
		p.reportSoon()
	}
}

const (
	reportEvery = 100 * time.Millisecond // how often it is said what becomes of a gate
	reportAfter = time.Second            // the same, once nothing that it covers runs
)

// reportSoon has it said what becomes of the closed gates.
func (p *partition) reportSoon() {
	closed := p.closedGates()
	if closed == nil || p.gating.soon || !p.gating.complete || !p.gating.caughtUp {
		return
	}
	after := reportAfter
	for i := range closed {
		if d, ok := p.gating.reported[closed[i].ID]; !ok || !d.Since.Equal(closed[i].Since) || d.Waits+d.Runs > 0 {
			after = reportEvery
		}
	}
	p.gating.soon = true
	time.AfterFunc(after, func() {
		p.box.call(func() {
			p.gating.soon = false
			p.reportGates()
		})
	})
}

func (p *partition) reportGates() {
	closed := p.closedGates()
	if !p.pinned || !p.gating.complete {
		return
	}
	n := 0
	for _, r := range p.runs {
		if r.fold != nil && r.fold.State != nil {
			n += r.fold.State.HeldBack()
		}
	}
	p.gating.waiting.Store(int64(n))
	said := map[string]gates.Drain{}
	for i := range closed {
		d := p.drainOf(&closed[i])
		if was, ok := p.gating.reported[d.Gate]; !ok || !was.Same(d) {
			p.Gates.Report(d)
		}
		said[d.Gate] = d
	}
	p.gating.reported = said
}

// mostNamed is how many attempts under way are named.
const mostNamed = 10

// drainOf counts what a closed gate covers in this partition.
func (p *partition) drainOf(g *gates.Gate) gates.Drain {
	d := gates.Drain{Gate: g.ID, Since: g.Since, Partition: p.p, Waits: len(p.gating.forgotten), Which: []string{}, At: p.Bus.Now()}
	for _, r := range p.runs {
		if r.fold == nil || r.fold.State == nil || r.state == reading {
			d.Waits++
			continue
		}
		s := r.fold.State
		for i := range s.Units {
			p.count(&d, s, i, g)
		}
	}
	return d
}

func (p *partition) count(d *gates.Drain, s *steps.State, i int, g *gates.Gate) {
	u := &s.Units[i]
	at := u.Phase()
	h, _ := u.HeldBack()
	if h != nil && !h.Why.ByPerson() {
		h = nil // a limit: it is to be held back yet
	}
	counts := h != nil || at == steps.PhaseQueued || at == steps.PhaseRetrying || at == steps.PhaseRunning || u.Recalled()
	if !counts || s.Probing(i) || !g.Covers.Fits(&gates.Call{
		Run: s.Run, Plan: s.Program.Plan.Name, Tool: s.Tool(i).Name, Labels: s.Labels, Target: func() string { return view.TargetHost(s, i) },
	}) {
		return
	}
	switch {
	case h != nil:
		d.Held++
	case at == steps.PhaseRunning || at == steps.PhaseStopping:
		if d.Runs++; len(d.Which) < mostNamed {
			d.Which = append(d.Which, steps.AttemptName(s.Run, s.Attempt(i)))
		}
	default:
		d.Waits++
	}
}
