package notify

import (
	"maps"
	"slices"
	"time"
)

// history is every notice that was sent before.
type history struct {
	all []Sent
	by  map[topic]*known
}

// topic is one group for one tier.
type topic struct{ group, tier string }

// known is what a tier knows of a group: the last notice about any of it, about all of it and on each occasion, and the
// time of the last one about each item.
type known struct {
	last Sent
	full Sent
	on   map[What]Sent
	item map[mark]time.Time
	old  time.Time // of the last record that does not name its items
	all  []Sent
}

func historyOf(sent []Sent) *history {
	h := &history{by: make(map[topic]*known, len(sent))}
	for _, s := range sent {
		h.add(s)
	}
	return h
}

func (h *history) add(s Sent) {
	h.all = append(h.all, s)
	at := topic{s.Group, s.Tier}
	t := h.by[at]
	if t == nil {
		t = &known{on: map[What]Sent{}, item: map[mark]time.Time{}}
		h.by[at] = t
	}
	if later(s, t.last) {
		t.last = s
	}
	if s.What != More && later(s, t.full) {
		t.full = s
	}
	if later(s, t.on[s.What]) {
		t.on[s.What] = s
	}
	t.all = append(t.all, s)
	if len(s.Items) == 0 {
		t.old = latest(t.old, s.At)
	}
	for m := range s.marks() {
		t.item[m] = latest(t.item[m], s.At)
	}
}

// later orders records by time, then by key.
func later(a, b Sent) bool {
	if c := a.At.Compare(b.At); c != 0 {
		return c > 0
	}
	return a.Key > b.Key
}

// of returns what a tier knows of a group; a zero time means that there was no notice.
func (h *history) of(group, tier string) known {
	if t := h.by[topic{group, tier}]; t != nil {
		return *t
	}
	return known{}
}

// of reports whether the tier was notified of an item since it has been waiting.
func (t *known) of(w waiting) bool {
	if w.since.After(w.Opened) {
		return t.since(w, w.since)
	}
	return t.ever(w)
}

// ever reports whether the tier was notified of an item at all.
func (t *known) ever(w waiting) bool { return t.since(w, w.Opened) }

// since reports whether the tier was notified of an item at that time or later.
func (t *known) since(w waiting, at time.Time) bool {
	named, ok := t.item[markOf(w.ID)]
	return ok && !named.Before(at) || !t.old.IsZero() && !t.old.Before(at)
}

// recent returns the notices that were sent within this time before now, one record of each.
func (h *history) recent(now time.Time, within time.Duration) (all []Sent) {
	seen := map[string]bool{}
	for _, s := range h.all {
		if s.At.After(now.Add(-within)) && !seen[s.Notice] {
			seen[s.Notice], all = true, append(all, s)
		}
	}
	return all
}

// stale returns the records that no longer matter: those of groups and tiers that are gone, and those that later ones have
// replaced. Every record matters for a minute, because it counts towards the limit per minute.
func (h *history) stale(groups []*group, tiers []Tier, now time.Time) []string {
	live := map[topic]*group{}
	for _, g := range groups {
		for _, t := range tiers {
			live[topic{g.name, t.Name}] = g
		}
	}
	keys := map[string]bool{}
	for at, t := range h.by {
		for _, s := range t.replaced(live[at]) {
			if !inMinute(s.At, now) {
				keys[s.Key] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(keys))
}

// replaced returns the records of a group that are neither the last on their occasion nor the last that name an item; all
// of them if g is nil, because the group is gone.
func (t *known) replaced(g *group) (all []Sent) {
	left := map[mark]bool{}
	if g != nil {
		for _, it := range g.items {
			left[markOf(it.ID)] = true
		}
	}
	slices.SortFunc(t.all, func(a, b Sent) int {
		if later(a, b) {
			return -1
		}
		return 1
	})
	for _, s := range t.all {
		keep := g != nil && t.on[s.What].Notice == s.Notice
		for m := range s.marks() {
			keep = keep || left[m]
			delete(left, m)
		}
		if !keep {
			all = append(all, s)
		}
	}
	return all
}

// inMinute reports whether a time is in the minute before now.
func inMinute(at, now time.Time) bool { return at.After(now.Add(-time.Minute)) }
