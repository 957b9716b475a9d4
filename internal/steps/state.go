package steps

import (
	"time"
)

// RunState is where a run stands.
type RunState string

const (
	RunRunning   RunState = "running"   // a machine can move it on
	RunWaiting   RunState = "waiting"   // only a person can move it on; the work clock stands
	RunSucceeded RunState = "succeeded" // every step done, none degraded
	RunDegraded  RunState = "degraded"  // every step done, some not on the first rung
	RunFailed    RunState = "failed"    // ended by a declared policy
	RunAborted   RunState = "aborted"   // ended by a person's decision on an escalation
	RunCancelled RunState = "cancelled" // ended by a person's cancel
)

// Ended reports whether nothing can change any more.
func (s RunState) Ended() bool { return s != RunRunning && s != RunWaiting }

// StepState is where a unit of a run stands.
type StepState string

const (
	StepPending   StepState = "pending"   // waits for what it needs
	StepHeld      StepState = "held"      // waits for approval
	StepQueued    StepState = "queued"    // its attempt is in the queue
	StepRunning   StepState = "running"   // a worker has said that it executes it
	StepRetrying  StepState = "retrying"  // its next attempt is in the queue and must wait
	StepUnknown   StepState = "unknown"   // it may have happened; a person settles it
	StepEscalated StepState = "escalated" // a person decides
	StepSucceeded StepState = "succeeded"
	StepSkipped   StepState = "skipped" // done without a result; output null
	StepFailed    StepState = "failed"
	StepCancelled StepState = "cancelled"
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
	Step  string   `json:"step"`
	Rung  string   `json:"rung"`          // the rung that gave the result
	Cause string   `json:"cause"`         // class and message of the fault above, or "input from <step>"
	Age   Duration `json:"age,omitempty"` // of a cached result
}

// AttemptState is where one attempt stands or how it ended.
type AttemptState string

const (
	AttemptQueued    AttemptState = "queued"
	AttemptRunning   AttemptState = "running"
	AttemptSucceeded AttemptState = "succeeded"
	AttemptFailed    AttemptState = "failed"
	AttemptUnknown   AttemptState = "unknown"
	AttemptWithdrawn AttemptState = "withdrawn" // given up before anybody executed it
	AttemptGivenUp   AttemptState = "given_up"  // the run went on without its outcome
	AttemptAsked     AttemptState = "asked"     // a person gives the result
	AttemptReturned  AttemptState = "returned"  // handed back unexecuted: the worker's own tools file is another one
)

// AttemptRecord is the history of one attempt.
type AttemptRecord struct {
	Round   int
	Rung    int
	Try     int
	State   AttemptState
	Fault   *Fault
	Worker  string
	Queued  time.Time
	Started time.Time // when the log learned that it runs; zero when it ended before that
	Ended   time.Time
	Took    Duration // wall time that the worker measured
	Wait    Duration // the wait before it
	Crashes int      // redeliveries that started it again
	Lost    []Lost   // executions whose worker ended without a word
	Note    string   // progress, or what became of a late outcome

	delivery string    // of the last Started, to tell a repeat from a crash
	begun    time.Time // when the last Started came
	unheard  bool      // a delivery before the first one that the log knows may have been lost
}

// Lost is one execution of an attempt whose worker ended under it.
type Lost struct {
	Worker  string    // empty where it ended before the log had heard of it
	Started time.Time // the log's; zero where it had not heard of it
	Found   time.Time // when another worker took its place, or it was clear that none would
}

// EscalationKind says what a person is asked.
type EscalationKind string

const (
	KindApproval   EscalationKind = "approval"
	KindFailure    EscalationKind = "failure"
	KindUnknown    EscalationKind = "unknown"
	KindQuestion   EscalationKind = "question"
	KindDeadline   EscalationKind = "deadline"
	KindDeadLetter EscalationKind = "dead_letter"
)

// EscalationKinds lists them all.
func EscalationKinds() []EscalationKind {
	return []EscalationKind{KindApproval, KindFailure, KindUnknown, KindQuestion, KindDeadline, KindDeadLetter}
}

// EscalationState is where an escalation stands.
type EscalationState string

const (
	EscalationOpen       EscalationState = "open"
	EscalationDecided    EscalationState = "decided"
	EscalationExpired    EscalationState = "expired"    // nobody decided in time
	EscalationSuperseded EscalationState = "superseded" // events answered it before a person did
)
