package belaytype

// RunState is where a run stands.
type RunState string

// The states of a run. All but the first three are final.
const (
	Scheduled RunState = "scheduled" // accepted, and its time to begin has not come
	Running   RunState = "running"   // a machine can move it on
	Waiting   RunState = "waiting"   // only a person can move it on; its time budget is not used
	Succeeded RunState = "succeeded" // every step is done, without a fallback
	Degraded  RunState = "degraded"  // every step is done, some by a fallback: see Document.Degraded
	Failed    RunState = "failed"    // ended by the plan's own policy
	Aborted   RunState = "aborted"   // ended by a person's decision on an escalation
	Cancelled RunState = "cancelled" // ended by a cancel
	Migrated  RunState = "migrated"  // ended by a person, and goes on as another run, under another plan: see Document.GoesOnAs
)

// RunStates lists them all.
func RunStates() []RunState {
	return []RunState{Scheduled, Running, Waiting, Succeeded, Degraded, Failed, Aborted, Cancelled, Migrated}
}

// Ended reports whether nothing can change any more.
func (s RunState) Ended() bool { return s != Scheduled && s != Running && s != Waiting }

// StepState is where a step of a run stands.
type StepState string

// The states of a step.
const (
	StepPending   StepState = "pending"   // waits for the steps that it needs
	StepHeld      StepState = "held"      // waits for an approval, or until a gate opens, before it is queued
	StepQueued    StepState = "queued"    // its attempt is in the queue of the workers
	StepRunning   StepState = "running"   // a worker executes it
	StepRetrying  StepState = "retrying"  // its next attempt is in the queue, and begins after a wait
	StepUnknown   StepState = "unknown"   // it may have acted; its probe or a person says whether it did
	StepEscalated StepState = "escalated" // a person decides
	StepSucceeded StepState = "succeeded" // done
	StepSkipped   StepState = "skipped"   // left out: its output is null
	StepFailed    StepState = "failed"    // it failed for good, and the run with it
	StepCancelled StepState = "cancelled" // the run ended before it did
)

// StepStates lists them all.
func StepStates() []StepState {
	return []StepState{
		StepPending, StepHeld, StepQueued, StepRunning, StepRetrying, StepUnknown, StepEscalated, StepSucceeded, StepSkipped, StepFailed, StepCancelled,
	}
}

// AttemptState is where one attempt stands, or how it ended.
type AttemptState string

// The states of an attempt.
const (
	AttemptQueued    AttemptState = "queued"    // in the queue
	AttemptRunning   AttemptState = "running"   // a worker executes it
	AttemptSucceeded AttemptState = "succeeded" // it gave a result
	AttemptFailed    AttemptState = "failed"    // it ended with a fault
	AttemptUnknown   AttemptState = "unknown"   // it may have acted; nobody knows
	AttemptWithdrawn AttemptState = "withdrawn" // withdrawn before a worker executed it
	AttemptGivenUp   AttemptState = "given_up"  // the run went on without its outcome
	AttemptAsked     AttemptState = "asked"     // a person gives the result
	AttemptReturned  AttemptState = "returned"  // handed back unexecuted: the worker's own tools file differs
)

// AttemptStates lists them all.
func AttemptStates() []AttemptState {
	return []AttemptState{
		AttemptQueued, AttemptRunning, AttemptSucceeded, AttemptFailed, AttemptUnknown, AttemptWithdrawn, AttemptGivenUp, AttemptAsked, AttemptReturned,
	}
}

// EscalationState is where an escalation stands.
type EscalationState string

// The states of an escalation.
const (
	EscalationOpen       EscalationState = "open"       // somebody has to decide
	EscalationDecided    EscalationState = "decided"    // somebody did
	EscalationExpired    EscalationState = "expired"    // nobody decided in time
	EscalationSuperseded EscalationState = "superseded" // closed by other events, before anybody decided
)

// EscalationStates lists them all.
func EscalationStates() []EscalationState {
	return []EscalationState{EscalationOpen, EscalationDecided, EscalationExpired, EscalationSuperseded}
}

// Kind says what an escalation asks.
type Kind string

// The kinds of escalations.
const (
	KindApproval   Kind = "approval"    // may this call be made?
	KindFailure    Kind = "failure"     // what no machine could finish
	KindUnknown    Kind = "unknown"     // did it happen or not?
	KindQuestion   Kind = "question"    // asked by a `human` rung, or by a handler that needs a person
	KindLimit      Kind = "limit"       // an agent has reached a limit
	KindDeadline   Kind = "deadline"    // the run's time budget is used up
	KindDeadLetter Kind = "dead_letter" // a message that cannot be read
)

// Kinds lists them all.
func Kinds() []Kind {
	return []Kind{KindApproval, KindFailure, KindUnknown, KindQuestion, KindLimit, KindDeadline, KindDeadLetter}
}

// Verb is what a person may decide.
type Verb string

// The verbs. An escalation allows some of them: see Escalation.Allowed.
const (
	Approve Verb = "approve" // make the call with exactly these parameters, once
	Reject  Verb = "reject"  // do not make the call; needs a reason
	Retry   Verb = "retry"   // call with the same parameters, from the first rung
	Edit    Verb = "edit"    // call with other parameters, from the first rung
	Answer  Verb = "answer"  // give the output in place of the tool
	Skip    Verb = "skip"    // go on without it: the output is null
	Extend  Verb = "extend"  // give an agent more of what it has used up
	Finish  Verb = "finish"  // let an agent answer with what it knows
	Verify  Verb = "verify"  // have the tool's probe find out whether it acted
	Abort   Verb = "abort"   // end the run
)

// Verbs lists them all.
func Verbs() []Verb {
	return []Verb{Approve, Reject, Retry, Edit, Answer, Skip, Extend, Finish, Verify, Abort}
}

// Effects says what executing a tool does to the world, and so whether it may be repeated.
type Effects string

// The effects of a tool.
const (
	EffectsNone       Effects = "none"       // it only reads
	EffectsIdempotent Effects = "idempotent" // safe to repeat with the same idempotency key
	EffectsUnsafe     Effects = "unsafe"     // never repeated once it may have acted
)

// OnDeadline says what happens to an escalation that nobody decides in time. None of the values approves anything.
type OnDeadline string

// What the end of an escalation's deadline does.
const (
	OnDeadlineEscalate OnDeadline = "escalate" // ask the next people
	OnDeadlineFail     OnDeadline = "fail"     // the step fails, and the run with it
	OnDeadlineFallback OnDeadline = "fallback" // go on to the next rung without effects; ask again if there is none
	OnDeadlinePark     OnDeadline = "park"     // ask again, as often as it takes
)

// Fate is what a decision led to.
type Fate string

// What a decision can lead to.
const (
	FateOpen     Fate = "open"      // nobody has decided
	FateUnderWay Fate = "under_way" // decided, and what it led to is still going on
	FateDone     Fate = "done"      // everything it led to is done, or waits for a question that was open before
	FateBack     Fate = "back"      // the same question was asked again: the same tool, rung, class and target
	FateOther    Fate = "other"     // it led to another question, about this step or a later one
	FateFailed   Fate = "failed"    // the run ended in another way than decided
)
