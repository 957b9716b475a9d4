package notify

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// room is how many notices each channel can still get in this minute.
type room struct {
	now     time.Time
	left    map[string]int
	reserve map[string]int       // kept for a summary to each tier, where not all calls have room
	opens   map[string]time.Time // when there is room for one more
	within  time.Duration        // how long a notice counts
	held    map[string]bool      // an older call waits for it
}

// share is how many notices a channel gets within which time: half of a minute's within half a minute, so that what has
// to wait for room does not wait for a minute.
func (p Policy) share() (most int, within time.Duration) {
	n := cmp.Or(p.PerMinute, DefaultPerMinute)
	if n < 2 {
		return 1, time.Minute
	}
	return n / 2, time.Minute / 2
}

// bounded makes notices of the calls, no more than people can read: where not every call of a tier has room in its
// channels, the least pressing ones become one notice, and where there is not even room for that they wait, until the
// time that is given back. Those that have waited longest are then the first.
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
		notices = append(notices, p.notice(c, now))
	}
	for _, left := range byAge(rest) {
		if t := left[0].tier; !r.take(t, nil) {
			open = earliest(open, r.opening(t))
			r.hold(t)
			continue
		}
		notices = append(notices, p.summary(left, now))
	}
	return notices, open
}

// byAge orders the calls of each tier by their oldest. A tier that gets its channels last because it comes last would
// get none at all while others always want them.
func byAge(rest map[string][]call) [][]call {
	all := slices.Collect(maps.Values(rest))
	oldest := func(calls []call) (at time.Time) {
		for _, c := range calls {
			at = earliest(at, c.at)
		}
		return at
	}
	slices.SortFunc(all, func(a, b []call) int {
		return cmp.Or(oldest(a).Compare(oldest(b)), cmp.Compare(a[0].tier.Name, b[0].tier.Name))
	})
	return all
}

// hold keeps a tier's channels from those who have waited for less long.
func (r *room) hold(t Tier) {
	for _, c := range t.Notify {
		r.held[c] = true
	}
}

func (p Policy) room(calls []call, past *history, now time.Time) room {
	most, within := p.share()
	r := room{now: now, left: map[string]int{}, reserve: map[string]int{}, opens: map[string]time.Time{}, within: within, held: map[string]bool{}}
	for _, t := range p.Tiers {
		for _, c := range t.Notify {
			r.left[c] = most
		}
	}
	for _, s := range past.recent(now, within) {
		r.used(p.channels(s.Tier), s.At)
	}
	r.keep(calls)
	return r
}

// keep keeps room in each channel that not all calls have room in: a notice for each tier that wants it.
func (r *room) keep(calls []call) {
	wanted, by := map[string]int{}, map[string]map[string]bool{}
	for _, call := range calls {
		for _, c := range call.tier.Notify {
			if by[c] == nil {
				by[c] = map[string]bool{}
			}
			wanted[c]++
			by[c][call.tier.Name] = true
		}
	}
	for c, n := range wanted {
		if n > r.left[c] {
			r.reserve[c] = len(by[c])
		}
	}
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
		r.opens[c] = earliest(r.opens[c], at.Add(r.within))
	}
}

// take uses one notice of each of a tier's channels, if all of them have one that is not kept.
func (r *room) take(t Tier, keep map[string]int) bool {
	for _, c := range t.Notify {
		if r.left[c] <= keep[c] || r.held[c] {
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
