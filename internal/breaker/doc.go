// Package breaker leaves a target alone that fails: what a rung of a tool talks to. Whether one is to be left alone is decided
// from what all workers report of their calls, and holds for all dispatchers.
//
// A [Window] counts, a [Record] says where a target that is left alone stands and what may follow: both are pure, time is an
// argument. A [Keeper] is a dispatcher's own view: it counts the outcomes that this dispatcher reads, shares the records with the
// others in a bucket, and says whether a call may go. What becomes of a call that may not the core decides, by an event on the
// log of its run.
//
// Where to start reading: record.go (the states), window.go (counting), keeper.go (what a dispatcher asks), share.go (what the
// dispatchers tell one another), list.go (for people).
package breaker
