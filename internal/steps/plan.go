package steps

import (
	"encoding/json"
	"math"
	"strconv"
	"time"
)

// Duration is a length of time that reads and writes JSON as a number of seconds.
type Duration time.Duration

// MarshalJSON writes d in seconds.
func (d Duration) MarshalJSON() ([]byte, error) {
	return d.AppendSeconds(nil), nil
}

// AppendSeconds writes d in seconds, as a number that reads as d: of some lengths above nine hours the nearest one reads as
// a nanosecond less, because what is below one is cut off.
func (d Duration) AppendSeconds(b []byte) []byte {
	s := time.Duration(d).Seconds()
	if Duration(s*float64(time.Second)) != d {
		if next := math.Nextafter(s, math.Copysign(math.MaxFloat64, s)); Duration(next*float64(time.Second)) == d {
			s = next
		}
	}
	return strconv.AppendFloat(b, s, 'g', -1, 64)
}

// UnmarshalJSON reads a number of seconds.
func (d *Duration) UnmarshalJSON(b []byte) error {
	var s float64
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	*d = Duration(s * float64(time.Second))
	return nil
}

func (d Duration) String() string { return time.Duration(d).String() }

// Definition is what is pinned into a run when it is submitted: the plan, and the policies of every tool that it
// names. A later edit of the tools file does not change a running run.
type Definition struct {
	Plan  Plan            `json:"plan"`  // with all defaults filled in
	Tools map[string]Tool `json:"tools"` // by name
}

// Plan is a workflow as data, with all defaults filled in (Needs, OnFailure ...). Expressions are kept as written.
type Plan struct {
	Name          string            `json:"name"`                     // shown as the workflow
	Input         json.RawMessage   `json:"input,omitempty"`          // defaults of the input, an object
	InputSchema   json.RawMessage   `json:"input_schema,omitempty"`   // JSON Schema of the input
	Deadline      Duration          `json:"deadline,omitempty"`       // work clock of the whole run; 0 = none
	OnDeadline    OnDeadline        `json:"on_deadline,omitempty"`    // what its end does
	EscalateAfter int               `json:"escalate_after,omitempty"` // faults of one (tool, class) before it asks; 0 = never
	Labels        map[string]string `json:"labels,omitempty"`         // defaults of the labels
	Steps         []Step            `json:"steps"`                    // in the order of the document
	Output        json.RawMessage   `json:"output,omitempty"`         // template of the run's output
}

// OnDeadline says what the end of the run's work clock does.
type OnDeadline string

const (
	DeadlineEscalate OnDeadline = "escalate" // ask a person whether it may have its time again
	DeadlineFail     OnDeadline = "fail"     // end the run as failed
)

// OnFailure says what happens to a step for which nothing is left to try.
type OnFailure string

const (
	OnFailureEscalate OnFailure = "escalate" // ask a person
	OnFailureSkip     OnFailure = "skip"     // go on without it, output null
	OnFailureFail     OnFailure = "fail"     // end the run as failed
)

// Step is one node of a plan.
type Step struct {
	ID          string          `json:"id"`                     // unique in the plan
	Tool        string          `json:"tool"`                   // its name
	Needs       []string        `json:"needs,omitempty"`        // ids; the default (the step before) is already filled in
	When        string          `json:"when,omitempty"`         // a bare expression; empty = always
	With        json.RawMessage `json:"with,omitempty"`         // template of the parameters, an object
	ForEach     string          `json:"for_each,omitempty"`     // a bare expression that gives a list; empty = one call
	MaxParallel int             `json:"max_parallel,omitempty"` // items of for_each at work at once; default 50
	OnFailure   OnFailure       `json:"on_failure,omitempty"`   // when nothing is left to try
	Compensate  *Compensate     `json:"compensate,omitempty"`   // what undoes it; nil = what its tool says
	Stays       bool            `json:"stays,omitempty"`        // what it did stays done, whatever its tools say: `compensate: none`
	Agent       *Agent          `json:"agent,omitempty"`        // makes it a loop; Tool is its model then
}

// Compensate names the call that undoes a step, or a call of a tool, when the run fails, is aborted or is cancelled.
type Compensate struct {
	Tool string          `json:"tool"`           // its name
	With json.RawMessage `json:"with,omitempty"` // template of the parameters, an object
}

// Effects says what executing a tool does to the world, and so whether it may be repeated.
type Effects string

const (
	EffectsNone       Effects = "none"       // reads only
	EffectsIdempotent Effects = "idempotent" // safe to repeat with the same idempotency key
	EffectsUnsafe     Effects = "unsafe"     // must not be repeated once it may have acted; the default
)

