// Package worker executes attempts: it takes a step message, executes it under its deadline, stores the outcome in the
// run's log, and only then acknowledges. It holds no policy: it never retries, never falls back and never gives up;
// what to do with a message that may have been executed before is decided by [steps.Redelivered].
//
// A message goes through the files in this order: worker.go (life and drain), hold.go (keeping messages with
// heartbeats), handle.go (waiting, slots, redelivery, claim), begin.go (the last look), execute.go (the executor under its
// deadline), outcome.go (store, then acknowledge). Beside that way: stop.go (words that nobody wants an attempt any more),
// park.go (what comes back unbegun), journal.go (what the log says of an attempt), wanted.go (whether it asks for it).
package worker
