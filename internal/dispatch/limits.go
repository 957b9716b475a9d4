package dispatch

import (
	"context"
	"time"

	"belay/internal/limits"
	"belay/internal/steps"
	"belay/internal/steps/view"
	"belay/internal/turns"
)

// What a limit holds back stays out of the queue, and nothing else changes: the run wants it all the same, whoever takes the
// partition over finds it wanted and asks the limits anew. Only a hold that has lasted for [Options.SayAfter] is put on the run's log, for
// people.

// tellMost is how many holds are put on the logs of a partition at once, five times in the time after which they are.
const tellMost = 200

// waiters are the calls of a partition that wait for limits.
type waiters struct {
	by      map[string]*waiter
	looking bool // a look for those that have waited long is on its way
}

// Limited is a kind of calls that wait: of a tool, for a reason.
type Limited struct {
	Tool string
	Why  steps.HoldWhy
}

// limit is what a call waits for.
type limit struct {
	why    steps.HoldWhy
	covers string // in words
	reason string // in words
	until  time.Time
	since  time.Time                  // of a breaker, when its ramp began
	pace   func() (limits.Pace, bool) // false: nothing holds back any more; nil where it is a slot that is waited for
	text   string                     // of a rate, as the tools file has it
	rate   int                        // of the rates that the attempt counts for, which one it is
	most   int                        // how many slots there are
}

// waiter is a call that waits for a limit.
type waiter struct {
	turns.Place
	p       *partition
	run     string
	attempt steps.Attempt
	tool    string
	name    string // of the limit
	limit   limit
	key     string    // in [waiters]
	from    time.Time // since when it waits here, by the server's clock
	said    bool      // it is on the log
}

// pass is what an attempt need not wait for any more.
type pass struct {
	attempt steps.Attempt
	target  bool
	rates   uint8 // a bit for each rate that it counts for
	said    bool  // the log says that it is held back, or will, and not yet that it goes on
}

// limited reports whether a limit keeps an attempt out of the queue that is not in it yet. It goes on by itself.
func (p *partition) limited(r *run, rc *receipt, m *steps.StepMessage, there bool) bool {
	if p.Limits == nil {
		return false
	}
	s := r.fold.State
	i := s.Unit(m.Step)
	u := &s.Units[i]
	let := r.passes[m.Step]
	if !p.Limits.Any() && !limits.MayCount(s.Tool(i)) && !u.Limited() && !let.said || there || !s.MayBeHeld(i) {
		return false
	}
	if let.attempt != m.Attempt {
		let = pass{attempt: m.Attempt}
	}
	name, l, ok := p.limitOf(s, i, let)
	switch {
	case ok && p.cannotWait(m, s.Tool(i).Rung(m.Rung), l):
		p.answerFor(r, rc, m, l)
		return true
	case ok:
		p.stand(r, m, name, l)
		return true
	case u.Limited() || let.said: // it goes on once the log says so
		p.tellOnce(r, rc, m.Step+"/"+m.Token()+" goes on", steps.Released{Attempt: m.Attempt})
		return true
	}
	return false
}

// cannotWait reports whether a call would not wait for as long if its target said it so itself: its budget is over before that, or
// its rung does not wait that long. It goes down its ladder instead.
func (p *partition) cannotWait(m *steps.StepMessage, r *steps.Rung, l limit) bool {
	left := l.until.Sub(p.Bus.Now())
	if l.why != steps.HoldRetryAfter || left <= 0 {
		return false
	}
	most := time.Duration(r.Retry.RetryAfterMax)
	return !m.Deadline.IsZero() && !l.until.Before(m.Deadline) || most > 0 && left > most
}

