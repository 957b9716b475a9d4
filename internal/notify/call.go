package notify

import (
	"slices"
	"strconv"
	"time"
)

// call is a notice that the rules ask for, before the limit per minute is applied.
type call struct {
	moment
	group   string
	tier    Tier
	items   []*item // what it is about, the oldest first
	expired int
	waiting int
}

// moment is a time at which a tier gets a notice.
type moment struct {
	what   What
	at     time.Time
	anchor []string // what identifies the notice
}

// moments are the times that the rules ask for.
type moments struct {
	now  time.Time
	next time.Time // the first one in the future; zero = none
	due  *moment   // the most urgent one that is due
}

func (m *moments) later(at time.Time) { m.next = earliest(m.next, at) }

func (m *moments) at(what What, at time.Time, anchor ...string) {
	c := moment{what, at, anchor}
	switch {
	case at.After(m.now):
		m.later(at)
	case m.due == nil || c.before(m.due):
		m.due = &c
	}
}

// before orders by urgency, then by time. A notice about a whole group comes before one about more of it.
func (a *moment) before(b *moment) bool {
	if (a.what == More) != (b.what == More) {
		return b.what == More
	}
	if x, y := rank(a.what), rank(b.what); x != y {
		return x < y
	}
	return a.at.Before(b.at)
}

func rank(w What) int {
	return slices.Index([]What{Expired, Deadline, Returned, Opened, More, Reminder}, w)
}

// made returns the call that is due, with all items of the group that the tier knows of then, or only the new ones if the
// call is about more of a kind.
func (v *sight) made() *call {
	if v.due == nil {
		return nil
	}
	c := call{moment: *v.due, group: v.group.name, tier: v.tiers[v.tier]}
	for _, w := range v.present {
		news := w.expired(v.now) && v.known.on[Expired].At.Before(w.due())
		if news {
			c.expired++
		}
		if !w.over(v.now) {
			c.waiting++
		}
		if v.names(c.what, w, news) {
			c.items = append(c.items, w.item)
		}
	}
	return &c
}

// names reports whether a call on this occasion is about this item of the group; news says that the item's deadline has
// passed and the tier has not been notified of that.
func (v *sight) names(what What, w waiting, news bool) bool {
	switch {
	case w.over(v.now):
		return news && what == Expired
	case what == More:
		return !v.known.of(w)
	}
	return true
}

func (c *call) id() string {
	return name(append([]string{string(c.what), c.group, c.tier.Name}, c.anchor...)...)
}

// notice makes a notice of one call.
func (p Policy) notice(c call, now time.Time) Notice { return p.noticeOf(c.id(), []call{c}, now) }

// summary makes one notice of several calls to one tier.
func (p Policy) summary(calls []call, now time.Time) Notice {
	parts := []string{"summary"}
	for i := range calls {
		parts = append(parts, calls[i].id())
	}
	return p.noticeOf(name(parts...), calls, now)
}

// noticeOf makes a notice of calls; the most urgent one gives it its subject.
func (p Policy) noticeOf(id string, calls []call, now time.Time) Notice {
	first := calls[0]
	n := Notice{ID: id, What: first.what, Tier: first.tier.Name, Channels: first.tier.Notify, Spare: p.spare(first.tier), At: now, Groups: len(calls)}
	var items []*item
	for _, c := range calls {
		items = append(items, c.items...)
		n.Expired, n.Waiting = n.Expired+c.expired, n.Waiting+c.waiting
		n.Records = append(n.Records, c.records(id, now)...)
	}
	n.about(items)
	return n
}

// records returns what is stored of the call: that the tier was notified of these items.
func (c *call) records(id string, now time.Time) (all []Sent) {
	for part := range slices.Chunk(c.items, mostMarks) {
		s := Sent{Key: id + "." + c.group, Notice: id, Group: c.group, Tier: c.tier.Name, What: c.what, At: now}
		if n := len(all); n > 0 {
			s.Key += "." + strconv.Itoa(n)
		}
		for _, it := range part {
			m := markOf(it.ID)
			s.Items = append(s.Items, m[:]...)
		}
		all = append(all, s)
	}
	return all
}

// spare returns the channels of the tiers after t, then of those before it: better to notify somebody else than nobody.
func (p Policy) spare(t Tier) []string {
	at := slices.IndexFunc(p.Tiers, func(o Tier) bool { return o.Name == t.Name })
	var names []string
	for i := range p.Tiers {
		for _, c := range p.Tiers[(at+1+i)%len(p.Tiers)].Notify {
			if !slices.Contains(t.Notify, c) && !slices.Contains(names, c) {
				names = append(names, c)
			}
		}
	}
	return names
}

// mostIDs is how many items a notice names; its link leads to the others.
const mostIDs = 5

func (n *Notice) about(items []*item) {
	n.Count, n.Message = len(items), items[0].Message
	for _, it := range items {
		if len(n.IDs) < mostIDs {
			n.IDs = append(n.IDs, it.ID)
		}
		n.Opened = earliest(n.Opened, it.Opened)
		if first := earliest(n.Deadline, it.due()); !first.Equal(n.Deadline) {
			n.Deadline, n.OnDeadline = first, string(it.OnExpiry)
		}
	}
	n.Kind = shared(items, func(it *item) string { return string(it.Kind) })
	n.Workflow = shared(items, func(it *item) string { return it.Workflow })
	n.Step = shared(items, func(it *item) string { return it.Step })
	n.Tool = shared(items, func(it *item) string { return it.Tool })
	n.Class = shared(items, func(it *item) string { return string(it.Class) })
	n.Summary = shared(items, func(it *item) string { return it.Summary })
}

// shared returns the value that all items have in common, or "".
func shared(items []*item, of func(*item) string) string {
	text := of(items[0])
	if slices.ContainsFunc(items, func(it *item) bool { return of(it) != text }) {
		return ""
	}
	return text
}
