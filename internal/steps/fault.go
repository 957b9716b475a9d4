package steps

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
	InvalidOutput Class = "invalid_output" // it answered something that is no valid result

	// Never retried: the same call fails again. The next rung is tried.
	InvalidInput Class = "invalid_input"
	Unauthorized Class = "unauthorized"
	Forbidden    Class = "forbidden"
	NotFound     Class = "not_found"
	Conflict     Class = "conflict"
	ToolError    Class = "tool_error"

	// No machine can settle these: they go to a person at once.
	BadExpression    Class = "bad_expression"
	NeedsHuman       Class = "needs_human"
	PolicyDenied     Class = "policy_denied"
	BudgetExceeded   Class = "budget_exceeded"
	DeadlineExceeded Class = "deadline_exceeded"
	NoWorker         Class = "no_worker"
	Unknown          Class = "unknown" // it may have happened; nobody knows
)

// Reaction is what the core does by default with a fault of a class.
type Reaction uint8

const (
	Retry    Reaction = iota + 1 // try the same rung again after a wait, then go to the next rung
	NextRung                     // never repeat it; go to the next rung
	Ask                          // hand it to a person
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

// Known reports whether c belongs to the closed set.
func (c Class) Known() bool { _, ok := reactions[c]; return ok }

// Acted says whether a failed attempt may have had an effect on the world.
type Acted string

const (
	ActedNo    Acted = "no"    // surely nothing happened: never sent, refused, or rejected as a client error
	ActedMaybe Acted = "maybe" // it may have happened: timeout, 5xx, reset, crash, unusable answer
)

// Fault is why an attempt failed, as data. Message is for people and must carry no secret.
type Fault struct {
	Class      Class    `json:"class"`
	Acted      Acted    `json:"acted,omitempty"` // empty means maybe: doubt is never resolved towards repeating
	Message    string   `json:"message"`
	Detail     string   `json:"detail,omitempty"`      // evidence: stderr tail or response body, cut to a few KiB
	Status     int      `json:"status,omitempty"`      // HTTP status, exit code or service error code, if any
	RetryAfter Duration `json:"retry_after,omitempty"` // the other side's own word on when to come back; 0 = none
	Final      bool     `json:"final,omitempty"`       // the same call would end the same way: no second try on this rung
}

// MayHaveActed reports whether the attempt may have had its effect.
func (f Fault) MayHaveActed() bool { return f.Acted != ActedNo || f.Class == Unknown }

// Error makes a Fault usable as the error that executors return.
func (f Fault) Error() string { return string(f.Class) + ": " + f.Message }
