// Package sim plays one run on a virtual clock, in milliseconds of real time: the real core ([steps.Apply] and [steps.Wants]),
// the dispatcher's rules around it, the worker's real handling of a message ([steps.Handling]), people, and a server that
// keeps a log and a queue and delivers a message once more when its worker falls silent.
//
// What a tool does when it is called, and what people decide, is the caller's to say. Effects are counted where they happen,
// in the world outside, and not taken from what Belay believes: that is how a play can tell that one is lost or happened
// twice. The same options always give the same play.
//
// What is simplified: there is one run, one dispatcher that the log is pinned to, beside those that do not know yet that they
// were replaced, and a worker whenever one is needed; publishes are stored at once, when their sender goes on, or never. What
// the disks of a server do is tried with real ones (docs/reliability.md).
//
// Read sim.go (what a play is given and gives), then clock.go, server.go (log and queue), dispatcher.go, stale.go, worker.go,
// execute.go and people.go.
package sim
