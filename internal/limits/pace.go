package limits

import (
	"maps"
	"math"
	"slices"
	"time"

	"belay/internal/turns"
	"belay/internal/wire"
)

// Pace is how fast calls may begin.
type Pace struct {
	PerSecond float64   // calls
	Ramp      time.Time // when a ramp begins, in which that doubles every second; zero = it stays
}

const (
	// RampFrom is how many calls a second a ramp begins with.
	RampFrom = 5
	// RampFor is how long a ramp lasts: it ends at more than 5,000 calls a second, and whoever still waits then goes on.
	RampFor = 10 * time.Second
	// Ahead is for how long calls are allotted at once: what a dispatcher that dies may lose.
	Ahead = 300 * time.Millisecond
)

// rampOf is the pace of calls to a target that takes none before a time.
func rampOf(until time.Time) Pace { return Pace{PerSecond: RampFrom, Ramp: until} }

// gap is the time from a call that begins at a time to the next one.
func (p Pace) gap(at time.Time) time.Duration {
	rate := p.PerSecond
	if !p.Ramp.IsZero() {
		rate *= math.Exp2(min(at.Sub(p.Ramp), RampFor).Seconds())
	}
	return time.Duration(float64(time.Second) / rate)
}

// times are those at which the next calls may begin: n at most, and those that lie no more than [Ahead] in the future, but one.
// next is when the call after them may.
func (p Pace) times(next, now time.Time, n int) (list []time.Time, then time.Time) {
	for _, t := range []time.Time{now, p.Ramp} {
		if next.Before(t) {
			next = t
		}
	}
	for len(list) < n && (len(list) == 0 || !next.After(now.Add(Ahead))) {
		list = append(list, next)
		next = next.Add(p.gap(next))
	}
	return list, next
}

// Times is what all dispatchers know of a limit on calls that begin.
type Times struct {
	V       int                  `json:"v"`
	Name    string               `json:"name,omitempty"`
	Covers  string               `json:"covers,omitempty"`
	Text    string               `json:"text,omitempty"`    // the rate, as the tools file has it
	Next    time.Time            `json:"next"`              // when the next call may begin
	Waiting map[int]int          `json:"waiting,omitempty"` // by partition: how many waited there when it last asked, but for those who got a time then
	Of      map[int]turns.Counts `json:"of,omitempty"`      // the same by priority
	Owed    turns.Counts         `json:"owed,omitzero"`     // by priority: how many that go before it have got a time since it had one
	Since   time.Time            `json:"since,omitzero"`    // when counting began
	Begun   int                  `json:"begun,omitempty"`   // calls that were allotted a time since then
}

const (
	// countFor is how long calls are counted before counting begins anew.
	countFor = 10 * time.Second
	// before is how many go before one of those that wait elsewhere and come later by their priority: as in a queue, where it is one of eight.
	before = 7
	// unused is how long after its time it is clear that nobody comes for one.
	unused = Ahead / 2
)

// Asked is who asks for times.
type Asked struct {
	Name, Covers string               // of the limit; in words
	Text         string               // how many calls may begin, as the tools file has it; empty for a target that has asked to wait
	Waiting      map[int]turns.Counts // by partition that whoever asks has: how many wait there
}

// all is how many wait of each priority.
func (a *Asked) all() (c turns.Counts) {
	for _, of := range a.Waiting {
		c = plus(c, of)
	}
	return c
}

func latest(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

func plus(a, b turns.Counts) turns.Counts {
	for of, n := range b {
		a[of] += n
	}
	return a
}

// Allotted is the times that somebody gets.
type Allotted struct {
	At   []time.Time // none where the next ones are for those that wait elsewhere
	More time.Time   // when to ask for more
}

// next allots times, and is the record after that. Whoever has only calls that come later by their priority than some that wait elsewhere gets one
// time after each seven of theirs, unless they do not come for them.
func (t Times) next(a Asked, p Pace, now time.Time) (Allotted, Times) {
	n := Times{V: wire.Version, Name: a.Name, Covers: a.Covers, Text: a.Text, Next: t.Next, Waiting: map[int]int{}, Of: map[int]turns.Counts{}, Since: t.Since, Begun: t.Begun}
	own, others := a.all(), turns.Counts{}
	if !t.idle(now) {
		for q, of := range t.Of {
			if _, is := a.Waiting[q]; !is {
				n.Of[q], others = of, plus(others, of)
			}
		}
	}
	most, best := own.Sum(), 0
	for best < len(own)-1 && own[best] == 0 {
		best++
	}
	ahead, waits := others.First()
	later := waits && int(ahead) < best && now.Sub(t.Next) < unused
	from := now
	if later {
		most = min(most, t.Owed[best]/before)
		from = latest(now, t.Next)
	}
	var got Allotted
	if most > 0 {
		got.At, n.Next = p.times(t.Next, from, most)
		n.Next = n.Next.UTC()
		got.More = got.At[len(got.At)-1].Add(-Ahead / 2)
	} else {
		got.More = latest(now, t.Next).Add(unused)
	}
	n.Owed = t.owed(others, best, len(got.At), later)
	n.wait(a, len(got.At))
	if now.Sub(t.Since) > countFor {
		n.Since, n.Begun = now.UTC(), 0
	}
	n.Begun += len(got.At)
	return got, n
}

// owed is how many have gone before others once so many of a priority have got a time, where others wait elsewhere.
func (t *Times) owed(others turns.Counts, best, got int, later bool) (owed turns.Counts) {
	for of := range owed {
		switch {
		case of < best:
			owed[of] = 0
		case of == best && later:
			owed[of] = t.Owed[of] - before*got
		case of > best && others[of] > 0:
			owed[of] = t.Owed[of] + got
		}
	}
	return owed
}

// wait notes how many wait now, once the first ones have got a time.
func (t *Times) wait(a Asked, got int) {
	own := slices.Sorted(maps.Keys(a.Waiting))
	maps.Copy(t.Of, a.Waiting)
	for of := range (turns.Counts{}) {
		for _, q := range own {
			left := t.Of[q]
			n := min(left[of], got)
			left[of], got = left[of]-n, got-n
			t.Of[q] = left
		}
	}
	maps.DeleteFunc(t.Of, func(_ int, of turns.Counts) bool { return of.Sum() == 0 })
	for q, of := range t.Of {
		t.Waiting[q] = of.Sum()
	}
}

// same reports whether two say the same about who waits.
func (t *Times) same(o *Times) bool {
	return maps.Equal(t.Of, o.Of) && t.Name == o.Name && t.Covers == o.Covers && t.Text == o.Text
}

// idle reports whether nobody has asked for so long that nobody waits.
func (t *Times) idle(now time.Time) bool { return now.Sub(t.Next) > 2*Ahead }
