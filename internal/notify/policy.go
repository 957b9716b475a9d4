package notify

import (
	"time"

	"belay/internal/handoff"
)

// Tier is a set of people who are notified together.
type Tier struct {
	Name   string        // unique in the policy
	Notify []string      // names of channels
	After  time.Duration // how long after an item is opened, if nobody has claimed it by then
	Remind time.Duration // between reminders; 0: none
}

// Policy says who is notified of what, and when.
type Policy struct {
	Tiers     []Tier // in the order in which they are notified
	PerMinute int    // the most notices a channel gets in any minute; 0: [DefaultPerMinute]
}

// DefaultPerMinute is about as much as a person can read.
const DefaultPerMinute = 20

// Due is the result of a look at the items.
type Due struct {
	Notices []Notice  // to be sent now, in this order
	Forget  []string  // keys of [Sent] that count no more
	Next    time.Time // when to look again, if nothing changes before; zero: never
}

// Look says what to send now. Items are all open escalations, also claimed and snoozed ones, and those whose deadline
// passed less than an hour ago; sent are the records of everything that was sent before and is not forgotten. Looking again
// with the records of the result added to sent returns nothing new.
//
// Items with the same fingerprint are one group, and a group is one notice to a tier. If a tier knows a group, and one of
// the items that it knows is still waiting, then items that join the group share a later notice, as more of the kind.
func (p Policy) Look(items []handoff.Item, sent []Sent, now time.Time) Due {
	groups, past := groupsOf(items), historyOf(sent)
	calls, _ := p.calls(groups, past, now)
	notices, room := p.bounded(calls, past, now)
	for i := range notices {
		for _, s := range notices[i].Records {
			past.add(s)
		}
	}
	_, next := p.calls(groups, past, now) // with what is sent now
	return Due{Notices: notices, Forget: past.stale(groups, p.Tiers, now), Next: earliest(next, room)}
}

// calls returns the notices that the rules ask for now, and when they ask for the next one.
func (p Policy) calls(groups []*group, past *history, now time.Time) (due []call, next time.Time) {
	for _, g := range groups {
		for i := range p.Tiers {
			v := sight{group: g, tiers: p.Tiers, tier: i, known: past.of(g.name, p.Tiers[i].Name), moments: moments{now: now}}
			c, at := v.call()
			next = earliest(next, at)
			if c != nil {
				due = append(due, *c)
			}
		}
	}
	return due, next
}

// startOf returns the tier that an item begins with: the next one each time that it was asked in vain, as long as there is
// one.
func startOf(tiers []Tier, it *item) int { return min(it.Tier, len(tiers)-1) }
