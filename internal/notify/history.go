package notify

import (
	"maps"
	"slices"
	"time"
)

// history is what was told before.
type history struct {
	all []Sent
	by  map[topic]*told
}

// topic is one group for one tier.
type topic struct{ group, tier string }

// told is when a tier was last told of a group: at all, of all of it, on each occasion, and of each item.
type told struct {
	last Sent
	full Sent
	on   map[What]Sent
	item map[mark]time.Time
	old  time.Time // of the last record that does not say which items it is about
	all  []Sent
}

func historyOf(sent []Sent) *history {
	h := &history{by: make(map[topic]*told, len(sent))}
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
		t = &told{on: map[What]Sent{}, item: map[mark]time.Time{}}
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

// later orders records by time, and by key where two have the same.
func later(a, b Sent) bool {
	if c := a.At.Compare(b.At); c != 0 {
		return c > 0
	}
	return a.Key > b.Key
}

// of gives what a tier was told of a group; nothing was told at the zero time.
func (h *history) of(group, tier string) told {
	if t := h.by[topic{group, tier}]; t != nil {
		return *t
	}
	return told{}
}

// of reports whether the tier was told of an item since it waits.
func (t *told) of(w waiting) bool {
	if w.since.After(w.Opened) {
		return t.since(w, w.since)
	}
	return t.ever(w)
}

// ever reports whether the tier was told of an item at all.
func (t *told) ever(w waiting) bool { return t.since(w, w.Opened) }

// since reports whether the tier was told of an item at that time or later.
func (t *told) since(w waiting, at time.Time) bool {
	named, ok := t.item[markOf(w.ID)]
	return ok && !named.Before(at) || !t.old.IsZero() && !t.old.Before(at)
}

// recent are the notices that were sent within a time before now, one record of each.
func (h *history) recent(now time.Time, within time.Duration) (all []Sent) {
	seen := map[string]bool{}
	for _, s := range h.all {
		if s.At.After(now.Add(-within)) && !seen[s.Notice] {
			seen[s.Notice], all = true, append(all, s)
		}
	}
	return all
}

// stale are the records that can change no answer any more: of groups that are gone, of tiers that are gone, and those
// that later ones have replaced. All count for a minute, since they bound what may be sent in it.
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

// replaced are the records of a group that is still there (nil: all of them) which are neither the last on their
// occasion nor the last that name an item.
func (t *told) replaced(g *group) (all []Sent) {
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

// inMinute reports whether something sent at a time counts among what was sent in the minute before now.
func inMinute(at, now time.Time) bool { return at.After(now.Add(-time.Minute)) }
