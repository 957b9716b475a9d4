// Package gates holds calls back for the whole cluster, because a person has said so.
//
// A [Gate] says which calls it covers; a [Book] keeps the gates in a bucket; a [Keeper] is a dispatcher's own view of them, which
// it hears of changes. Which attempts are held back the dispatcher decides, by an event on the log of each run: that stays true
// whatever becomes of the bucket. What it has done about a gate it reports as a [Drain], so that whoever closes one learns from
// when on nothing that it covers begins.
//
// Where to start reading: gate.go (what a gate says), covers.go (which calls it covers), book.go (where they are kept), keeper.go
// (what a dispatcher knows), drain.go (what becomes of a gate), serve.go (asking for it).
package gates
