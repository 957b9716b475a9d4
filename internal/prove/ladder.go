package prove

import (
	"slices"
	"time"

	"belay/internal/plan"
	"belay/internal/steps"
	"belay/internal/wire"
)

// ackWait is how long a silent worker keeps a message by default. It is a setting of workers, which no document knows.
const ackWait = 30 * time.Second

// grace is how long after the end of its budget a step waits for the outcome of an attempt, and for every worker to have heard
// that it is taken back.
const grace = steps.RunningGrace + wire.HeardBy

// lostBefore is how many executions of a step may be lost with their workers, and be followed by another one.
const lostBefore = steps.CrashBudget - 1

// pauses are how long a worker waits before it executes what has ended other workers.
const pauses = 2*time.Second + 4*time.Second

// rung is one level of a ladder, or the probe, with what the core allows on it in one round.
type rung struct {
	*steps.Rung
	def     *plan.RungDef
	depends string // what it leans on; empty = nothing outside the worker
	where   string // tool/rung, for people

	plain       map[steps.Class]int // faults of each class after which it is tried once more, without a named wait
	names       []steps.Class       // classes of faults that may name a wait
	named       int                 // waits that the other side may name
	least       time.Duration       // the shortest of them
	attempt     time.Duration       // of one attempt, the time to end included; 0 = only the step's budget
	waits       time.Duration       // all waits but named ones, at most
	namedWait   time.Duration       // a named wait, at most
	longest     time.Duration       // the longest wait before one of its tries
	namedNoEnd  bool                // the other side may name any wait
	steady      time.Duration       // all tries when each fails alike
	steadyTries int
}

func newRung(t *plan.ToolDef, def *plan.RungDef, r *steps.Rung) *rung {
	k := &rung{Rung: r, def: def, depends: t.Dependency(def), where: t.Name + "/" + r.Name, plain: map[steps.Class]int{}, attempt: time.Duration(r.Timeout)}
	if c := def.Spec.Command; c != nil && r.Timeout > 0 {
		k.attempt += c.Grace
	}
	for _, class := range classesOf(r.Executor) {
		tries := r.Retry.Tries(class)
		k.plain[class] = tries - 1
		alike := product(k.attempt, tries)
		for n := 1; n < tries; n++ {
			k.waits, k.longest = total(k.waits, r.Retry.Bound(class, n)), max(k.longest, r.Retry.Bound(class, n))
			alike = total(alike, r.Retry.Bound(class, n))
		}
		if alike > k.steady || k.steadyTries == 0 {
			k.steady, k.steadyTries = alike, tries
		}
		k.addNamed(class)
	}
	return k
}

// addNamed takes in the waits that the other side may name after faults of a class.
func (k *rung) addNamed(class steps.Class) {
	if !namesWaits(k.Executor) || class == steps.Crashed && !saysAnything(k.Executor) {
		return
	}
	n, least, most := k.Retry.NamedWaits(class)
	if n == 0 {
		return
	}
	if k.named == 0 || least < k.least {
		k.least = least
	}
	k.names = append(k.names, class)
	k.named, k.namedWait = n, max(k.namedWait, most)
	k.longest = max(k.longest, k.namedWait)
	k.namedNoEnd = k.namedNoEnd || most == 0
}

func (k *rung) plainTries() int {
	n := 1
	for _, more := range k.plain {
		n += more
	}
	return n
}

// endless reports whether nothing but the step's budget bounds the rung.
func (k *rung) endless() bool {
	return k.Executor != "human" && (k.attempt == 0 || k.named > 0 && k.namedNoEnd)
}

// call is one call of a tool: everything that may happen in one round of a step, an item or a compensation until it has
// ended or people are asked.
type call struct {
	tool     *plan.ToolDef
	segments [][]*rung // the rungs that may be tried, each list with a budget of its own
	probe    *rung     // nil without one
	limit    int       // the plan's escalate_after; 0 = none
}

func newCall(t *plan.ToolDef, escalateAfter int) *call {
	c := &call{tool: t, limit: escalateAfter}
	segment := []*rung{}
	for i := range t.Rungs {
		def := &t.Rungs[i]
		segment = append(segment, newRung(t, def, &t.Tool.Rungs[i]))
		if def.Human == nil {
			if escalateAfter == 1 {
				break // its first fault asks people
			}
			continue
		}
		c.segments, segment = append(c.segments, segment), nil
		if !goesOn(def.Human) {
			break
		}
	}
	if len(segment) > 0 {
		c.segments = append(c.segments, segment)
	}
	if t.Probe != nil && len(machines(slices.Concat(c.segments...), all)) > 0 {
		c.probe = newRung(t, t.Probe, &t.Tool.Verify.Rung)
	}
	return c
}

// goesOn reports whether the ladder goes on below a rung on which nobody has answered.
func goesOn(h *steps.Human) bool { return h.OnDeadline == steps.ExpiryFallback && h.Deadline > 0 }

// rungs are all that may be tried, the probe last.
func (c *call) rungs() []*rung {
	list := slices.Concat(c.segments...)
	if c.probe != nil {
		list = append(list, c.probe)
	}
	return list
}

