package steps

import "fmt"

// Phase is where a unit stands, told more finely than its [StepState]: several phases may look the same to a program that
// reads a run, yet other things can happen next. Every unit is in exactly one.
type Phase uint8

const (
	// PhaseWaiting: steps that it needs are not done or, of an item, max_parallel others are at work. Nothing to do.
	PhaseWaiting Phase = iota
	// PhaseDeferred: it could go on, but people are asked about the run's deadline. It goes on once the run gets more time.
	PhaseDeferred
	// PhaseHeld: its tool needs approval for these parameters. Nothing of it is queued before somebody approves.
	PhaseHeld
	// PhaseGated: what holds its attempt back, a closed gate, must end first. Nothing of it is queued, and its budget stands.
	PhaseGated
	// PhaseQueued: its attempt is in the queue; a worker that serves its rung takes it.
	PhaseQueued
	// PhaseRetrying: its next attempt is in the queue and must not be executed before its time.
	PhaseRetrying
	// PhaseRunning: a worker has said that it executes the attempt, or has claimed it.
	PhaseRunning
	// PhaseRecalled: nobody wants the queued attempt any more; it is taken out of the queue and back from whichever worker
	// has it in hand, and what follows waits for that.
	PhaseRecalled
	// PhaseRecalledRetry: the same, for an attempt that had to wait for its time.
	PhaseRecalledRetry
	// PhaseStopping: nobody waits for the attempt any more, and its worker is told to stop it. Its outcome still counts.
	PhaseStopping
	// PhaseFannedOut: a for_each step whose items are at work; it has no attempts itself.
	PhaseFannedOut
	// PhaseLooping: an agent step whose turns and calls are at work; it has no attempts itself.
	PhaseLooping
	// PhaseAsked: no machine can go on, and a person decides.
	PhaseAsked
	// PhaseUnknown: its attempt may have happened and must not be repeated; a probe or a person settles it.
	PhaseUnknown
	// PhaseLeftUnknown: nobody knows whether it happened, and nobody needs to any more, since the run ends without it.
	PhaseLeftUnknown
	// PhaseSucceeded: done, with its own output, a fallback's or a person's.
	PhaseSucceeded
	// PhaseSkipped: done without a result; its output is null.
	PhaseSkipped
	// PhaseFailed: it ended without a result, and the run fails with it; or a person gave a compensation up.
	PhaseFailed
	// PhaseCancelled: the run ended before it was done.
	PhaseCancelled

	phases = iota
)

// phaseSet is a set of phases, one bit each.
type phaseSet uint32

func setOf(list ...Phase) (s phaseSet) {
	for _, p := range list {
		s |= 1 << p
	}
	return s
}

func (s phaseSet) has(p Phase) bool { return s>>p&1 == 1 }

const (
	outPhases      = phaseSet(1<<PhaseQueued | 1<<PhaseRetrying | 1<<PhaseRunning | 1<<PhaseRecalled | 1<<PhaseRecalledRetry | 1<<PhaseStopping)
	recalledPhases = phaseSet(1<<PhaseRecalled | 1<<PhaseRecalledRetry | 1<<PhaseStopping)
	overPhases     = phaseSet(1<<PhaseLeftUnknown | 1<<PhaseSucceeded | 1<<PhaseSkipped | 1<<PhaseFailed | 1<<PhaseCancelled)
)

// phaseNames are the names in diagrams and messages; phaseStates are what programs are shown.
var (
	phaseNames = [phases]string{
		"waiting", "deferred", "held", "gated", "queued", "retrying", "running", "recalled", "recalled_retry", "stopping", "fanned_out", "looping",
		"asked", "unknown", "left_unknown", "succeeded", "skipped", "failed", "cancelled",
	}
	phaseStates = [phases]StepState{
		StepPending, StepPending, StepHeld, StepHeld, StepQueued, StepRetrying, StepRunning, StepQueued, StepRetrying, StepRunning, StepRunning, StepRunning,
		StepEscalated, StepUnknown, StepUnknown, StepSucceeded, StepSkipped, StepFailed, StepCancelled,
	}
)

func (p Phase) String() string { return phaseNames[p] }

// State is the phase as programs and people are shown it.
func (p Phase) State() StepState { return phaseStates[p] }

