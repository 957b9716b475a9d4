package notify

import (
	"cmp"
	"slices"
	"time"
)

// room is how many notices each channel can still get in this minute.
type room struct {
	now     time.Time
	left    map[string]int
	reserve map[string]int       // kept for a summary where not all calls have room
	opens   map[string]time.Time // when there is room for one more
}

// bounded makes notices of the calls, no more than people can read: where not every call of a tier has room in its
// channels, the least pressing ones become one notice, and where there is not even room for that they wait, until the
// time that is given back.
func (p Policy) bounded(calls []call, past *history, now time.Time) (notices []Notice, open time.Time) {
	slices.SortStableFunc(calls, func(a, b call) int {
		return cmp.Or(cmp.Compare(rank(a.what), rank(b.what)), a.at.Compare(b.at))
	})
	r := p.room(calls, past, now)
	rest := map[string][]call{}
	for _, c := range calls {
		if !r.take(c.tier, r.reserve) {
			rest[c.tier.Name] = append(rest[c.tier.Name], c)
			continue
		}
		notices = append(notices, c.notice(now))
	}
	for _, t := range p.Tiers {
		switch left := rest[t.Name]; {
		case len(left) == 0:
		case !r.take(t, nil):
			open = earliest(open, r.opening(t))
		default:
			notices = append(notices, summary(left, now))
		}
	}
	return notices, open
}

func (p Policy) room(calls []call, past *history, now time.Time) room {
	r := room{now: now, left: map[string]int{}, reserve: map[string]int{}, opens: map[string]time.Time{}}
	for _, t := range p.Tiers {
		for _, c := range t.Notify {
			r.left[c] = cmp.Or(p.PerMinute, DefaultPerMinute)
		}
	}
	for _, s := range past.recent(now) {
		r.used(p.channels(s.Tier), s.At)
	}
	wanted := map[string]int{}
	for _, call := range calls {
		for _, c := range call.tier.Notify {
			if wanted[c]++; wanted[c] > r.left[c] {
				r.reserve[c] = 1
			}
		}
	}
	return r
}

// channels are those that a tier has now, which is what counts when what it was told is held against them.
func (p Policy) channels(tier string) []string {
	for _, t := range p.Tiers {
		if t.Name == tier {
			return t.Notify
		}
	}
	return nil
}

func (r *room) used(channels []string, at time.Time) {
	for _, c := range channels {
		r.left[c]--
		r.opens[c] = earliest(r.opens[c], at.Add(time.Minute))
	}
}

// take uses one notice of each of a tier's channels, if all of them have one that is not kept.
func (r *room) take(t Tier, keep map[string]int) bool {
	for _, c := range t.Notify {
		if r.left[c] <= keep[c] {
			return false
		}
	}
	r.used(t.Notify, r.now)
	return true
}

// opening is when the first of the tier's channels without room has some again.
func (r *room) opening(t Tier) (at time.Time) {
	for _, c := range t.Notify {
		if r.left[c] <= 0 {
			at = earliest(at, r.opens[c])
		}
	}
	return at
}
