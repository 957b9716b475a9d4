package limits

import (
	"math"
	"time"
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
