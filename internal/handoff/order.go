package handoff

import (
	"cmp"
	"time"

	"belay/internal/steps"
)

// soon is how near a deadline must be for its item to come before unknown outcomes.
const soon = time.Hour

// Urgency orders open items for people, wherever they are listed, by what it costs to let them wait:
//
//  1. those whose deadline is over or near: something will happen without a decision
//  2. unknown outcomes: something may have happened, and nobody knows
//  3. those with a later deadline
//  4. those without a deadline
//
// Among equals the earlier deadline comes first, then the older one.
func Urgency(now time.Time) func(a, b Item) int {
	return func(a, b Item) int {
		return cmp.Or(harm(&a, now)-harm(&b, now), due(a.Deadline, b.Deadline), a.Opened.Compare(b.Opened), cmp.Compare(a.ID, b.ID))
	}
}

// harm returns the rank of an item in that order.
func harm(it *Item, now time.Time) int {
	switch {
	case it.Deadline != nil && it.Deadline.Before(now.Add(soon)):
		return 1
	case it.Kind == steps.KindUnknown:
		return 2
	case it.Deadline != nil:
		return 3
	}
	return 4
}

// due sorts items with a deadline before those without.
func due(a, b *time.Time) int {
	switch {
	case a == nil && b == nil:
		return 0
	case a == nil:
		return 1
	case b == nil:
		return -1
	}
	return a.Compare(*b)
}
