// Package remote executes rungs by programs that poll for them over HTTP: functions in any language, on the same machine
// as their worker. A program polls, gets one attempt with a lease, sends heartbeats, and reports how it ended. The worker
// does everything else: claims, approvals, deadlines, outcomes.
//
// The [Hub] connects programs and attempts. For the worker it is an [executor.Polled] for each rung; for programs it is a
// handler of the protocol that docs/protocol.md describes. Messages are pulled from the queue only for waiting programs,
// one for each poll, so a queue without a program looks like one without a worker, which it is.
//
// The files: hub.go (rungs and waiting programs), seat.go (a poll that is reserved for an attempt), lease.go (an attempt
// that a program executes), word.go (what programs report), http.go (the protocol), serve.go and listen.go (where it is
// served), guard.go and token.go (who may use it).
package remote
