package dispatch

import (
	"context"
	"sync/atomic"
	"time"

	"belay/internal/breaker"
	"belay/internal/limits"
	"belay/internal/steps"
	"belay/internal/steps/view"
	"belay/internal/turns"
)

// A call whose breaker is open is not queued, and taken back where it is queued and no worker has begun it. As with gates, an event
// on the run's log says so, and the core says what becomes of the step. Once the target is back calls go as they go behind a gate that was
// opened: few at first, more every second, and each when its turn comes.

// breaks is what a partition knows of breakers.
type breaks struct {
	asks  map[string]struct{} // runs of which a call waits for a word whether it may be the probe
	trips int                 // see [breaker.Keeper.Trips]: what is in the queue was looked at since
	here  atomic.Bool         // the partition is pinned here
}

// callTo is the call that an attempt of unit i on a rung is to its breaker; ok is false where it has none.
func callTo(s *steps.State, i, rung int) (c breaker.Call, ok bool) {
	t := s.Tool(i)
	if t.Breaker == nil || rung >= len(t.Rungs) || t.Rungs[rung].Harmless() {
		return breaker.Call{}, false
	}
	u := &s.Units[i]
	return breaker.Call{
		Target: breaker.Target{Tool: t.Name, Rung: t.Rungs[rung].Name, Host: view.TargetHostOf(s, i, rung)},
		Set:    t.Breaker, Unit: s.Run + "/" + u.ID, Retry: u.HasTried(), Timeout: time.Duration(t.Rungs[rung].Timeout),
	}, true
}

// broken reports whether a breaker holds an attempt back that is to be queued, or was queued before this dispatcher had the
// partition; or whether nobody knows yet.
func (p *partition) broken(r *run, rc *receipt, m *steps.StepMessage, queued bool) bool {
	s := r.fold.State
	if !s.Program.Breakers || p.Breakers == nil {
		return false
	}
	i := s.Unit(m.Step)
	c, ok := callTo(s, i, m.Rung)
	if !ok || !s.MayBeHeld(i) {
		return false
	}
	if s.Units[i].Broken() {
		p.unbreak(r, i, rc)
		return true
	}
	if queued {
		h, blocked := p.Breakers.Blocked(c)
		if blocked {
			p.stop(r, rc, i, h)
		}
		return blocked
	}
	switch v, h := p.Breakers.Judge(c); v {
	case breaker.Turn:
		return p.waitsInRamp(r, i, c, h)
	case breaker.Wait:
		p.breaks.asks[r.id] = struct{}{}
		return true
	case breaker.Stop:
		p.stop(r, rc, i, h)
		return true
	}
	return false
}

// stop appends to the run's log that a breaker holds unit i back.
func (p *partition) stop(r *run, rc *receipt, i int, h steps.Hold) {
	a := r.fold.State.Attempt(i)
	p.tellOnce(r, rc, a.Step+"/"+a.Token()+" breaker", steps.Held{Attempt: a, Hold: h})
}

// unbreak lets unit i go on, which a breaker holds back, if it may.
func (p *partition) unbreak(r *run, i int, rc *receipt) {
	s := r.fold.State
	if p.Breakers == nil {
		return
	}
	a := s.Attempt(i)
	name := a.Step + "/" + a.Token() + " released"
	if r.knows(holdWord, name) {
		return
	}
	if c, ok := callTo(s, i, s.Units[i].Rung); ok {
		v := p.Breakers.Release(c)
		if v != breaker.Go && (v != breaker.Turn || p.waitsInRamp(r, i, c, steps.Hold{})) {
			return
		}
	}
	p.tellOnce(r, rc, name, steps.Released{Attempt: a})
}

// turnFor is how long a call waits for its turn in a ramp before its run's log says that it is held back: it goes on on its next rung then, or
// waits where everybody sees it.
const turnFor = 500 * time.Millisecond

// waitsInRamp reports whether the call of unit i waits for its turn, since its target has only just come back. What the log does not have as
// held back yet is held back so, if its turn does not come soon.
func (p *partition) waitsInRamp(r *run, i int, c breaker.Call, h steps.Hold) bool {
	from, is := p.Breakers.Ramp(c.Target)
	if p.Limits == nil || !is {
		return false
	}
	s := r.fold.State
	a, ramp := s.Attempt(i), limits.Wait{Until: from}
	w := &waiter{
		Place: p.placeOf(s, i), p: p, run: s.Run, attempt: a, tool: s.Tool(i).Name, name: limits.BreakerName(c.Target.String(), from),
		limit: limit{why: steps.HoldBreaker, covers: c.Target.String(), since: from, pace: func() (limits.Pace, bool) {
			now, is := p.Breakers.Ramp(c.Target)
			return ramp.Pace(), is && now.Equal(from)
		}},
		key: "breaker " + steps.AttemptName(s.Run, a), from: p.Bus.Now(),
	}
	if !p.enlist(w) {
		return true
	}
	p.join(w)
	if !s.Units[i].Broken() {
		p.at(time.Now().Add(turnFor), func() { p.turnIsLate(w, h) })
	}
	return true
}

