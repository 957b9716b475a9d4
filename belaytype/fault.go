package belaytype

// Class says why an attempt failed. The set is closed.
type Class string

// Classes that are retried by default, as the rung's retry says; then the next rung is tried.
const (
	Timeout       Class = "timeout"        // the rung's timeout passed
	RateLimited   Class = "rate_limited"   // the other side asks to wait (429)
	Unavailable   Class = "unavailable"    // the other side cannot serve now (5xx, exit code 75)
	Connection    Class = "connection"     // it could not be reached, or the connection broke
	Crashed       Class = "crashed"        // its workers died, more often than is allowed
	InvalidOutput Class = "invalid_output" // what it returned is not a valid result
)

// Classes that are never retried, because the same call fails again: the next rung is tried.
const (
	InvalidInput Class = "invalid_input" // the parameters are wrong (400, 422)
	Unauthorized Class = "unauthorized"  // the credentials are missing or wrong (401)
	Forbidden    Class = "forbidden"     // the credentials do not allow it (403)
	NotFound     Class = "not_found"     // it is not there (404, 410)
	Conflict     Class = "conflict"      // it is in the wrong state (409)
	ToolError    Class = "tool_error"    // any other error
)

// Classes that only a person can resolve: an escalation opens at once.
const (
	BadExpression    Class = "bad_expression"    // an expression of the plan cannot be evaluated
	NeedsHuman       Class = "needs_human"       // the tool itself asks for a person
	PolicyDenied     Class = "policy_denied"     // the worker's own policy forbids the call
	BudgetExceeded   Class = "budget_exceeded"   // the parameters are too large for a message
	DeadlineExceeded Class = "deadline_exceeded" // the run's time budget is used up
	NoWorker         Class = "no_worker"         // no worker serves the tool
	Unknown          Class = "unknown"           // it may have acted; nobody knows
)

// Classes lists them all.
func Classes() []Class {
	return []Class{
		Timeout, RateLimited, Unavailable, Connection, Crashed, InvalidOutput, InvalidInput, Unauthorized, Forbidden, NotFound, Conflict, ToolError,
		BadExpression, NeedsHuman, PolicyDenied, BudgetExceeded, DeadlineExceeded, NoWorker, Unknown,
	}
}

// Acted says whether a failed attempt may have had its effect.
type Acted string

// Whether an attempt acted.
const (
	ActedNo    Acted = "no"    // certainly not
	ActedMaybe Acted = "maybe" // possibly
)

// Reason says more than its class about why a call failed, or was not made.
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

// Fault says why an attempt failed.
type Fault struct {
	Class      Class    `json:"class"`                 // decides what comes next, unless the policy says otherwise
	Acted      Acted    `json:"acted,omitempty"`       // empty means maybe
	Message    string   `json:"message"`               // for people; without secrets
	Detail     string   `json:"detail,omitempty"`      // evidence: the end of stderr or of a response body, a few KiB
	Status     int      `json:"status,omitempty"`      // HTTP status, exit code or service error code; 0 = none
	RetryAfter Duration `json:"retry_after,omitempty"` // how long the other side asked to wait; 0 = it did not ask
	Final      bool     `json:"final,omitempty"`       // the same call would fail the same way: the rung is not retried
	Reason     Reason   `json:"reason,omitempty"`      // more than its class; empty = the class says it all
	Injected   string   `json:"injected,omitempty"`    // id of the fault on purpose that it is, see `dispatcher fault`; empty = it is real
}

// Error makes a Fault an error.
// Error is the class and the message.
func (f Fault) Error() string { return string(f.Class) + ": " + f.Message }