// out reports whether an attempt of the unit is in the queue or with a worker.
func (p Phase) out() bool { return outPhases.has(p) }

// recalled is the phase of an attempt that is out once nobody wants it any more.
func (p Phase) recalled() Phase {
	switch p {
	case PhaseQueued:
		return PhaseRecalled
	case PhaseRetrying:
		return PhaseRecalledRetry
	case PhaseRunning:
		return PhaseStopping
	}
	return p
}

// afterFault is where a fault can lead: another rung, a person, the end; what may have happened is unknown.
var afterFault = setOf(PhaseQueued, PhaseDeferred, PhaseAsked, PhaseUnknown, PhaseSkipped, PhaseFailed)

// afterDecision is where a person's decision, or a question that has run out, can lead.
var afterDecision = setOf(PhaseDeferred, PhaseHeld, PhaseQueued, PhaseAsked, PhaseSucceeded, PhaseSkipped, PhaseFailed)

// moves is the table of transitions: from each phase, the phases that may follow. testdata/states.md draws it.
var moves = [phases]phaseSet{
	PhaseWaiting:  setOf(PhaseFannedOut, PhaseLooping, PhaseHeld, PhaseQueued, PhaseDeferred, PhaseAsked, PhaseSucceeded, PhaseSkipped, PhaseFailed, PhaseCancelled),
	PhaseDeferred: setOf(PhaseQueued, PhaseRetrying, PhaseAsked, PhaseUnknown, PhaseFailed, PhaseCancelled),
	PhaseHeld:     afterDecision | setOf(PhaseCancelled),
	PhaseGated:    setOf(PhaseDeferred, PhaseQueued, PhaseRetrying, PhaseUnknown, PhaseFailed, PhaseCancelled),
	PhaseQueued:   afterFault | setOf(PhaseRetrying, PhaseRunning, PhaseRecalled, PhaseHeld, PhaseSucceeded, PhaseCancelled),
	PhaseRetrying: afterFault | setOf(PhaseRetrying, PhaseRunning, PhaseRecalledRetry, PhaseHeld, PhaseSucceeded),
	PhaseRunning:  afterFault | setOf(PhaseRetrying, PhaseRunning, PhaseStopping, PhaseHeld, PhaseSucceeded, PhaseCancelled),

	PhaseRecalled:      afterFault | setOf(PhaseGated, PhaseRetrying, PhaseRunning, PhaseSucceeded, PhaseCancelled),
	PhaseRecalledRetry: afterFault | setOf(PhaseGated, PhaseRetrying, PhaseRunning, PhaseSucceeded, PhaseCancelled),
	// The time of an attempt that is told to stop is over, so nothing is tried after it.
	PhaseStopping: setOf(PhaseStopping, PhaseRunning, PhaseAsked, PhaseUnknown, PhaseSucceeded, PhaseSkipped, PhaseFailed, PhaseCancelled),

	PhaseFannedOut: setOf(PhaseSucceeded, PhaseCancelled),
	PhaseLooping:   setOf(PhaseAsked, PhaseSucceeded, PhaseSkipped, PhaseFailed, PhaseCancelled),
	PhaseAsked:     afterDecision | setOf(PhaseWaiting, PhaseUnknown, PhaseLooping, PhaseCancelled),
	PhaseUnknown:   afterDecision | setOf(PhaseRetrying, PhaseCancelled, PhaseLeftUnknown),

	PhaseLeftUnknown: 0,
	PhaseSucceeded:   0,
	PhaseSkipped:     0,
	// In a run that was aborted because of it: it had happened, or not. And a call of an agent that has failed, may have happened
	// and would be undone if it has: people are asked once its run ends otherwise.
	PhaseFailed:    setOf(PhaseSucceeded, PhaseCancelled, PhaseUnknown),
	PhaseCancelled: 0,
}

// checkMove panics on a transition that the table does not have: the fold has gone wrong, and whoever folds the log
// freezes this run and goes on with all others. Runs of older epochs could leave an end again; they are folded as ever.
func (s *State) checkMove(u *Unit, to Phase) {
	if !moves[u.phase].has(to) && s.since(3) {
		panic(fmt.Sprintf("steps: %s cannot go from %s to %s", u.ID, u.phase, to))
	}
}
