// Package worker executes attempts: it takes a step message, executes it under its deadline, stores the outcome in the
// run's log, and only then acknowledges. It holds no policy: it never retries, never falls back and never gives up;
// what to do with a message that may have been executed before is decided by [steps.Redelivered].
//
// A message goes through the files in this order: worker.go (life and drain), hold.go (keeping messages with
// heartbeats), handle.go (waiting, slots, redelivery, claim), execute.go (the executor under its deadline), outcome.go
// (store, then acknowledge).
package worker