// answerFor ends an attempt as its target would, without calling it.
func (p *partition) answerFor(r *run, rc *receipt, m *steps.StepMessage, l limit) {
	p.tellOnce(r, rc, m.Step+"/"+m.Token()+" answered", steps.Failed{Attempt: m.Attempt, Fault: steps.Fault{
		Class: steps.RateLimited, Acted: steps.ActedNo, RetryAfter: steps.Duration(l.until.Sub(p.Bus.Now())),
		Message: "not called: " + l.covers + " has asked all to wait until " + l.until.UTC().Format("15:04:05 UTC"),
	}})
}

// stand has an attempt wait for a limit, once its own time has come.
func (p *partition) stand(r *run, m *steps.StepMessage, name string, l limit) {
	s := r.fold.State
	w := &waiter{
		Place: p.placeOf(s, s.Unit(m.Step)), p: p, run: m.Run, attempt: m.Attempt, tool: m.Tool, name: name, limit: l,
		key: steps.AttemptName(m.Run, m.Attempt), from: p.Bus.Now(),
	}
	if !p.enlist(w) {
		return
	}
	if at := p.here(m.NotBefore); l.why != steps.HoldRetryAfter && time.Until(at) > 0 { // it is not to begin before that in any case
		w.from = m.NotBefore
		p.at(at, func() { p.join(w) })
		return
	}
	p.join(w)
}

// enlist notes what waits; false: it does already.
func (p *partition) enlist(w *waiter) bool {
	if _, waits := p.waiters.by[w.key]; waits {
		return false
	}
	if p.waiters.by == nil {
		p.waiters.by = map[string]*waiter{}
	}
	p.waiters.by[w.key] = w
	p.lookForLong()
	return true
}

// join has a call wait with those of other partitions: for a slot where all dispatchers see it, for a time with those of this one.
func (p *partition) join(w *waiter) {
	switch {
	case p.waiters.by[w.key] != w:
	case w.limit.most > 0:
		p.standForSlot(w)
	default:
		p.lines.join(w)
	}
}

// leave has a call that nobody wants any more wait no more.
func (p *partition) leave(w *waiter) {
	delete(p.waiters.by, w.key)
	if w.limit.most > 0 {
		p.Limits.Leave(w.name, w.key)
		return
	}
	p.lines.leave(w)
}

// leaveLines is for a partition that is forgotten.
func (p *partition) leaveLines() {
	for _, w := range p.waiters.by {
		p.lines.leave(w)
	}
	p.waiters = waiters{looking: p.waiters.looking}
	p.limitedCalls.Store(nil)
	if p.Limits != nil {
		p.Limits.Forget(p.p)
	}
}

// at does something in the partition's goroutine at a time.
func (p *partition) at(t time.Time, f func()) {
	d := time.Until(t)
	if d <= 0 {
		p.box.call(f)
		return
	}
	time.AfterFunc(d, func() { p.box.call(f) })
}

// timeCame lets a call go on whose time has come; false: its run wants it no more, and the time is another one's.
func (p *partition) timeCame(w *waiter) bool {
	if p.waiters.by[w.key] != w {
		return false
	}
	delete(p.waiters.by, w.key)
	switch w.limit.why {
	case steps.HoldGate:
		return p.leavesGate(w)
	case steps.HoldBreaker:
		return p.leavesRamp(w)
	}
	r, i := p.wanted(w)
	if i >= 0 {
		p.letPass(r, i, w)
	}
	return i >= 0
}

// wanted is the run and unit of an attempt that waits; -1: nobody wants it any more, or it is looked at anew.
func (p *partition) wanted(w *waiter) (*run, int) {
	r := p.runs[w.run]
	if r == nil || !r.live() {
		return r, -1
	}
	s := r.fold.State
	i := s.Unit(w.attempt.Step)
	if i < 0 || s.Attempt(i) != w.attempt || !s.MayBeHeld(i) || r.hasSent(w.attempt) {
		return r, -1
	}
	return r, i
}

