package dispatch

import (
	"context"
	"time"

	"belay/internal/limits"
	"belay/internal/steps"
	"belay/internal/steps/view"
)

// What a limit holds back stays out of the queue, and nothing else changes: the run wants it all the same, whoever takes the
// partition over finds it wanted and asks the limits anew. Only a hold that has lasted for [Options.SayAfter] is put on the run's log, for
// people.

// tellMost is how many holds are put on the logs of a partition at once, five times in the time after which they are.
const tellMost = 200

// lines is what waits for limits in a partition.
type lines struct {
	byName  map[string]*line
	waiting map[string]*waiter // by [steps.AttemptName]
	looking bool               // a look for those that have waited long is on its way
}

// Limited is a kind of calls that wait: of a tool, for a reason.
type Limited struct {
	Tool string
	Why  steps.HoldWhy
}

// line is the calls that wait for the same limit, the first one first. Its limit allots times, and at each one of them goes on.
type line struct {
	name   string
	limit  limit
	queue  []*waiter
	asking bool // times are being allotted, or the last one of them has not come yet
}

// limit is what a line waits for.
type limit struct {
	why    steps.HoldWhy
	covers string // in words
	reason string // in words
	until  time.Time
	pace   func() (limits.Pace, bool) // false: nothing holds back any more; nil where it is a slot that is waited for
	text   string                     // of a rate, as the tools file has it
	rate   int                        // of the rates that the attempt counts for, which one it is
	most   int                        // how many slots there are
}

type waiter struct {
	run     string
	attempt steps.Attempt
	tool    string
	line    *line
	key     string    // in lines.waiting
	since   time.Time // by the server's clock
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
	if !p.Limits.Any() && !limitedTool(s.Tool(i)) && !u.Limited() && !let.said || there || !s.MayBeHeld(i) {
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

// stand has an attempt wait in a line, once its own time has come.
func (p *partition) stand(r *run, m *steps.StepMessage, name string, l limit) {
	w := &waiter{run: m.Run, attempt: m.Attempt, tool: m.Tool, key: steps.AttemptName(m.Run, m.Attempt), since: p.Bus.Now()}
	if !p.enlist(w, name, l) {
		return
	}
	if at := p.here(m.NotBefore); l.why != steps.HoldRetryAfter && time.Until(at) > 0 { // it is not to begin before that in any case
		w.since = m.NotBefore
		p.at(at, func() { p.join(w.line, w) })
		return
	}
	p.join(w.line, w)
}

// enlist notes what waits in the line of a name; false: it does already.
func (p *partition) enlist(w *waiter, name string, l limit) bool {
	if _, waits := p.lines.waiting[w.key]; waits {
		return false
	}
	if p.lines.waiting == nil {
		p.lines.waiting, p.lines.byName = map[string]*waiter{}, map[string]*line{}
	}
	n := p.lines.byName[name]
	if n == nil || l.most > 0 {
		n = &line{name: name}
	}
	if n.limit = l; l.most == 0 { // those that wait for a slot stand where all dispatchers see them
		p.lines.byName[name] = n
	}
	w.line, p.lines.waiting[w.key] = n, w
	p.lookForLong()
	return true
}

func (p *partition) join(l *line, w *waiter) {
	if l.limit.most > 0 {
		p.standForSlot(l, w)
		return
	}
	l.queue = append(l.queue, w)
	p.serve(l)
}

// serve asks for times for those that wait in a line.
func (p *partition) serve(l *line) {
	if l.asking || len(l.queue) == 0 {
		return
	}
	pace, holds := l.limit.pace()
	if !holds {
		for len(l.queue) > 0 {
			p.next(l)
		}
		p.endLine(l)
		return
	}
	l.asking = true
	asked := limits.Asked{Name: l.name, Covers: l.limit.covers, Text: l.limit.text, Partition: p.p, Waiting: len(l.queue)}
	go func() {
		at, err := p.Limits.Times(p.work, asked, pace)
		p.box.call(func() { p.allotted(l, at, err) })
	}()
}

// allotted lets one of a line go on at each of these times, and asks for more shortly before the last.
func (p *partition) allotted(l *line, at []time.Time, err error) {
	if err != nil {
		p.complain("", err)
		p.at(time.Now().Add(retryAfter), func() { p.more(l) })
		return
	}
	for _, t := range at {
		p.at(p.here(t), func() { p.next(l) })
	}
	p.at(p.here(at[len(at)-1]).Add(-limits.Ahead/2), func() { p.more(l) })
}

func (p *partition) more(l *line) {
	l.asking = false
	p.endLine(l)
	p.serve(l)
}

// endLine forgets a line in which nobody waits.
func (p *partition) endLine(l *line) {
	if len(l.queue) == 0 && p.lines.byName[l.name] == l {
		delete(p.lines.byName, l.name)
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

// next lets the first of a line go on whose run still wants it.
func (p *partition) next(l *line) {
	for len(l.queue) > 0 {
		w := l.queue[0]
		l.queue[0] = nil
		l.queue = l.queue[1:]
		delete(p.lines.waiting, w.key)
		if l.limit.why == steps.HoldGate {
			if p.leavesGate(w) {
				return
			}
			continue
		}
		if r, i := p.wanted(w); i >= 0 {
			p.letPass(r, i, w)
			return
		}
	}
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
	switch w.line.limit.why {
	case steps.HoldRetryAfter:
		let.target = true
	case steps.HoldRate:
		let.rates |= 1 << w.line.limit.rate
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
	if p.lines.looking || len(p.lines.waiting) == 0 {
		return
	}
	p.lines.looking = true
	p.at(time.Now().Add(p.SayAfter/5), func() {
		p.lines.looking = false
		p.tellLong()
		p.lookForLong()
	})
}

func (p *partition) tellLong() {
	now, said := p.Bus.Now(), 0
	counts := map[Limited]int{}
	p.countBehind()
	for key, w := range p.lines.waiting {
		if w.line.limit.why == steps.HoldGate { // the log says so already
			continue
		}
		r, i := p.wanted(w)
		if r == nil || i < 0 && r.live() {
			delete(p.lines.waiting, key) // nobody wants it any more
			p.leave(w, key)
			continue
		}
		l := &w.line.limit
		counts[Limited{w.tool, l.why}]++
		if w.said || i < 0 || said >= tellMost || now.Sub(w.since) < p.SayAfter {
			continue
		}
		w.said = true
		said++
		p.tellOnce(r, &receipt{run: r, sweep: true}, w.attempt.Step+"/"+w.attempt.Token()+" "+string(l.why), steps.Held{
			Attempt: w.attempt, Hold: steps.Hold{Why: l.why, Covers: l.covers, Reason: l.reason, Since: w.since.UTC(), Until: l.until.UTC()},
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
