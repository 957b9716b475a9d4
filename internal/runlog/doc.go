// Package runlog reads and writes the log of a run: the one fold of it for everybody, and what clients append to it.
//
// The log is the only truth about a run, so the dispatcher, the command line and the console all see a run through
// this package. [Log.Fold] takes entries in and gives the state ([Fold]); [Log.Load] and [Log.Follow] do that from the
// stream; [Log.Submit], [Log.Cancel] and [Log.Append] write.
//
// An entry that this program cannot take in (an unknown type, a body that is no JSON, a fold that panics) freezes its
// run there: nothing after it counts, because a fold with a hole in it would be somebody's guess. A dead letter about
// that entry asks a person, who decides with an ordinary Decided in the same log: skip discards the entry for good and
// for every reader, retry lets every reader try again (after an upgrade). So frozen and thawed, too, are only folds of
// the log.
//
// Where to start reading: fold.go (entries to state), load.go (stream to fold), submit.go and
// sure.go (until it is confirmed), stray.go (what belongs to no run), list.go, find.go.
package runlog
