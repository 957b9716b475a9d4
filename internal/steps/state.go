package steps

import (
	"time"
)

// RunState is where a run stands.
type RunState string

const (
	RunScheduled RunState = "scheduled" // accepted, and its time to begin has not come; the work clock stands
	RunRunning   RunState = "running"   // a machine can move it on
	RunWaiting   RunState = "waiting"   // only a person can move it on; the work clock stands
	RunSucceeded RunState = "succeeded" // every step done, none degraded
	RunDegraded  RunState = "degraded"  // every step done, some not on the first rung
	RunFailed    RunState = "failed"    // ended by a declared policy
	RunAborted   RunState = "aborted"   // ended by a person's decision on an escalation
	RunCancelled RunState = "cancelled" // ended by a person's cancel
	RunMigrated  RunState = "migrated"  // ended by a person, and goes on as another run, under another plan
)

// Ended reports whether nothing can change any more.
func (s RunState) Ended() bool { return s != RunScheduled && s != RunRunning && s != RunWaiting }

// StepState is where a unit of a run stands.
type StepState string

const (
	StepPending   StepState = "pending"   // waits for what it needs
	StepHeld      StepState = "held"      // waits for approval, or until what holds it back ends
	StepQueued    StepState = "queued"    // its attempt is in the queue
	StepRunning   StepState = "running"   // a worker has said that it executes it
	StepRetrying  StepState = "retrying"  // its next attempt is in the queue and must wait
	StepUnknown   StepState = "unknown"   // it may have happened; a probe or a person settles it
	StepEscalated StepState = "escalated" // a person decides
	StepSucceeded StepState = "succeeded" // done, with an output
	StepSkipped   StepState = "skipped"   // done without a result; output null
	StepFailed    StepState = "failed"    // it ended without a result
	StepCancelled StepState = "cancelled" // the run ended before it was done
)

// Done reports whether dependents may go on.
func (s StepState) Done() bool { return s == StepSucceeded || s == StepSkipped }

// Ended reports whether the unit will not move any more.
func (s StepState) Ended() bool { return s.Done() || s == StepFailed || s == StepCancelled }

// InQueue reports whether an attempt of the unit is out with the queue or a worker.
func (s StepState) InQueue() bool {
	return s == StepQueued || s == StepRunning || s == StepRetrying
}

// Degraded says that a step succeeded, but not as meant: on a later rung, or on degraded input.
type Degraded struct {
	Step  string   `json:"step"`          // the unit's id
	Rung  string   `json:"rung"`          // the rung that gave the result
	Cause string   `json:"cause"`         // class and message of the fault above, or "input from <step>"
	Age   Duration `json:"age,omitempty"` // of a cached result
}

// AttemptState is where one attempt stands or how it ended.
type AttemptState string

const (
	AttemptQueued    AttemptState = "queued"    // in the queue, or in hand of a worker that has not said so
	AttemptRunning   AttemptState = "running"   // a worker has said that it executes it
	AttemptSucceeded AttemptState = "succeeded" // its output is the unit's
	AttemptFailed    AttemptState = "failed"    // see its fault
	AttemptUnknown   AttemptState = "unknown"   // it may have happened
	AttemptWithdrawn AttemptState = "withdrawn" // given up before anybody executed it
	AttemptGivenUp   AttemptState = "given_up"  // the run went on without its outcome
	AttemptAsked     AttemptState = "asked"     // a person gives the result
	AttemptReturned  AttemptState = "returned"  // handed back unexecuted: the worker's own tools file is another one
)

// AttemptRecord is the history of one attempt.
type AttemptRecord struct {
	Round   int          // of its unit, when it was queued
	Rung    int          // index in the tool's ladder; behind the last rung it is the probe
	Try     int          // from 1 on each rung
	State   AttemptState // where it stands, or how it ended
	Fault   *Fault       // nil for one that is out, or succeeded
	Worker  string       // the last one that the log knows of, with the token of its claim
	Queued  time.Time    // the log's time, like the next two
	Started time.Time    // when the log learned that it runs; zero when it ended before that
	Ended   time.Time    // zero while it is out
	Took    Duration     // wall time that the worker measured
	Wait    Duration     // the wait before it
	Crashes int          // redeliveries that started it again
	Lost    []Lost       // executions whose worker ended without an outcome
	Usage   *Usage       // what a model took for it; nil for other calls
	Cost    Money        // of Usage, by the price that the run was submitted with; 0 where there is none
	Note    string       // its last progress, a late outcome, or why it was handed back

	Left      *Resume       // what it left for another one to go on with; nil: nothing
	Continues *Continuation // what it goes on with itself; nil: it began the call

	delivery  string    // of the last Started, to tell a repeat from a crash
	begun     time.Time // when the last Started came
	claimed   time.Time // when its worker's claim was last stored; it begins right after that
	uncounted int64     // tokens that were reserved for executions of which nobody knows what they took
	unheard   bool      // a delivery before the first one that the log knows of may have been lost
	spent     bool      // nothing goes on with Left or Continues any more
	silent    bool      // somebody else has said how it ended, because its worker did not

	mayRunUntil time.Time // when its worker, of whom nobody hears, has ended it at the latest; zero when it is not executed
}

// Lost is one execution of an attempt whose worker ended before it did.
type Lost struct {
	Worker  string    // empty where it ended before the log had heard of it
	Started time.Time // the log's; zero where it had not heard of it
	Found   time.Time // when another worker took its place, or it was clear that none would
}

// EscalationKind says what a person is asked.
type EscalationKind string

const (
	KindApproval   EscalationKind = "approval"    // whether a call may be executed
	KindFailure    EscalationKind = "failure"     // what to do about a fault
	KindUnknown    EscalationKind = "unknown"     // whether an attempt has happened
	KindQuestion   EscalationKind = "question"    // the result of a human rung, or what a tool needs a person for
	KindLimit      EscalationKind = "limit"       // how an agent goes on that has reached a limit
	KindDeadline   EscalationKind = "deadline"    // what to do about a budget that is used up
	KindDeadLetter EscalationKind = "dead_letter" // what to do about a message that cannot be read; not asked by the core
)

// EscalationKinds lists them all.
func EscalationKinds() []EscalationKind {
	return []EscalationKind{KindApproval, KindFailure, KindUnknown, KindQuestion, KindLimit, KindDeadline, KindDeadLetter}
}

// EscalationState is where an escalation stands.
type EscalationState string

const (
	EscalationOpen       EscalationState = "open"       // waits for a person
	EscalationDecided    EscalationState = "decided"    // a person has decided it
	EscalationExpired    EscalationState = "expired"    // nobody decided in time
	EscalationSuperseded EscalationState = "superseded" // events answered it before a person did
)
