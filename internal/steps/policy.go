package steps

import (
	"fmt"
	"hash/fnv"
	"math"
	"slices"
	"time"
)

// react is the whole policy about failure: what happens to unit i after fault f. In this order: what may have happened and
// must not be repeated is settled by a probe or a person; what no machine can mend goes to a person; too many faults of a
// kind go to a person; then the same rung is tried once more, then the next rung, then a person is asked.
func (c *change) react(i int, f Fault) {
	if c.Units[i].IsTurn() && c.dropped(i, f) {
		return
	}
	if c.Probing(i) {
		c.probeFailed(i, f)
		return
	}
	if c.goOnFrom(i, &f) {
		return
	}
	if f.Class == Unknown || f.MayHaveActed() && c.Tool(i).Effects.Unsafe() {
		c.unknown(i, f)
		return
	}
	if n := c.otherInDoubt(i); n >= 0 {
		why := "it may have happened already, and must not be repeated"
		if c.since(7) && c.Units[i].Current().Continues != nil {
			why += "; the call does not go on: " + f.Error()
		}
		c.standOn(i, n)
		c.inDoubt(i, why)
		return
	}
	if c.ending != "" && c.Units[i].origin.kind != undo {
		c.Units[i].Fault = &f
		c.become(i, PhaseCancelled)
		return
	}
	if c.dropped(i, f) {
		return
	}
	if f.Reason.leftAlone() { // its breaker has held it for as long as it may
		if !c.nextRung(i) {
			c.giveUp(i, f)
		}
		return
	}
	if f.Class == PolicyDenied {
		c.ask(i, KindFailure, f) // people must see it, whatever the plan says about failures
		return
	}
	if f.Class.Reaction() == Ask {
		c.giveUp(i, f)
		return
	}
	if c.Units[i].origin.kind != agentSummary && c.tooMany(i, f) {
		c.ask(i, KindFailure, f)
		return
	}
	if c.noMoneyLeft(i, f) {
		return
	}
	if wait, ok := c.retry(i, &f); ok {
		c.queue(i, wait)
		return
	}
	if c.nextRung(i) {
		return
	}
	c.giveUp(i, f)
}

// tooMany counts the faults of one (tool, class) in this run against the plan's escalate_after.
func (c *change) tooMany(i int, f Fault) bool {
	limit := c.Program.Plan.EscalateAfter
	if limit <= 0 {
		return false
	}
	if c.faults == nil {
		c.faults = make(map[faultKey]int)
	}
	k := faultKey{c.Tool(i).Name, f.Class}
	c.faults[k]++
	return c.faults[k] >= limit
}

// retry says whether unit i tries the same rung once more after f, and after which wait. If it does not, and the fault
// itself does not say why, the reason is added to its message.
func (c *change) retry(i int, f *Fault) (time.Duration, bool) {
	if f.Class.Reaction() != Retry || f.Final && c.since(2) {
		return 0, false
	}
	u := &c.Units[i]
	p := c.Tool(i).Rung(u.Rung).Retry
	if f.RetryAfter > 0 {
		return c.namedWait(i, f, p)
	}
	n := u.count(f.Class)
	if n >= p.maxAttempts(f.Class) {
		return 0, false
	}
	wait := p.wait(f.Class, n, AttemptName(c.Run, c.Attempt(i)))
	return wait, c.inBudget(i, wait)
}

// namedWait is the wait that the other side asks for. It does not count as a failed try: it is limited by a bound on its
// length, by the number of such waits on the rung and by the step's budget. It is at least as long as the rung's first
// wait.
func (c *change) namedWait(i int, f *Fault, p RetryPolicy) (time.Duration, bool) {
	wait := time.Duration(f.RetryAfter)
	if p.never(f.Class) || p.RetryAfterMax > 0 && f.RetryAfter > p.RetryAfterMax {
		return wait, false
	}
	if c.since(2) {
		wait = max(wait, p.initial(f.Class))
		if u := &c.Units[i]; int(u.ladder.named) >= p.namedWaits() {
			f.Message += fmt.Sprintf("; it has asked to wait %d times, and no more are allowed (max_named_waits)", u.ladder.named)
			return wait, false
		}
		c.Units[i].ladder.named++
	}
	return wait, c.inBudget(i, wait)
}

// inBudget reports whether a wait ends before the budget of unit i does. A wait that does not is not begun.
func (c *change) inBudget(i int, wait time.Duration) bool {
	end := c.Units[i].Deadline
	return end.IsZero() || c.Now.Add(wait).Before(end)
}

// nextRung queues the first try of the rung below, if there is one and time is left for it.
func (c *change) nextRung(i int) bool {
	k, ok := c.below(i, c.Units[i].Rung+1)
	if !ok || !c.inBudget(i, 0) {
		return false
	}
	c.onRung(i, k)
	return true
}

// below is the first rung from k down that unit i may stand on. Without the approval that it needs that is only a rung
// that acts on nothing.
func (c *change) below(i, k int) (int, bool) {
	t := c.Tool(i)
	for ; k < len(t.Rungs); k++ {
		if c.Units[i].ladder.unapproved == "" || t.Rungs[k].Harmless() {
			return k, true
		}
	}
	return 0, false
}

