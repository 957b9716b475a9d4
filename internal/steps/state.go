package steps

import (
	"encoding/json"
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
	Note    string   // progress, or what became of a late outcome
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

// EscalationState is where an escalation stands.
type EscalationState string

const (
	EscalationOpen       EscalationState = "open"
	EscalationDecided    EscalationState = "decided"
	EscalationSuperseded EscalationState = "superseded" // events answered it before a person did
)

// Escalation is a question to people. Its id is `<run>-<n>`.
type Escalation struct {
	ID       string          `json:"id"`
	Kind     EscalationKind  `json:"kind"`
	State    EscalationState `json:"state"`
	Run      string          `json:"run"`
	Workflow string          `json:"workflow"`
	Step     string          `json:"step,omitempty"` // the unit; empty when the whole run is meant
	Tool     string          `json:"tool,omitempty"`
	Rung     string          `json:"rung,omitempty"`
	Class    Class           `json:"class,omitempty"`
	Message  string          `json:"message"`
	Allowed  []Verb          `json:"allowed"`
	Opened   time.Time       `json:"opened"`
	Revision uint64          `json:"revision"` // sequence of the log record that opened it
	Decision *Decided        `json:"decision,omitempty"`
	Ended    time.Time       `json:"ended,omitzero"`
}

// StepMessage is what a worker gets: everything to execute one attempt, and nothing to decide about it.
type StepMessage struct {
	Run       string          `json:"run"`
	Attempt                   // step, round, rung, try
	Workflow  string          `json:"workflow"`
	Tool      string          `json:"tool"`
	RungName  string          `json:"rung_name"`
	Effects   Effects         `json:"effects"`
	Params    json.RawMessage `json:"params"`
	Key       string          `json:"key"`                 // idempotency key: `<run>/<step>/<edit>`
	Timeout   Duration        `json:"timeout,omitempty"`   // of this attempt; 0 = none
	NotBefore time.Time       `json:"not_before,omitzero"` // do not execute earlier
	Deadline  time.Time       `json:"deadline,omitzero"`   // end of the step's budget; zero = none
}

// AttemptName is the full name `<run>/<step>/<round>-<rung index>-<try>`.
func AttemptName(run string, a Attempt) string { return run + "/" + a.Step + "/" + a.Token() }

// WantList is what must exist outside the core because of a state. Everything in it may be made again without harm.
type WantList struct {
	Steps       []StepMessage // in the queue, unless their outcome is in the log
	Withdraw    []StepMessage // their claims are to be taken by compare-and-set; what follows waits for that event
	Gone        []StepMessage // given up: purge their step messages
	Stop        []StepMessage // executing attempts to be told to stop
	Timer       time.Time     // the next moment at which Fired changes something; zero = none
	Escalations []Escalation  // open
	Settled     []Escalation  // no longer open: remove them
	Result      *Closed       // the run's end
}

// State is a run, folded from its log. Only [Apply] changes it.
type State struct {
	Run     string
	Program *Program
	Input   json.RawMessage
	Labels  map[string]string
}

func (s *State) stepRoot(id string) map[string]any { return nil }

// Apply folds one record into s (nil before the first) and returns the state and the indexes of the units that the
// record touched. It may reuse s. A record that s has already seen, or that says nothing new, touches nothing.
func Apply(s *State, r Record) (*State, []int) { return s, nil }

// Wants says what must exist because of s: for the given units, or for all when touched is nil.
func Wants(s *State, touched []int) WantList { return WantList{} }
