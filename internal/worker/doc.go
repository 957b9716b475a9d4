// Package worker executes attempts: it receives a step message, executes it under its deadline, stores the outcome in the
// run's log, and only then acknowledges the message. It holds no policy: it never retries, never falls back and never
// gives up; [steps.VerdictOn] decides what to do with a message that may have been executed before.
//
// # Reading order
//
// A message passes through worker.go (life and drain), keep.go (heartbeats for messages in hand), handle.go (waiting,
// slots, redelivery, claim), lane.go and apart.go (what is executed apart from everything else), begin.go (the last check),
// execute.go (the executor under its deadline), outcome.go (store, then acknowledge). Beside that: stop.go (signals that an attempt is no longer wanted), park.go (messages that are
// redelivered unbegun), journal.go (what the log says of an attempt), wanted.go (whether the run wants the attempt),
// polled.go (rungs that another program executes).
//
// # Ordering
//
//   - An attempt of an unsafe tool is executed only after the server has confirmed the write of its claim ([job.claim]).
//   - An attempt begins only while this worker is the message's owner for the server and has heard every stop up to
//     [wire.HearsWithin] ago ([job.mayBegin]).
//   - A message is acknowledged only after its outcome is stored ([job.store]). Until then heartbeats keep it.
package worker
