package notify

import (
	"slices"
	"time"
)

// Tier is a set of people who are told together.
type Tier struct {
	Name   string
	Notify []string      // names of channels
	After  time.Duration // from when an item is opened, if nobody has claimed it by then
	Remind time.Duration // between reminders; 0: none
}

// Policy says who is told what, and when.
type Policy struct {
	Tiers     []Tier // in the order in which they are told
	PerMinute int    // the most notices a channel gets in any minute; 0: [DefaultPerMinute]
}

// DefaultPerMinute is what a person may still be able to read.
const DefaultPerMinute = 20

// Due is what a look at the items gives.
type Due struct {
	Notices []Notice
	Forget  []string  // keys of [Sent] that count no more
	Next    time.Time // when to look again, if nothing changes before; zero: never
}

// Look says what is to be sent now. Items are all escalations that are open, also claimed and snoozed ones, and those
// whose deadline passed less than an hour ago; sent is all that was told before and not forgotten. Asking again
// with the answer's Told among sent gives nothing new.
//
// Items with the same fingerprint are one group, and a group is one notice to a tier. Another item that joins a group
// of which the tier was told, and of which a told item still waits, is told of with others that join it just then, as more
// of the kind.
func (p Policy) Look(items []Item, sent []Sent, now time.Time) Due {
	groups, past := groupsOf(items), historyOf(sent)
	calls, _ := p.calls(groups, past, now)
	notices, room := p.bounded(calls, past, now)
	for i := range notices {
		for _, s := range notices[i].Told {
			past.add(s)
		}
	}
	_, next := p.calls(groups, past, now) // what comes next depends on what is sent now
	return Due{Notices: notices, Forget: past.stale(groups, p.Tiers, now), Next: earliest(next, room)}
}

// calls are the notices that the rules ask for now, and the time at which they ask for the next one.
func (p Policy) calls(groups []*group, past *history, now time.Time) (due []call, next time.Time) {
	for _, g := range groups {
		for i := range p.Tiers {
			v := view{group: g, tiers: p.Tiers, tier: i, told: past.of(g.name, p.Tiers[i].Name), moments: moments{now: now}}
			c, at := v.call()
			next = earliest(next, at)
			if c != nil {
				due = append(due, *c)
			}
		}
	}
	return due, next
}

// startOf is the tier that an item begins with. A name that is not there (any more) must not keep it from people.
func startOf(tiers []Tier, it *Item) int {
	return max(0, slices.IndexFunc(tiers, func(t Tier) bool { return t.Name == it.Tier }))
}
