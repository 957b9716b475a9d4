// Package dispatch is the loop that moves runs on: event -> fold -> publish -> ack.
//
// Every partition of the log has one goroutine ([partition]) that owns the folds of its runs, so run state has no
// locks. It takes an event from the log, folds it, publishes what the fold now wants and did not want before (step
// messages, claims to withdraw, escalations, the result), and acknowledges the event when all of that is stored ([receipt]
// says how). Nothing in the loop waits: publishes, reads of the log and purges answer through the partition's [inbox].
//
// # Which events may be applied to the fold in memory
//
// The log's consumer is pinned to one dispatcher at a time, but a pin steers load and excludes nobody, and consumer
// progress may go back after a crash. So an event is new only if it is delivered for the first time and lies beyond both
// the log's end as noted when the pin changed and everything delivered since. A new event is applied to the fold in
// memory. Any other may be about a step that finished long ago, and publishing what an old fold wants would queue that
// step a second time. Such an event is answered by folding the run to the head of its log and publishing everything that
// is wanted then; the server refuses what is there already, and that counts as stored. An event that the fold already has
// is acknowledged as soon as nothing that the run caused is on its way.
//
// A publish that fails drops the run from memory and hands the event back; it is redelivered and answered like any other
// that is not new. So a restart, a take-over, a failed publish and the [partition.sweep] over all open runs take the same
// path.
//
// # Timers
//
// A run's next moment (a budget, a deadline) is kept in memory, in a heap of the partition; when it comes, Fired is
// appended to the log. Most runs end long before, so the durable schedule, one per run, is written only for a run that is
// still open Options.TimerDelay after its timer was wanted; it is replaced only by an earlier time, and cancelled only if
// it was written. A crash before that write loses nothing: the dispatcher that takes over the partition folds every open
// run and has their timers in memory then. The schedule covers the time in which no dispatcher has the run in memory; an
// early or a second Fired changes nothing in the fold.
//
// # Reading order
//
// dispatcher.go (what runs side by side), partition.go (one turn of the loop), event.go (which events are new),
// want.go (from wants to publishes), answer.go (from publishes to acks), withdraw.go (attempts that nobody may begin any
// more), load.go, timer.go, sweep.go, skipped.go (events that never came), wake.go, unserved.go, overlooked.go (attempts that the queue has lost), freeze.go (entries that cannot be read), stray.go (what
// belongs to no run), janitor.go.
package dispatch
