// Package steps is the pure core of Belay: it decides what happens when a step fails.
//
// It holds two functions. [Apply] folds one record of a run's log into the run's [State] and names the units that the
// record touched. [Wants] says what must exist outside the core because of a state: step messages in the queue, one
// timer, open escalations, withdrawals of claims, the result. The dispatcher publishes what is wanted and not yet
// there; nobody else decides anything about failure.
//
// The package does no I/O, reads no clock, starts no goroutine and draws no random number. Time is the log's own
// timestamp on each record ([Record.Time]); jitter is a hash of the attempt's name. So the same log gives the same
// answer on any machine, and recovery is nothing but folding again.
//
// Where to start reading: plan.go (what a run is told to do), event.go (what may happen to it), state.go (where it
// stands), apply.go (one function per event), policy.go (retry, next rung or a person), wants.go (what must exist
// outside), show.go (what people and programs are shown).
package steps
