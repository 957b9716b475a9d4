package notify

import (
	"time"

	"belay/internal/handoff"
	"belay/internal/steps"
)

// item is an open escalation as the policy looks at it. Its times are those of the log and of the claim, not of their
// discovery.
type item handoff.Item

// longestWindow is how long before a deadline people are warned at the earliest.
const longestWindow = time.Hour

// quietUntil returns when the item began, or will begin, to wait for anybody: when it was opened, or when the last claim or
// snooze ends.
func (it *item) quietUntil() time.Time {
	at := latest(it.Opened, it.Snoozed)
	if it.Lease != nil {
		at = latest(at, it.Lease.Until)
	}
	return at
}

// due is the item's deadline; zero: it has none.
func (it *item) due() time.Time {
	if it.Deadline == nil {
		return time.Time{}
	}
	return *it.Deadline
}

func (it *item) expired(now time.Time) bool { return it.Deadline != nil && !now.Before(*it.Deadline) }

// stays reports whether the item stays open after its deadline.
func (it *item) stays() bool { return it.OnExpiry == "" || it.OnExpiry == steps.ExpiryEscalate }

func (it *item) over(now time.Time) bool { return it.expired(now) && !it.stays() }

// window is how long before the deadline people are warned.
func (it *item) window() time.Duration {
	return max(0, min(longestWindow, it.due().Sub(it.Opened)/5))
}

func (it *item) group() string { return GroupOf(it.ID, it.Fingerprint) }

// GroupOf is what [Sent] calls the group of an item.
func GroupOf(id, fingerprint string) string {
	if fingerprint == "" {
		return name("item", id)
	}
	return name("fingerprint", fingerprint)
}

// older orders items by when they began to wait.
func older(a, b *item) int {
	if c := a.Opened.Compare(b.Opened); c != 0 {
		return c
	}
	if a.ID < b.ID {
		return -1
	}
	return 1
}

func latest(all ...time.Time) time.Time {
	var last time.Time
	for _, t := range all {
		if t.After(last) {
			last = t
		}
	}
	return last
}

// earliest is the first of the times that are set; zero if none is.
func earliest(all ...time.Time) time.Time {
	var first time.Time
	for _, t := range all {
		if !t.IsZero() && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	return first
}
