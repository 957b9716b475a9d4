package notify

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// room counts how many notices each channel can still get in this minute.
type room struct {
	now     time.Time
	left    map[string]int
	reserve map[string]int       // kept for a summary to each tier, if not all calls have room
	opens   map[string]time.Time // when there is room for one more
	within  time.Duration        // how long a notice counts
	kept    map[string]bool      // reserved for an older call
}

// share returns how many notices a channel gets within which time: half of the limit within half a minute, so that a notice
// without room does not have to wait for a whole minute.
func (p Policy) share() (most int, within time.Duration) {
	n := cmp.Or(p.PerMinute, DefaultPerMinute)
	if n < 2 {
		return 1, time.Minute
	}
	return n / 2, time.Minute / 2
}

// bounded makes notices of the calls, no more than people can read. If not every call of a tier has room in its channels,
// the least urgent ones become one notice; if there is no room even for that, they wait until the returned time. Then those
// that have waited longest are the first.
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

// byAge orders the tiers by their oldest call: in a fixed order, the last tier would get no room while others want it.
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

// hold reserves a tier's channels against calls that have waited less long.
func (r *room) hold(t Tier) {
	for _, c := range t.Notify {
		r.kept[c] = true
	}
}

func (p Policy) room(calls []call, past *history, now time.Time) room {
	most, within := p.share()
	r := room{now: now, left: map[string]int{}, reserve: map[string]int{}, opens: map[string]time.Time{}, within: within, kept: map[string]bool{}}
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

// keep reserves room for a summary to each tier, in each channel that does not have room for all calls.
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

// channels returns the present channels of a tier: earlier notices to it count against these.
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

// take uses room for one notice in each of a tier's channels, if all of them have some that is not reserved.
func (r *room) take(t Tier, keep map[string]int) bool {
	for _, c := range t.Notify {
		if r.left[c] <= keep[c] || r.kept[c] {
			return false
		}
	}
	r.used(t.Notify, r.now)
	return true
}

// opening returns when the first of the tier's channels without room will have some.
func (r *room) opening(t Tier) (at time.Time) {
	for _, c := range t.Notify {
		if r.left[c] <= 0 {
			at = earliest(at, r.opens[c])
		}
	}
	return at
}
