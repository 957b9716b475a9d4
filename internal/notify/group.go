package notify

import (
	"slices"
	"time"
)

// group is the items that people would take for one.
type group struct {
	name  string
	items []*Item // the oldest first
}

// groupsOf gives the groups in the order of their oldest items.
func groupsOf(items []Item) []*group {
	by := map[string]*group{}
	var all []*group
	for i := range items {
		name := items[i].group()
		g := by[name]
		if g == nil {
			g = &group{name: name}
			by[name], all = g, append(all, g)
		}
		g.items = append(g.items, &items[i])
	}
	for _, g := range all {
		slices.SortFunc(g.items, older)
	}
	slices.SortFunc(all, func(a, b *group) int { return older(a.items[0], b.items[0]) })
	return all
}

// view is what one tier sees of one group now.
type view struct {
	group *group
	tiers []Tier
	tier  int
	told  told
	moments

	present []waiting
	alive   bool // the tier was told of the group, and something that it was told of still waits
	again   bool // the tier was told of items that came back, and one of them still waits
}

// waiting is an item that waits for somebody of the tier, or whose time is over.
type waiting struct {
	*Item
	since time.Time // from when it has been waiting
	start time.Time // when it is due to be told of, if it is new to the tier
}

// call is what the tier is to be told of the group now, nil for nothing, and when to look again.
func (v *view) call() (*call, time.Time) {
	v.gather()
	for _, w := range v.present {
		v.deadline(w)
		if !w.over(v.now) && !v.told.of(w) {
			v.news(w)
		}
	}
	if remind := v.tiers[v.tier].Remind; v.alive && remind > 0 {
		v.at(Reminder, v.told.full.At.Add(remind), v.told.full.Notice)
	}
	return v.made(), v.next
}

// gather finds the items that are the tier's to see. Those that somebody holds are not among them.
func (v *view) gather() {
	for _, it := range v.group.items {
		since, ok := it.quietUntil()
		switch {
		case !ok || v.tier < startOf(v.tiers, it):
		case since.After(v.now):
			v.later(since)
		default:
			v.present = append(v.present, waiting{Item: it, since: since, start: v.start(it, since)})
		}
	}
	for _, w := range v.present {
		waits := !w.over(v.now)
		v.alive = v.alive || waits && v.told.of(w)
		v.again = v.again || waits && w.since.After(w.Opened) && !v.told.on[Returned].At.Before(w.since)
	}
}

// start is when an item that is new to the tier is due.
func (v *view) start(it *Item, since time.Time) time.Time {
	if tier := v.tiers[v.tier]; it.Tier != tier.Name {
		return since.Add(tier.After)
	}
	return since
}

// gatherFor is how long more of a kind gathers, so that a hundred one after another are a few notices. With what a full
// channel takes besides (see [Policy.share]), and those that fail (see allPatience), all is told within a minute.
const gatherFor = 15 * time.Second

// news says when an item is to be told of that the tier was not told of since it waits: at once where
// the tier has nothing like it before it, else together with others that come, not long after.
func (v *view) news(w waiting) {
	switch {
	case w.since.After(w.Opened) && v.told.ever(w): // the tier knows it, and somebody held it in between
		v.at(Returned, v.gathered(w.since, v.again, v.told.on[Returned].At), w.ID, instant(w.since))
	case v.alive:
		v.at(More, v.gathered(w.start, true, v.told.last.At), w.ID, instant(w.since))
	default:
		v.at(Opened, w.start, w.ID, instant(w.since))
	}
}

// gathered is when something is told that is due at a time, if the like was told just before.
func (v *view) gathered(due time.Time, like bool, told time.Time) time.Time {
	if !like {
		return due
	}
	return latest(due, told.Add(gatherFor))
}

// deadline says when the tier is to be told that an item's deadline is near, or that it passed.
func (v *view) deadline(w waiting) {
	switch {
	case w.Deadline.IsZero():
	case w.expired(v.now):
		v.passed(w)
	default:
		v.later(w.Deadline)
		v.near(w)
	}
}

// near: a tier is warned only of what it knows by then. Whatever it is told once the window has begun names the deadline
// too, and a warning for one item of a group is one for all whose windows begin soon after.
func (v *view) near(w waiting) {
	from := w.Deadline.Add(-w.window())
	warned := v.told.since(w, from) || !v.told.on[Deadline].At.Before(from.Add(-w.window()))
	if knows := v.alive || v.told.ever(w) || !w.start.After(from); knows && !warned {
		v.at(Deadline, from, w.ID, instant(w.Deadline))
	}
}

// passed: what goes on waiting after its deadline is everybody's from then on. Those of a group whose deadlines pass
// soon after the first are told together, after a while.
func (v *view) passed(w waiting) {
	if w.over(v.now) && v.start(w.Item, w.Opened).After(w.Deadline) {
		return // the tier's time had not come, and it has no part in it any more
	}
	if said := v.told.on[Expired].At; said.Before(w.Deadline) {
		v.at(Expired, latest(w.Deadline, said.Add(w.window())), w.ID, instant(w.Deadline))
	}
}