// letPass has an attempt not wait for the same once more.
func (p *partition) letPass(r *run, i int, w *waiter) {
	let := r.passes[w.attempt.Step]
	if let.attempt != w.attempt {
		let = pass{attempt: w.attempt}
	}
	let.said = let.said || w.said
	switch w.limit.why {
	case steps.HoldRetryAfter:
		let.target = true
	case steps.HoldRate:
		let.rates |= 1 << w.limit.rate
	}
	if r.passes == nil {
		r.passes = map[string]pass{}
	}
	r.passes[w.attempt.Step] = let
	p.ensure(r, []int{i}, &receipt{run: r, sweep: true})
}

// hear notes that the target of a call has asked to wait, where its run does; and that an attempt goes on which the log has said to be
// held back.
func (p *partition) hear(r *run, rec steps.Record) {
	if e, is := rec.Event.(steps.Released); is && r.passes[e.Step].attempt == e.Attempt {
		let := r.passes[e.Step]
		let.said = false
		r.passes[e.Step] = let
	}
	e, is := rec.Event.(steps.Failed)
	s := r.fold.State
	if !is || p.Limits == nil || e.Fault.RetryAfter <= 0 || e.Fault.Injected != "" || s.Foreign(rec) {
		return
	}
	i := s.Unit(e.Step)
	if i < 0 || s.Units[i].Phase() != steps.PhaseRetrying {
		return // it does not wait: it goes down its ladder, and so may others
	}
	p.Limits.Ask(p.work, limits.Wait{
		Target: limits.TargetOf(view.TargetHost(s, i), s, i), Since: rec.Time.UTC(), Until: s.Units[i].NotBefore().UTC(),
		Run: s.Run, Tool: s.Tool(i).Name, Status: e.Fault.Status,
	})
}

// lookForLong looks from time to time, as long as something waits, for what has waited so long that people are to see it.
func (p *partition) lookForLong() {
	if p.waiters.looking || len(p.waiters.by) == 0 {
		return
	}
	p.waiters.looking = true
	p.at(time.Now().Add(p.SayAfter/5), func() {
		p.waiters.looking = false
		p.tellLong()
		p.lookForLong()
	})
}

func (p *partition) tellLong() {
	now, said := p.Bus.Now(), 0
	counts := map[Limited]int{}
	p.countBehind()
	for _, w := range p.waiters.by {
		if w.limit.why == steps.HoldGate { // the log says so already
			continue
		}
		r, i := p.wanted(w)
		if r == nil || i < 0 && r.live() {
			p.leave(w) // nobody wants it any more
			continue
		}
		l := &w.limit
		if l.why == steps.HoldBreaker { // it is soon
			continue
		}
		counts[Limited{w.tool, l.why}]++
		if w.said || i < 0 || said >= tellMost || now.Sub(w.from) < p.SayAfter {
			continue
		}
		w.said = true
		said++
		p.tellOnce(r, &receipt{run: r, sweep: true}, w.attempt.Step+"/"+w.attempt.Token()+" "+string(l.why), steps.Held{
			Attempt: w.attempt, Hold: steps.Hold{Why: l.why, Covers: l.covers, Reason: l.reason, Since: w.from.UTC(), Until: l.until.UTC()},
		})
	}
	p.limitedCalls.Store(&counts)
}

// LimitedCalls are the calls that limits hold back, as far as this dispatcher has their runs.
func (d *Dispatcher) LimitedCalls() map[Limited]int {
	all := map[Limited]int{}
	for _, p := range d.parts {
		if counts := p.limitedCalls.Load(); counts != nil {
			for k, n := range *counts {
				all[k] += n
			}
		}
	}
	return all
}

// knowLimits waits until it is known which targets have asked to wait, but not for long: nothing is lost by a call too early.
func (d *Dispatcher) knowLimits(ctx context.Context) {
	if d.Limits == nil {
		return
	}
	t := time.NewTimer(2 * time.Second)
	defer t.Stop()
	select {
	case <-d.Limits.Ready():
	case <-t.C:
	case <-ctx.Done():
	}
}