// onRung queues the first try of rung k.
func (c *change) onRung(i, k int) {
	u := &c.Units[i]
	u.Rung, u.Try, u.ladder.faults, u.ladder.named, u.ladder.broken, u.onward = k, 0, nil, 0, time.Time{}, nil
	c.queue(i, 0)
}

// giveUp is for a unit for which nothing is left to try: the plan's on_failure says what that means.
func (c *change) giveUp(i int, f Fault) {
	u := &c.Units[i]
	u.Fault = &f
	if c.tellsModel(i, f) {
		c.done(i, PhaseFailed)
		return
	}
	on := c.Program.Nodes[u.Node].Step.OnFailure
	if u.origin.kind == undo {
		on = OnFailureEscalate
	}
	switch on {
	case OnFailureSkip:
		c.skip(i)
	case OnFailureFail:
		c.become(i, PhaseFailed)
		c.startEnding(RunFailed, u.ID+": "+f.Error())
	default:
		c.ask(i, kindOf(f), f)
	}
}

func kindOf(f Fault) EscalationKind {
	switch f.Class {
	case DeadlineExceeded:
		return KindDeadline
	case Unknown:
		return KindUnknown
	case NeedsHuman:
		return KindQuestion
	}
	return KindFailure
}

// unknown is for an attempt that may have happened and must not be repeated. A probe or a person settles it; a run that is
// ending asks only where the answer decides whether something is to be undone.
func (c *change) unknown(i int, f Fault) {
	u := &c.Units[i]
	if f.Class == Unknown && c.since(6) { // else its own worker has told of its end
		if until := c.mayRunUntil(i); until.After(c.Now) {
			u.Current().mayRunUntil = until
			f.Message += "; until " + until.UTC().Format("15:04:05 UTC") + " it may still be under way: look again after that before you retry"
		}
	}
	f.Class, f.Acted = Unknown, ActedMaybe
	u.Current().State, u.Fault, u.onward = AttemptUnknown, &f, nil
	u.doubt = markOf(slices.IndexFunc(u.Attempts, func(r AttemptRecord) bool { return r.is(c.Attempt(i)) }))
	if u.phase != PhaseUnknown { // else another attempt was in doubt before this one
		c.become(i, PhaseUnknown)
	}
	switch {
	case c.ending != "" && u.origin.kind != undo && !c.undone(i):
		c.leaveUnknown(i)
	case c.Tool(i).Verify != nil && (c.ending == "" || u.origin.kind == undo && c.since(6)):
		c.probe(i)
	default:
		c.ask(i, KindUnknown, f)
	}
}

// leaveUnknown leaves an unknown outcome as it is: nobody needs to know any more.
func (c *change) leaveUnknown(i int) {
	if !c.Units[i].Over() {
		c.shift(i, PhaseLeftUnknown)
	}
	c.touch(i)
}

// count counts one more fault of a class on this rung and returns how many there are.
func (u *Unit) count(class Class) int {
	for k := range u.ladder.faults {
		if u.ladder.faults[k].class == class {
			u.ladder.faults[k].n++
			return u.ladder.faults[k].n
		}
	}
	u.ladder.faults = append(u.ladder.faults, classCount{class, 1})
	return 1
}

// maxAttempts is the number of tries for a class. Crashed has one: the redeliveries before it were its retries.
func (p RetryPolicy) maxAttempts(class Class) int {
	if on, ok := p.On[class]; ok && on.MaxAttempts > 0 {
		return on.MaxAttempts
	}
	if class == Crashed {
		return 1
	}
	return max(p.MaxAttempts, 1)
}

// never reports whether the policy forbids any second try of a class.
func (p RetryPolicy) never(class Class) bool {
	on, ok := p.On[class]
	return ok && on.MaxAttempts == 1
}

// wait is the wait after the n-th fault of a class: full jitter below an exponentially growing bound. The jitter is a
// hash of the attempt's name, so asking twice gives the same answer.
func (p RetryPolicy) wait(class Class, n int, attempt string) time.Duration {
	return time.Duration(p.bound(class, n) * fraction(attempt)).Round(time.Millisecond)
}

// bound is how long the wait after the n-th fault of a class may be.
func (p RetryPolicy) bound(class Class, n int) float64 {
	initial, factor, most := p.initial(class), p.Factor, p.Max
	on := p.On[class]
	if on.Factor > 0 {
		factor = on.Factor
	}
	if on.Max > 0 {
		most = on.Max
	}
	if factor < 1 {
		factor = 1
	}
	bound := float64(initial) * math.Pow(factor, float64(n-1))
	if most > 0 {
		bound = min(bound, float64(most))
	}
	return bound
}

// initial is the bound of the first wait for a class.
func (p RetryPolicy) initial(class Class) time.Duration {
	if on := p.On[class]; on.Initial > 0 {
		return time.Duration(on.Initial)
	}
	return time.Duration(p.Initial)
}

func (p RetryPolicy) namedWaits() int {
	if p.MaxNamedWaits > 0 {
		return p.MaxNamedWaits
	}
	return DefaultNamedWaits
}

// fraction is a number in [0,1) that depends on nothing but name.
func fraction(name string) float64 {
	h := fnv.New64a()
	h.Write([]byte(name))
	x := h.Sum64()
	x ^= x >> 33 // FNV's high bits hardly change with the last byte; mix them
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	return float64(x>>11) / (1 << 53)
}