// turnIsLate has a call held back whose turn in a ramp has not come soon.
func (p *partition) turnIsLate(w *waiter, h steps.Hold) {
	if p.waiters.by[w.key] != w {
		return
	}
	p.leave(w)
	if r, i := p.wanted(w); i >= 0 {
		p.stop(r, &receipt{run: r, sweep: true}, i, h)
	}
}

// leavesRamp lets a call go on whose turn in a ramp has come; false: nothing is to go on, or the ramp has ended and it is judged anew.
func (p *partition) leavesRamp(w *waiter) bool {
	r, i := p.wanted(w)
	if i < 0 {
		return false
	}
	c, ok := callTo(r.fold.State, i, w.attempt.Rung)
	is := ok && p.Breakers.Let(c, w.limit.since)
	p.ensure(r, []int{i}, &receipt{run: r, sweep: true})
	return is
}

// followBreakers lets all partitions know of changes until ctx ends.
func (d *Dispatcher) followBreakers(ctx context.Context) {
	if d.Breakers == nil {
		return
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-d.Breakers.Changed():
		}
		for _, p := range d.parts {
			p.box.call(p.breakersChanged)
		}
	}
}

// breakersChanged holds back what may not go now, and lets go what may.
func (p *partition) breakersChanged() {
	if !p.gating.caughtUp {
		return
	}
	asks := p.breaks.asks
	p.breaks.asks = make(map[string]struct{})
	for id := range asks {
		p.reopen(id, true, func() {})
	}
	trips := p.Breakers.Trips()
	opened := trips != p.breaks.trips
	p.breaks.trips = trips
	var wait []*brokenUnit
	for _, r := range p.runs {
		if !r.live() || !r.fold.State.Program.Breakers {
			continue
		}
		wait = p.brokenOf(wait, r)
		if opened {
			p.takeBack(r, &receipt{run: r, sweep: true})
		}
	}
	for _, x := range turns.Ordered(wait, turns.Past{}) {
		if s := x.run.fold.State; x.run.live() && s.Units[x.unit].Broken() {
			p.unbreak(x.run, x.unit, &receipt{run: x.run, sweep: true})
		}
	}
}

// brokenUnit is a unit that a breaker holds back.
type brokenUnit struct {
	turns.Place
	run  *run
	unit int
}

// brokenOf adds the units of a run that breakers hold back.
func (p *partition) brokenOf(list []*brokenUnit, r *run) []*brokenUnit {
	s := r.fold.State
	for i := 0; s.Limited() > 0 && i < len(s.Units); i++ {
		if s.Units[i].Broken() {
			list = append(list, &brokenUnit{p.placeOf(s, i), r, i})
		}
	}
	return list
}

// takeBack holds what is in the queue already.
func (p *partition) takeBack(r *run, rc *receipt) {
	for i := 0; r.live() && i < len(r.fold.State.Units); i++ {
		s := r.fold.State
		if !s.MayBeHeld(i) || s.Units[i].Broken() {
			continue
		}
		if c, ok := callTo(s, i, s.Units[i].Rung); ok {
			if h, blocked := p.Breakers.Blocked(c); blocked {
				p.stop(r, rc, i, h)
			}
		}
	}
}

// knowBreakers waits until this dispatcher knows which breakers are open; not for long, since a breaker only spares calls.
func (p *partition) knowBreakers() {
	if p.Breakers == nil {
		return
	}
	t := time.NewTimer(5 * time.Second)
	defer t.Stop()
	select {
	case <-p.Breakers.Ready():
	case <-t.C:
		p.logger.Warn("cannot hear which breakers are open; calls go meanwhile")
	case <-p.work.Done():
	}
}

// applied lets the observer and the breakers know of a record.
func (p *partition) applied(s *steps.State, rec steps.Record, touched []int) {
	p.Observer.Applied(s, rec, touched)
	if p.Breakers == nil || !s.Program.Breakers || s.Foreign(rec) {
		return
	}
	var a steps.Attempt
	o, fault := breaker.Answered, ""
	switch e := rec.Event.(type) {
	case steps.Succeeded:
		a = e.Attempt
	case steps.Failed:
		if a = e.Attempt; e.Stopped {
			return
		}
		o, fault = breaker.OutcomeOf(&e.Fault), e.Fault.Error()
	default:
		return
	}
	if i := s.Unit(a.Step); i >= 0 {
		if c, ok := callTo(s, i, a.Rung); ok {
			p.Breakers.Count(c, o, fault)
		}
	}
}
