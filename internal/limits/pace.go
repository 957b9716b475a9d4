package limits

import (
	"maps"
	"math"
	"time"

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
	V       int         `json:"v"`
	Name    string      `json:"name,omitempty"`
	Covers  string      `json:"covers,omitempty"`
	Text    string      `json:"text,omitempty"`    // the rate, as the tools file has it
	Next    time.Time   `json:"next"`              // when the next call may begin
	Waiting map[int]int `json:"waiting,omitempty"` // by partition: how many waited there when it last asked, but for those who got a time then
	Since   time.Time   `json:"since,omitzero"`    // when counting began
	Begun   int         `json:"begun,omitempty"`   // calls that were allotted a time since then
}

// countFor is how long calls are counted before counting begins anew.
const countFor = 10 * time.Second

// next allots times, and is the record after that.
func (t Times) next(a Asked, p Pace, now time.Time) ([]time.Time, Times) {
	list, next := p.times(t.Next, now, a.Waiting)
	n := Times{V: wire.Version, Name: a.Name, Covers: a.Covers, Text: a.Text, Next: next.UTC(), Waiting: map[int]int{}, Since: t.Since, Begun: t.Begun}
	if !t.idle(now) {
		maps.Copy(n.Waiting, t.Waiting)
	}
	if n.Waiting[a.Partition] = a.Waiting - len(list); n.Waiting[a.Partition] == 0 {
		delete(n.Waiting, a.Partition)
	}
	if now.Sub(t.Since) > countFor {
		n.Since, n.Begun = now.UTC(), 0
	}
	n.Begun += len(list)
	return list, n
}

// idle reports whether nobody has asked for so long that nobody waits.
func (t *Times) idle(now time.Time) bool { return now.Sub(t.Next) > 2*Ahead }
