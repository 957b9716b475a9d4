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

// told is when a tier was last told of a group: at all, and on each occasion.
type told struct {
	last Sent
	on   map[What]Sent
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
		t = &told{on: map[What]Sent{}}
		h.by[at] = t
	}
	if later(s, t.last) {
		t.last = s
	}
	if later(s, t.on[s.What]) {
		t.on[s.What] = s
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

// since reports whether the tier was told of the group at that time or later.
func (t *told) since(at time.Time) bool { return !t.last.At.IsZero() && !t.last.At.Before(at) }

// recent are the notices of the last minute, one record of each.
func (h *history) recent(now time.Time) (all []Sent) {
	seen := map[string]bool{}
	for _, s := range h.all {
		if inMinute(s.At, now) && !seen[s.Notice] {
			seen[s.Notice], all = true, append(all, s)
		}
	}
	return all
}

// stale are the records that can change no answer any more: of groups that are gone, of tiers that are gone, and those
// that a later one has replaced. All count for a minute, since they bound what may be sent in it.
func (h *history) stale(groups []*group, tiers []Tier, now time.Time) []string {
	live := map[topic]bool{}
	for _, g := range groups {
		for _, t := range tiers {
			live[topic{g.name, t.Name}] = true
		}
	}
	keys := map[string]bool{}
	for _, s := range h.all {
		at := topic{s.Group, s.Tier}
		if !inMinute(s.At, now) && (!live[at] || h.by[at].on[s.What].Key != s.Key) {
			keys[s.Key] = true
		}
	}
	return slices.Sorted(maps.Keys(keys))
}

// inMinute reports whether something sent at a time counts among what was sent in the minute before now.
func inMinute(at, now time.Time) bool { return at.After(now.Add(-time.Minute)) }
