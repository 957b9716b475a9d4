package notify

import (
	"slices"
	"time"

	"belay/internal/handoff"
)

// group is a set of items that people would see as one problem.
type group struct {
	name  string
	items []*item // the oldest first
}

// groupsOf returns the groups in the order of their oldest items.
func groupsOf(items []handoff.Item) []*group {
	by := map[string]*group{}
	var all []*group
	for i := range items {
		it := (*item)(&items[i])
		name := it.group()
		g := by[name]
		if g == nil {
			g = &group{name: name}
			by[name], all = g, append(all, g)
		}
		g.items = append(g.items, it)
	}
	for _, g := range all {
		slices.SortFunc(g.items, older)
	}
	slices.SortFunc(all, func(a, b *group) int { return older(a.items[0], b.items[0]) })
	return all
}

// sight is what one tier sees of one group now.
type sight struct {
	group *group
	tiers []Tier
	tier  int
	known known
	moments

	present  []waiting
	alive    bool // the tier was notified of the group, and one of those items is still waiting
	returned bool // the tier was notified of items whose claim ended, and one of them is still waiting
}

// waiting is an item that is waiting for the tier, or whose deadline has passed.
type waiting struct {
	*item
	since time.Time // from when it has been waiting
	start time.Time // when the tier is notified of it, if it is new to the tier
}

// call returns the notice that the tier gets about the group now, nil if none, and the time of the next look.
func (v *sight) call() (*call, time.Time) {
	v.gather()
	for _, w := range v.present {
		v.deadline(w)
		if !w.over(v.now) && !v.known.of(w) {
			v.news(w)
		}
	}
	if remind := v.tiers[v.tier].Remind; v.alive && remind > 0 {
		v.at(Reminder, v.known.full.At.Add(remind), v.known.full.Notice)
	}
	return v.made(), v.next
}

// gather finds the items that concern the tier: those that nobody has claimed.
func (v *sight) gather() {
	for _, it := range v.group.items {
		since := it.quietUntil()
		switch {
		case v.tier < startOf(v.tiers, it):
		case since.After(v.now):
			v.later(since)
		default:
			v.present = append(v.present, waiting{item: it, since: since, start: v.start(it, since)})
		}
	}
	for _, w := range v.present {
		waits := !w.over(v.now)
		v.alive = v.alive || waits && v.known.of(w)
		v.returned = v.returned || waits && w.since.After(w.Opened) && !v.known.on[Returned].At.Before(w.since)
	}
}

// start returns when the tier is notified of an item that is new to it.
func (v *sight) start(it *item, since time.Time) time.Time {
	if it.Tier > 0 && v.tier == startOf(v.tiers, it) {
		return since // it was asked before, in vain: now it is these people's at once
	}
	return since.Add(v.tiers[v.tier].After)
}

// gatherFor is how long more items of a group are collected, so that a hundred in a row make a few notices. Together with
// the delays of a full channel (see [Policy.share]) and of failing ones (see allPatience), everybody is notified within a
// minute.
const gatherFor = 15 * time.Second

// news says when the tier is notified of an item of which it has had no notice since the item has been waiting: at once if
// it is the first of its group, or else a little later, together with others.
func (v *sight) news(w waiting) {
	switch {
	case w.since.After(w.Opened) && v.known.ever(w): // the tier knows it, and somebody had claimed it in between
		v.at(Returned, v.gathered(w.since, v.returned, v.known.on[Returned].At), w.ID, instant(w.since))
	case v.alive:
		v.at(More, v.gathered(w.start, true, v.known.last.At), w.ID, instant(w.since))
	default:
		v.at(Opened, w.start, w.ID, instant(w.since))
	}
}

// gathered returns when a notice goes out that is due at a time: later, if one like it went out just before.
func (v *sight) gathered(due time.Time, like bool, last time.Time) time.Time {
	if !like {
		return due
	}
	return latest(due, last.Add(gatherFor))
}

// deadline says when the tier is notified that an item's deadline is near or has passed.
func (v *sight) deadline(w waiting) {
	switch {
	case w.Deadline == nil:
	case w.expired(v.now):
		v.passed(w)
	default:
		v.later(*w.Deadline)
		v.near(w)
	}
}

// near warns a tier of a deadline, if the tier knows the item by then. Every notice names the deadline, so that one within
// the window is warning enough, and a warning for one item of a group is one for all whose windows begin soon after.
func (v *sight) near(w waiting) {
	from := w.due().Add(-w.window())
	warned := v.known.since(w, from) || !v.known.on[Deadline].At.Before(from.Add(-w.window()))
	if knows := v.alive || v.known.ever(w) || !w.start.After(from); knows && !warned {
		v.at(Deadline, from, w.ID, instant(w.due()))
	}
}

// passed notifies every tier of an item that is still waiting after its deadline. If the deadlines of a group pass soon one
// after another, they share a notice, after a while.
func (v *sight) passed(w waiting) {
	if w.over(v.now) && v.start(w.item, w.Opened).After(w.due()) {
		return // the item ended before the tier's time came
	}
	if said := v.known.on[Expired].At; said.Before(w.due()) {
		v.at(Expired, latest(w.due(), said.Add(w.window())), w.ID, instant(w.due()))
	}
}
