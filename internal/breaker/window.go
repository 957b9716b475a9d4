package breaker

import (
	"time"

	"belay/internal/steps"
)

// slots is how finely a window slides.
const slots = 10

// Window counts calls, and those of them that are of one kind, within the last so much time. The zero value is empty.
type Window struct {
	slots [slots]struct {
		at       int64 // number of the slot since the beginning of time; others are outdated
		all, odd int
	}
}

// slot numbers time in tenths of a window.
func slot(now time.Time, window time.Duration) int64 {
	return now.UnixNano() / max(1, int64(window)/slots)
}

// Add counts a call.
func (w *Window) Add(now time.Time, window time.Duration, odd bool) {
	n := slot(now, window)
	s := &w.slots[n%slots]
	if s.at != n {
		s.at, s.all, s.odd = n, 0, 0
	}
	if s.all++; odd {
		s.odd++
	}
}

// Sum is how many calls were counted within the window, and how many of them of the kind.
func (w *Window) Sum(now time.Time, window time.Duration) (all, odd int) {
	n := slot(now, window)
	for i := range w.slots {
		if s := &w.slots[i]; s.at > n-slots && s.at <= n {
			all, odd = all+s.all, odd+s.odd
		}
	}
	return all, odd
}

// Outcome is what an attempt says about its target.
type Outcome uint8

const (
	Silent   Outcome = iota // nothing: it was not reached, or the fault is not its own
	Answered                // it answers, whatever it says
	Failed                  // it is down, or too slow
)

// OutcomeOf is what a fault says about the target. What the target refuses, or answers in a way that cannot be used, shows that it
// is there; that a worker died, that people or policies stood in the way and that somebody injected a fault says nothing of it.
func OutcomeOf(f *steps.Fault) Outcome {
	if f.Injected != "" {
		return Silent
	}
	switch f.Class {
	case steps.Timeout, steps.Unavailable, steps.Connection:
		return Failed
	case steps.InvalidInput, steps.Unauthorized, steps.Forbidden, steps.NotFound, steps.Conflict, steps.ToolError, steps.InvalidOutput, steps.NeedsHuman:
		return Answered
	}
	return Silent
}

// trips reports whether so many failures among so many calls open a breaker.
func trips(set *steps.Breaker, all, failed int) bool {
	return all >= set.Min && failed > 0 && float64(failed) >= set.Failures*float64(all)
}

// retryFloor is how many retries to a target are allowed in a window whatever their share.
const retryFloor = 10

// mayRetry reports whether one more retry fits into the share of the calls that retries may be.
func mayRetry(set *steps.Breaker, all, retries int) bool {
	return retries < retryFloor || float64(retries+1) <= set.Retries*float64(all+1)
}
