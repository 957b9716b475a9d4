package steps

import "time"

// What a retry policy allows at most, for whoever reckons with it before a run does: the same rules as in policy.go.

// Tries is how often a rung is tried when each try fails with a fault of this class that names no wait.
func (p RetryPolicy) Tries(class Class) int {
	if class.Reaction() != Retry {
		return 1
	}
	return p.maxAttempts(class)
}

// Bound is how long the wait after the n-th fault of a class is at most.
func (p RetryPolicy) Bound(class Class, n int) time.Duration {
	return time.Duration(p.bound(class, n))
}

// NamedWaits is how often the other side may name the wait after a fault of a class on one rung, and between which lengths
// such a wait is. A longest one of zero means that nothing but the step's budget bounds it.
func (p RetryPolicy) NamedWaits(class Class) (n int, least, most time.Duration) {
	if class.Reaction() != Retry || p.never(class) {
		return 0, 0, 0
	}
	least = max(p.initial(class), 1)
	if p.RetryAfterMax > 0 {
		most = max(least, time.Duration(p.RetryAfterMax))
	}
	return p.namedWaits(), least, most
}

// RunningGrace is how long after the end of its budget a step waits for the outcome of an attempt at most.
const RunningGrace = runningGrace

// StopGrace is how long a run that is ending waits for the outcomes of its attempts at most.
const StopGrace = stopGrace

// MaxTier is how often the same is asked with a deadline; after that it is asked without one.
const MaxTier = maxTier
