// Package dispatch is the loop that moves runs on: event -> fold -> publish -> ack.
//
// Every partition of the log has one goroutine ([partition]) that owns the folds of its runs, so run state has no
// locks. It takes an event from the log, folds it, publishes what the fold now wants and did not want before (step
// messages, claims to withdraw, letters to people, the result), and acknowledges the event when all of that is stored.
// Nothing in the loop waits: publishes, reads of the log and purges answer through the partition's [mailbox].
//
// # Which events may be applied to the fold in memory
//
// The log's consumer is pinned to one dispatcher at a time, but a pin is load steering and no exclusion, and consumer
// progress may go back after a crash. So an event is new only if it comes for the first time and lies beyond both the
// log's end as noted when the pin changed and everything delivered since. A new event is applied to the fold in
// memory. Any other may be about a step that finished long ago, and publishing what an old fold wants would queue that
// step again: it is answered by folding the run to the head of its log, and then everything that is wanted is made
// sure of. What was there already answers "is there", and that is fine. An event that the fold already has is
// acknowledged as soon as nothing that the run caused is still on its way.
//
// A publish that fails forgets the run and hands the event back; it comes again and is answered like any other that is
// not new. So a restart, a take-over, a failed publish and the [partition.sweep] over all open runs are one and the same thing.
//
// # Timers
//
// A run's next moment (a budget, a deadline) is kept in memory, in a heap of the partition; when it comes, Fired is
// appended to the log. Most runs are over long before, so the durable schedule, one per run, is written only for a run
// that is still open a while (Options.TimerDelay) after its timer was wanted, is replaced only by an earlier time, and
// cancelled only if it was written. A crash before the lazy write loses nothing: whoever takes the partition over
// folds every open run and so has all their timers in memory again. The schedule is there for the time in which a run
// is in nobody's memory; an early or a second Fired changes nothing in the fold.
//
// # Where to start reading
//
// dispatcher.go (what runs side by side), partition.go (one turn of the loop), take.go (which events are new),
// want.go (from wants to publishes), answer.go (from publishes to acks), load.go, timer.go, sweep.go, wake.go,
// unserved.go, freeze.go (entries that nobody can read), stray.go (what belongs to no run), janitor.go.
package dispatch