// attempts is how often rungs that fit are tried at most. Attempts may fail at once and waits before them may be as short
// as their jitter allows; only named waits have a least length, and so only they are bounded by the budget.
func (c *call) attempts(fits func(*rung) bool) int {
	n := 0
	var ladder []*rung
	for _, segment := range c.segments {
		chosen := machines(segment, fits)
		ladder = append(ladder, chosen...)
		n += c.namedIn(chosen)
	}
	n = c.capped(ladder, n)
	if c.probe != nil && fits(c.probe) {
		n += c.probe.plainTries() + c.namedIn([]*rung{c.probe})
	}
	return n
}

func machines(list []*rung, fits func(*rung) bool) []*rung {
	return slices.DeleteFunc(slices.Clone(list), func(k *rung) bool { return k.Human != nil || !fits(k) })
}

// namedIn is how many named waits fit into one budget: the shortest ones first.
func (c *call) namedIn(list []*rung) int {
	list = slices.SortedFunc(slices.Values(list), func(a, b *rung) int { return int(a.least - b.least) })
	left, n := time.Duration(c.tool.Timeout)-1, 0
	for _, k := range list {
		fit := k.named
		if c.tool.Timeout > 0 && k.least > 0 {
			fit = min(fit, int(left/k.least))
		}
		left -= time.Duration(fit) * k.least
		n += fit
	}
	return n
}

// capped is the number of tries of a ladder with n named waits, where escalate_after faults of a class end it.
func (c *call) capped(ladder []*rung, n int) int {
	total := len(ladder)
	byClass, names := map[steps.Class]int{}, map[steps.Class]bool{}
	for _, k := range ladder {
		for _, class := range k.names {
			names[class] = true
		}
		for class, more := range k.plain {
			byClass[class] += more
		}
	}
	spare := 0
	for class, more := range byClass {
		if c.limit > 0 {
			more = min(more, c.limit-1)
		}
		if names[class] {
			spare += c.limit - 1 - more
		}
		total += more
	}
	if c.limit > 0 {
		n = min(n, spare)
	}
	return total + n
}

// repeated is how many executions beside the attempts there may be on rungs that fit, because workers were lost. A call
// that is claimed is never executed a second time; a probe is never claimed.
func (c *call) repeated(fits func(*rung) bool) int {
	for _, k := range c.rungs() {
		if k.Human == nil && fits(k) && (k == c.probe || !c.claimed(k)) {
			return lostBefore
		}
	}
	return 0
}

func (c *call) claimed(k *rung) bool {
	a := c.tool.Approval
	return c.tool.Effects.Unsafe() || a != nil && a.When == "" && !k.Harmless()
}

// time is how long the call works at most.
func (c *call) time(fits func(*rung) bool) Span {
	var sum Span
	for _, segment := range c.segments {
		sum = sum.plus(c.inBudget(machines(segment, fits)))
	}
	if c.probe != nil && fits(c.probe) {
		sum = sum.plus(c.inBudget([]*rung{c.probe}))
	}
	return sum
}

// inBudget is how long rungs take that share a budget. At its end a running attempt has a grace to report.
func (c *call) inBudget(list []*rung) Span {
	var sum Span
	longest, endless := time.Duration(0), false
	for _, k := range list {
		for _, d := range []time.Duration{product(k.attempt, k.plainTries()+k.named), k.waits, product(k.namedWait, k.named)} {
			sum = sum.plus(Span{Fixed: d})
		}
		longest, endless = max(longest, k.attempt), endless || k.endless()
	}
	if len(list) == 0 {
		return Span{}
	}
	sum = sum.plus(Span{Fixed: c.losses(list, longest)})
	if budget := time.Duration(c.tool.Timeout); budget > 0 && (endless || sum.Fixed >= budget) {
		return Span{Fixed: total(budget, grace)}
	}
	sum.Endless = sum.Endless || endless
	return sum
}

// lost is how many executions on rungs may be lost with their workers and be followed by another one of the same attempt,
// and how many of them may be lost at all: each is missed for an ack wait. An unsafe call that is lost is in doubt, and
// nothing comes after it.
func (c *call) lost(list []*rung) (repeats, silent int) {
	for _, k := range list {
		if k != c.probe && c.tool.Effects.Unsafe() {
			return 0, 1
		}
		if k == c.probe || !c.claimed(k) {
			repeats = lostBefore
		}
		silent += 1 + k.plain[steps.Crashed]
	}
	return repeats, repeats + silent
}

// losses is how long lost workers hold up rungs on which an attempt takes at most so long.
func (c *call) losses(list []*rung, attempt time.Duration) time.Duration {
	repeats, silent := c.lost(list)
	d := total(product(attempt, repeats), product(ackWait, silent))
	if repeats > 0 {
		d = total(d, pauses)
	}
	return d
}

// steady is how long the call works when every try of it fails alike.
func (c *call) steady() time.Duration {
	var sum time.Duration
	for _, segment := range c.segments {
		var part time.Duration
		for _, k := range segment {
			part = total(part, k.steady)
		}
		if c.tool.Timeout > 0 {
			part = min(part, time.Duration(c.tool.Timeout))
		}
		sum = total(sum, part)
	}
	return sum
}

func all(*rung) bool { return true }
