package steps

import (
	"maps"
	"slices"
)

// Class says why an attempt failed. The set is closed: see [Classes].
type Class string

// The fault classes. A class decides what the core does next unless the tool's policy says otherwise.
const (
	// Retried by default, then the next rung.
	Timeout       Class = "timeout"        // the rung's timeout passed
	RateLimited   Class = "rate_limited"   // the other side asks to wait (429)
	Unavailable   Class = "unavailable"    // the other side cannot serve now (5xx, exit code 75)
	Connection    Class = "connection"     // it could not be reached, or the connection broke
	Crashed       Class = "crashed"        // the worker died under it, more often than the crash budget allows
	InvalidOutput Class = "invalid_output" // its answer is not a valid result

	// Never retried: the same call fails again. The next rung is tried.
	InvalidInput Class = "invalid_input" // the other side refuses these parameters (400, 422)
	Unauthorized Class = "unauthorized"  // it does not know the worker (401)
	Forbidden    Class = "forbidden"     // it does not allow the worker this call (403)
	NotFound     Class = "not_found"     // it does not have what the call is about (404)
	Conflict     Class = "conflict"      // the call contradicts what it has (409)
	ToolError    Class = "tool_error"    // any other failure of the tool

	// No machine can settle these: they go to a person at once.
	BadExpression    Class = "bad_expression"    // an expression of the plan or the tool fails on this data
	NeedsHuman       Class = "needs_human"       // the tool says so, or its rung is a person
	PolicyDenied     Class = "policy_denied"     // not approved, not wanted, or the tools files differ too much
	BudgetExceeded   Class = "budget_exceeded"   // it does not fit into a message
	DeadlineExceeded Class = "deadline_exceeded" // the budget of the step or the run is used up
	NoWorker         Class = "no_worker"         // no worker serves the rung
	Unknown          Class = "unknown"           // it may have happened; nobody knows
)

// Reaction is what the core does by default with a fault of a class.
type Reaction uint8

const (
	Retry    Reaction = iota + 1 // try the same rung again after a wait, then go to the next rung
	NextRung                     // never repeat it; go to the next rung
	Ask                          // ask a person
)

var reactions = map[Class]Reaction{
	Timeout: Retry, RateLimited: Retry, Unavailable: Retry, Connection: Retry, Crashed: Retry, InvalidOutput: Retry,
	InvalidInput: NextRung, Unauthorized: NextRung, Forbidden: NextRung, NotFound: NextRung, Conflict: NextRung, ToolError: NextRung,
	BadExpression: Ask, NeedsHuman: Ask, PolicyDenied: Ask, BudgetExceeded: Ask, DeadlineExceeded: Ask, NoWorker: Ask, Unknown: Ask,
}

// Reaction returns the default reaction to c; a class outside the closed set is treated like [ToolError].
func (c Class) Reaction() Reaction {
	if r, ok := reactions[c]; ok {
		return r
	}
	return NextRung
}

// Classes lists the closed set, sorted.
func Classes() []Class { return slices.Sorted(maps.Keys(reactions)) }

// Known reports whether c belongs to the closed set.
func (c Class) Known() bool { _, ok := reactions[c]; return ok }

// Acted says whether a failed attempt may have had an effect on the world.
type Acted string

const (
	ActedNo    Acted = "no"    // certainly nothing happened: never sent, refused, or rejected as a client error
	ActedMaybe Acted = "maybe" // it may have happened: timeout, 5xx, reset, crash, unusable answer
)

// Reason says more than its class about why an attempt failed, of a model's call or of one that was not made. The set is closed: see [Reasons].
type Reason string

// The reasons.
const (
	ContextTooLong Reason = "context_too_long" // the conversation does not fit into the model
	Refusal        Reason = "refusal"          // the model declines
	ContentFilter  Reason = "content_filter"   // the provider's filter has stopped it
	Truncated      Reason = "truncated"        // the answer was cut off at the longest output that is allowed
	Overloaded     Reason = "overloaded"       // the provider has too much to do (529)
	BreakerOpen    Reason = "breaker_open"     // no call was made: the breaker of what it talks to is open
	RetryBudget    Reason = "retry_budget"     // no call was made: as many of the calls of what it talks to are retries as may be
)

// Reasons lists the closed set.
func Reasons() []Reason {
	return []Reason{ContextTooLong, Refusal, ContentFilter, Truncated, Overloaded, BreakerOpen, RetryBudget}
}

// Fault is why an attempt failed, as data.
type Fault struct {
	Class      Class    `json:"class"`                 // decides what comes next, unless the policy says otherwise
	Acted      Acted    `json:"acted,omitempty"`       // empty means maybe: in doubt it counts as having acted
	Message    string   `json:"message"`               // for people; without secrets
	Detail     string   `json:"detail,omitempty"`      // evidence: stderr tail or response body, cut to a few KiB
	Status     int      `json:"status,omitempty"`      // HTTP status, exit code or service error code, if any
	RetryAfter Duration `json:"retry_after,omitempty"` // how long the other side asks to wait; 0 = it does not say
	Final      bool     `json:"final,omitempty"`       // the same call would fail the same way: it is not tried again on this rung
	Reason     Reason   `json:"reason,omitempty"`      // what it is beside its class; empty = the class says it all
	Injected   string   `json:"injected,omitempty"`    // id of the fault on purpose that it is, see `dispatcher fault`; empty = it is real
}

// InjectedBy begins the message of every fault on purpose, and what an attempt says of its progress where something other
// than a fault was injected: a delay, a death or a partition.
const InjectedBy = "injected by "

// MayHaveActed reports whether the attempt may have had its effect.
func (f Fault) MayHaveActed() bool { return f.Acted != ActedNo || f.Class == Unknown }

// Error makes a Fault usable as the error that executors return.
func (f Fault) Error() string { return string(f.Class) + ": " + f.Message }