// Trust says whether somebody vouches for what a tool gives.
type Trust string

// Untrusted is the trust of a tool whose output strangers write: pages, mails, tickets. What is made from it is untrusted too.
const Untrusted Trust = "untrusted"

// Tool is the policy of a tool: its ladder, its effects, its budget. How a rung is executed is the worker's business.
type Tool struct {
	Name         string          `json:"name"`                    // `<word>.<word>`, at least one word
	Effects      Effects         `json:"effects"`                 // whether it may be repeated
	Trust        Trust           `json:"trust,omitempty"`         // whether somebody vouches for its output
	Timeout      Duration        `json:"timeout"`                 // the step's budget over attempts, rungs, queue and backoff; 0 = none
	Rungs        []Rung          `json:"rungs"`                   // the ladder, best first
	InputSchema  json.RawMessage `json:"input_schema,omitempty"`  // JSON Schema of the parameters
	OutputSchema json.RawMessage `json:"output_schema,omitempty"` // JSON Schema of the output
	Approval     *Approval       `json:"approval,omitempty"`      // nil: it may act unasked
	Limits       *Limits         `json:"limits,omitempty"`        // how many calls may begin; nil: any number. No part of [ToolPolicy]: no worker acts by it
	// Targets are limits on what its rungs talk to, by host; they count calls of all tools together. No part of [ToolPolicy] either.
	Targets     map[string]Limits `json:"targets,omitempty"`
	Verify      *Verify           `json:"verify,omitempty"`      // nil: only a person can settle an unknown outcome
	Breaker     *Breaker          `json:"breaker,omitempty"`     // nil: it is called however often it fails
	SLO         *SLO              `json:"slo,omitempty"`         // nil: nobody said how often it has to do as meant. The core does not look at it
	Description string            `json:"description,omitempty"` // what it does, for models that may call it
	Summary     string            `json:"summary,omitempty"`     // template over params: what a call is about to do, in one line
	// Undo is what undoes a call of the tool; its With is a template over params and output. It is no part of Definition and
	// of [ToolPolicy]: like a step's Compensate it changes nothing about what the call does, no worker acts by its own copy
	// of it, and the call that undoes has a tool of its own, whose definition and approval count there.
	Undo *Compensate `json:"undo,omitempty"`
	// Definition is what an approval is bound to beside the parameters: a digest for each part of the tool that says what
	// it does to the world (effects, schemas, executors). Empty where nothing needs approval.
	Definition map[string]string `json:"definition,omitempty"`
}

// SLO says how a tool's calls should go. Package score compares it with how they go.
type SLO struct {
	Primary  float64  `json:"primary"`            // share of the results that should come from the first rung, above 0, at most 1
	Window   Duration `json:"window"`             // over which they are counted
	Decision Duration `json:"decision,omitempty"` // in which people should decide; 0 = nobody said
}

// Limits say how many calls of a tool, or to a target, may begin and be in hand, over all workers together.
type Limits struct {
	Rate        float64 `json:"rate,omitempty"`        // calls that may begin in a second; 0 = any number
	Text        string  `json:"text,omitempty"`        // the same as the tools file has it: 50/s
	Concurrency int     `json:"concurrency,omitempty"` // calls that may be in hand at once; 0 = any number
	Per         string  `json:"per,omitempty"`         // a bare expression over params, or [PerTarget]: each of its values has the limits for itself; empty for a target
}

// PerTarget has the calls to each host counted by themselves.
const PerTarget = "target"

// Approval says which calls of a tool wait for a person, and what that person may do.
type Approval struct {
	When         string        `json:"when,omitempty"`          // a bare expression over params and untrusted; empty = always
	Decisions    []Verb        `json:"decisions"`               // what a person may decide
	Approvers    int           `json:"approvers"`               // different people who must approve, 1 or 2
	NotSubmitter bool          `json:"not_submitter,omitempty"` // whoever submitted the run cannot approve
	Proof        ApprovalProof `json:"proof,omitempty"`         // what an approval must come with; empty = nothing
	ValidFor     Duration      `json:"valid_for"`               // how long an approval may wait for its worker
	Deadline     Duration      `json:"deadline,omitempty"`      // of the decision; 0 = none
	OnDeadline   OnExpiry      `json:"on_deadline,omitempty"`   // what happens then; never consent
	OnReject     OnReject      `json:"on_reject,omitempty"`     // empty = what the step says
}

// OnReject says what a rejection does to the step.
type OnReject string

const (
	RejectFail     OnReject = "fail"     // the step fails, and the run with it
	RejectSkip     OnReject = "skip"     // go on without it; steps.<id>.rejection says why
	RejectFallback OnReject = "fallback" // the next rung that acts on nothing (cache, static, human), else fail
)

