package limits

import (
	"fmt"
	"slices"
	"time"

	"belay/internal/steps"
	"belay/internal/text"
)

// Counted is a limit that calls count for.
type Counted struct {
	*steps.Limits
	Name, Covers string // Covers in words
}

// MayCount reports whether calls of a tool may count for a limit of its own or of a target.
func MayCount(t *steps.Tool) bool { return t.Limits != nil || len(t.Targets) > 0 }

// CountedBy are the limits that the current call of unit i, to a host, counts for: its tool's, and then its target's, which it shares with
// other tools. All calls go through them in that order, so that no two wait for each other.
func CountedBy(s *steps.State, i int, host string) (list []Counted) {
	if !MayCount(s.Tool(i)) || !s.Counts(i) {
		return nil
	}
	target := TargetOf(host, s, i)
	if most, per := s.LimitedBy(i); most != nil {
		tool := s.Tool(i).Name
		c := Counted{most, "tool/" + tool, tool}
		if most.Per == steps.PerTarget {
			per = target
		}
		if most.Per != "" {
			c.Name, c.Covers = c.Name+"/"+per, tool+", "+most.Per+" "+text.Cut(per, shownPer)
		}
		list = append(list, c)
	}
	if most, ok := s.Tool(i).Targets[target]; ok {
		list = append(list, Counted{&most, "target/" + target, target})
	}
	return list
}

// shownPer is how much people are shown of what calls are counted by.
const shownPer = 60

// AtOnce says in words how many calls may be in hand.
func (c *Counted) AtOnce() string { return fmt.Sprintf("%d at once", c.Concurrency) }

// NoneBefore says in words that a target takes no calls before a time.
func NoneBefore(until time.Time) string {
	return "no calls before " + until.UTC().Format("15:04:05 UTC") + ", and few at first"
}

// Holding is what keeps the current call of unit i, to a host, out of the queue in which it is not, among these limits; ok is false where none of
// them does: it is queued in a moment. Of several that may keep it out it is one that does so in any case.
func Holding(all []Limit, s *steps.State, i int, host string, now time.Time) (h steps.Hold, ok bool) {
	target := TargetOf(host, s, i)
	asked := recorded(all, steps.HoldRetryAfter, waitPrefix, target)
	h = steps.Hold{Why: steps.HoldRetryAfter, Covers: target}
	if asked != nil {
		h.Reason, h.Until = NoneBefore(asked.Until), asked.Until
	}
	if asked != nil && asked.Until.After(now) {
		return h, true
	}
	if counted, ok := countHolds(all, CountedBy(s, i, host), steps.AttemptName(s.Run, s.Attempt(i))); ok {
		return counted, true
	}
	return h, asked != nil && asked.Next.After(now) // calls are let go in a ramp, and it may wait for its turn
}

// countHolds is which of the limits that an attempt counts for keeps it out of the queue. It has gone through some of the rates perhaps, but not
// through the last one.
func countHolds(all []Limit, counted []Counted, attempt string) (h steps.Hold, ok bool) {
	for _, c := range counted {
		l := recorded(all, steps.HoldConcurrency, slotsPrefix, c.Name)
		if c.Concurrency == 0 || l != nil && slices.ContainsFunc(l.Calls, func(t Slot) bool { return t.Attempt == attempt }) {
			continue
		}
		full := l != nil && (l.InHand >= c.Concurrency || l.Waiting > 0)
		return steps.Hold{Why: steps.HoldConcurrency, Covers: c.Covers, Reason: c.AtOnce()}, full
	}
	for _, c := range slices.Backward(counted) {
		if l := recorded(all, steps.HoldRate, timesPrefix, c.Name); c.Rate > 0 && l != nil && !l.Next.IsZero() {
			return steps.Hold{Why: steps.HoldRate, Covers: c.Covers, Reason: c.Text}, true
		}
	}
	return steps.Hold{}, false
}

// recorded is a limit among those that were listed; nil: nothing counts for it now.
func recorded(all []Limit, why steps.HoldWhy, prefix, name string) *Limit {
	id := idOf(keyOf(prefix, name))
	n := slices.IndexFunc(all, func(l Limit) bool { return l.Why == why && l.ID == id })
	if n < 0 {
		return nil
	}
	return &all[n]
}
