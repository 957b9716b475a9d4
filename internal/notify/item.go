package notify

import "time"

// Item is an open escalation. Times are those of the log and of the claim, not those at which somebody noticed.
type Item struct {
	ID          string // of the escalation
	Fingerprint string // the same for failures that people would take for one: tool, rung, class, target. Empty: it is alone

	Kind, Workflow, Run, Step, Tool, Class string
	Message                                string // from outside, never trusted
	Summary                                string // what the call in question does, in one line; values from outside

	Opened       time.Time
	Deadline     time.Time // zero: none
	OnDeadline   string    // what happens then; with "escalate" or nothing it stays open, else it is over
	Claimed      bool
	ClaimedBy    string
	ClaimUntil   time.Time // end of the lease; zero: it does not end
	LeaseEnded   time.Time // end of the last lease that ran out, exactly its ClaimUntil; zero: none did
	SnoozedUntil time.Time

	Tier string // the tier that it begins with, or was moved to, which is told at once; empty: the first
}

// longestWindow is how long before a deadline people are warned at most.
const longestWindow = time.Hour

// quietUntil is when the item began, or begins, to wait for anybody at all; ok is false while a claim without an end
// holds it.
func (it *Item) quietUntil() (at time.Time, ok bool) {
	at = latest(it.Opened, it.SnoozedUntil, it.LeaseEnded)
	if it.Claimed {
		return latest(at, it.ClaimUntil), !it.ClaimUntil.IsZero()
	}
	return at, true
}

func (it *Item) expired(now time.Time) bool {
	return !it.Deadline.IsZero() && !now.Before(it.Deadline)
}

// stays reports whether the item is still a question to people after its deadline.
func (it *Item) stays() bool { return it.OnDeadline == "" || it.OnDeadline == "escalate" }

func (it *Item) over(now time.Time) bool { return it.expired(now) && !it.stays() }

// window is the last part of the time that people have.
func (it *Item) window() time.Duration {
	return max(0, min(longestWindow, it.Deadline.Sub(it.Opened)/5))
}

func (it *Item) group() string { return GroupOf(it.ID, it.Fingerprint) }

// GroupOf is what [Sent] calls the group of an item.
func GroupOf(id, fingerprint string) string {
	if fingerprint == "" {
		return name("item", id)
	}
	return name("fingerprint", fingerprint)
}

// older orders items by when they began to wait.
func older(a, b *Item) int {
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

// earliest is the first of the times that are set; zero when none is.
func earliest(all ...time.Time) time.Time {
	var first time.Time
	for _, t := range all {
		if !t.IsZero() && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	return first
}