// Verify is the probe of a tool: it looks whether an attempt whose outcome is unknown has happened. It acts on nothing.
type Verify struct {
	Rung
	Happened string          `json:"happened"`         // a bare expression over params and the probe's output
	Output   json.RawMessage `json:"output,omitempty"` // template of the step's output when it has; default the probe's
}

// Human is a rung on which a person gives the result.
type Human struct {
	Question   string          `json:"question"`                // a template over params
	Options    []string        `json:"options,omitempty"`       // answers to pick from; empty = any that fits the schema
	Schema     json.RawMessage `json:"answer_schema,omitempty"` // JSON Schema of the answer
	Deadline   Duration        `json:"deadline,omitempty"`      // 0 = none
	OnDeadline OnExpiry        `json:"on_deadline,omitempty"`   // what happens then
	Output     json.RawMessage `json:"output,omitempty"`        // template of the step's output, over params and the answer; default the answer
}

// VerifyRung is the name of the probe among a tool's rungs; no rung of a tools file may have it.
const VerifyRung = "verify"

// Rung is rung k of the ladder; the one behind the last is the probe.
func (t *Tool) Rung(k int) *Rung {
	if k == len(t.Rungs) && t.Verify != nil {
		return &t.Verify.Rung
	}
	return &t.Rungs[k]
}

// Harmless reports whether a rung acts on nothing outside, so that it needs no approval.
func (r *Rung) Harmless() bool {
	return r.Executor == "cache" || r.Executor == "static" || r.Executor == "human"
}

// Rung is one level of a tool's ladder.
type Rung struct {
	Name     string      `json:"name"`             // unique in the ladder
	Executor string      `json:"executor"`         // http, command, nats, go, remote, mcp, cache, static, human
	Target   string      `json:"target,omitempty"` // what it talks to, for people and without secrets; a template: "GET http://.../orders/${ params.order }"
	Timeout  Duration    `json:"timeout"`          // one attempt; 0 = only the step's budget
	Retry    RetryPolicy `json:"retry"`            // how often and how patiently it is tried
	Human    *Human      `json:"human,omitempty"`  // set when Executor is human
	Price    *Price      `json:"price,omitempty"`  // of a model; nil: its calls are counted, and cost nothing
}

// RetryPolicy says how often and how patiently a rung is tried, for every class of [Retry] reaction.
type RetryPolicy struct {
	MaxAttempts   int      `json:"max_attempts"`    // tries per class, the first one included; 1 = no retry
	Initial       Duration `json:"initial"`         // upper bound of the first wait (full jitter)
	Factor        float64  `json:"factor"`          // by which the bound grows with each try
	Max           Duration `json:"max"`             // upper bound of any wait
	RetryAfterMax Duration `json:"retry_after_max"` // a longer Retry-After goes to the next rung at once
	// MaxNamedWaits is how many waits the other side may name on one rung in one round before the next rung is tried;
	// 0 is [DefaultNamedWaits].
	MaxNamedWaits int                   `json:"max_named_waits,omitempty"`
	On            map[Class]ClassPolicy `json:"on,omitempty"` // exceptions by class
}

// ClassPolicy overrides a [RetryPolicy] for one class; zero fields keep the rung's values.
type ClassPolicy struct {
	MaxAttempts int      `json:"max_attempts,omitempty"` // 1 = no retry
	Initial     Duration `json:"initial,omitempty"`      // bound of the first wait
	Factor      float64  `json:"factor,omitempty"`       // growth of the bound
	Max         Duration `json:"max,omitempty"`          // upper bound of any wait
}

// OnExpiry says what happens to a question that nobody decided in time. None of them is consent.
type OnExpiry string

const (
	ExpiryEscalate OnExpiry = "escalate" // ask again, the next people
	ExpiryFail     OnExpiry = "fail"     // the step fails, and the run with it
	ExpiryFallback OnExpiry = "fallback" // the next rung that acts on nothing unapproved, else ask again
	ExpiryPark     OnExpiry = "park"     // ask again, without an end
)

// Limits of sizes, in bytes.
const (
	MaxSubmitted  = 512 << 10 // a larger submission is refused
	MaxParams     = 512 << 10 // larger parameters go to a person
	MaxOutput     = 256 << 10 // default of max_bytes: a larger output is invalid_output
	CrashBudget   = 3         // executions of one step and round that are lost with their worker before it counts as crashed; at least one of them alone
	DefaultFanOut = 50        // default of max_parallel

	DefaultNamedWaits = 20 // default of max_named_waits
)
