package notify

import (
	"context"
	"slices"
	"time"

	"belay/internal/bus"
	"belay/internal/handoff"
)

// Foreseen is a notice that will be sent if nobody acts.
type Foreseen struct {
	At   time.Time // when it will be sent
	Tier string    // who gets it
	ID   string    // of the escalation that it is about
	Why  string    // the occasion in words, after "is notified"; empty: the escalation is new to the tier
}

// mostForeseen bounds a forecast, in looks.
const mostForeseen = 40

// Foresee says who will be notified of these items, and when, if nobody acts, without reminders. It is empty if no process
// has a notify file.
func Foresee(ctx context.Context, b *bus.Bus, items []handoff.Item, now time.Time) ([]Foreseen, error) {
	m, err := openMemory(ctx, b)
	if err != nil {
		return nil, err
	}
	var p Policy
	if p.Tiers, err = m.tiers(ctx); err != nil || len(p.Tiers) == 0 {
		return nil, err
	}
	sent, err := m.sent(ctx)
	if err != nil {
		return nil, err
	}
	return p.foresee(items, sent, now), nil
}

// foresee asks the policy at each time at which it has something to send.
func (p Policy) foresee(items []handoff.Item, sent []Sent, now time.Time) (list []Foreseen) {
	for range mostForeseen {
		due := p.Look(items, sent, now)
		for _, n := range due.Notices {
			sent = append(sent, n.Records...)
			if n.What != Reminder && n.What != Expired {
				list = append(list, foreseenIn(n, items)...)
			}
		}
		sent = slices.DeleteFunc(sent, func(s Sent) bool { return slices.Contains(due.Forget, s.Key) })
		if due.Next.IsZero() {
			break
		}
		now = due.Next
	}
	return list
}

// foreseenWhy is the occasion of a future notice in words.
var foreseenWhy = map[What]string{Deadline: "that the deadline is near", Returned: "again, when the claim has ended"}

func foreseenIn(n Notice, items []handoff.Item) (list []Foreseen) {
	for _, it := range items {
		if slices.ContainsFunc(n.Records, func(s Sent) bool { return s.Names(it.ID, it.Fingerprint, it.Opened) }) {
			list = append(list, Foreseen{n.At, n.Tier, it.ID, foreseenWhy[n.What]})
		}
	}
	return list
}
