package dispatch

import (
	"time"

	"belay/internal/limits"
	"belay/internal/steps"
	"belay/internal/steps/view"
)

// countedBy are the limits that the current call of unit i counts for.
func countedBy(s *steps.State, i int) []limits.Counted {
	if !limits.MayCount(s.Tool(i)) {
		return nil
	}
	return limits.CountedBy(s, i, view.TargetHost(s, i))
}

// limitOf is what an attempt has to wait for now, if it has to: its target, then a slot, then its time. So it never has a time that it
// cannot use.
func (p *partition) limitOf(s *steps.State, i int, let pass) (name string, l limit, ok bool) {
	if name, l, ok = p.targetWait(s, i, let); ok {
		return name, l, ok
	}
	all := countedBy(s, i)
	for _, c := range all {
		if c.Concurrency > 0 && !p.Limits.HasSlot(c.Name, steps.AttemptName(s.Run, s.Attempt(i))) {
			return c.Name, limit{why: steps.HoldConcurrency, covers: c.Covers, reason: c.AtOnce(), most: c.Concurrency}, true
		}
	}
	for n, c := range all {
		if c.Rate > 0 && let.rates>>n&1 == 0 {
			pace := limits.Pace{PerSecond: c.Rate}
			return c.Name, limit{why: steps.HoldRate, covers: c.Covers, reason: c.Text, text: c.Text, rate: n, pace: func() (limits.Pace, bool) { return pace, true }}, true
		}
	}
	return "", limit{}, false
}

// targetWait is that the target of an attempt has asked to wait, or lets calls come in a ramp.
func (p *partition) targetWait(s *steps.State, i int, let pass) (name string, l limit, ok bool) {
	if !p.Limits.Any() {
		return "", limit{}, false
	}
	target := limits.TargetOf(view.TargetHost(s, i), s, i)
	w, ok := p.Limits.WaitsFor(target)
	if !ok || let.target && !w.Until.After(p.Bus.Now()) {
		return "", limit{}, false
	}
	return limits.WaitName(target), limit{
		why: steps.HoldRetryAfter, covers: target, until: w.Until, reason: limits.NoneBefore(w.Until),
		pace: func() (limits.Pace, bool) {
			w, ok := p.Limits.WaitsFor(target)
			return w.Pace(), ok
		},
	}, true
}

// standForSlot has an attempt wait for a slot among those of all dispatchers.
func (p *partition) standForSlot(w *waiter) {
	if _, i := p.wanted(w); i < 0 {
		return // whoever looks for what has waited long forgets it
	}
	p.Limits.Stand(w.name, w.limit.covers, limits.Waiter{
		Attempt: w.key, Since: w.Since.UTC().Truncate(time.Millisecond), Most: w.limit.most, Priority: w.Of.String(), Tenant: w.Tenant,
	})
	if p.Limits.HasSlot(w.name, w.key) {
		p.slotGiven(limits.Use{Name: w.name, Attempt: w.key})
	}
}

// slotGiven lets an attempt go on that has got a slot; one that is over gives it back.
func (p *partition) slotGiven(t limits.Use) {
	if !p.pinned {
		return // whoever has the partition hears of it too
	}
	w := p.waiters.by[t.Attempt]
	if w == nil || w.name != t.Name || w.limit.most == 0 {
		p.giveBackOf(limits.RunOf(t.Attempt))
		return
	}
	delete(p.waiters.by, t.Attempt)
	r, i := p.wanted(w)
	if i < 0 {
		p.giveBackOf(w.run)
		return
	}
	p.letPass(r, i, w)
}

// giveBackOf looks which slots a run needs no more. The log of one that is not in memory is read for that.
func (p *partition) giveBackOf(run string) {
	if p.Limits == nil || !p.pinned || len(p.Limits.UsesBy(run)) == 0 {
		return
	}
	switch r := p.runs[run]; {
	case r == nil:
		p.open(run)
	case r.live():
		p.giveBack(r)
	} // else it is looked at once it is read
}

// giveBack gives the slots of a run's attempts back that are over, as its log says.
func (p *partition) giveBack(r *run) {
	if p.Limits == nil {
		return
	}
	for _, t := range p.Limits.UsesBy(r.id) {
		over, at := true, time.Time{} // of a run that is not kept any more
		if a, ok := steps.ParseAttemptName(r.id, t.Attempt); ok && r.fold.State != nil {
			over, at = r.fold.State.AttemptOver(a, p.Bus.Now())
		}
		switch {
		case over:
			p.Limits.GiveBack(t)
		case !at.IsZero():
			p.at(p.here(at), func() { p.giveBackOf(r.id) })
		}
	}
}

// giveBackAll looks at all slots that attempts of the partition have: some may be over since before it came here.
func (p *partition) giveBackAll() {
	if p.Limits == nil {
		return
	}
	for _, run := range p.Limits.RunsWithSlots(p.p) {
		p.giveBackOf(run)
	}
}
