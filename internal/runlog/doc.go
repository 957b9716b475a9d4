// Package runlog reads and writes the logs of runs. It has the only builder and the only parser of their messages, and the
// only fold.
//
// The log is the only truth about a run, so the dispatcher, workers, the command line and the console all see a run
// through this package. [Log.Fold] folds entries into a state ([Fold]); [Log.Load] and [Log.Follow] read them from the
// stream; [Log.Submit], [Log.Cancel] and [Log.Append] write. A [History] is an index for workers, and decides nothing.
//
// An entry that this program cannot read or fold (an unknown type, a body that is not JSON, a fold that panics) freezes
// its run there: nothing after it counts, because a fold with a gap would be a guess. A dead letter about that entry asks
// a person, who decides with an ordinary Decided in the same log: skip discards the entry for good and for every reader,
// retry lets every reader try it once more (after an upgrade). So whether a run is frozen is itself a fold of the log.
//
// # Ordering
//
//   - A submission, a claim and a result are stored only as the first on their subject ([Log.Message]); otherwise the
//     error is [belay/internal/bus.ErrConflict].
//   - A write that was not confirmed proves nothing, even if it can be read. It is repeated after itself until one is
//     confirmed ([Log.Submit], [Log.AppendSurely], [Log.ClaimBehind]), and the fold ignores the repeats.
//
// # Reading order
//
// message.go (builder and parser), fold.go (entries to state), load.go (stream to fold), history.go (an index for workers),
// submit.go and sure.go (writing until it is confirmed), watch.go (waiting for many runs, which ear.go spares the logs), stray.go and discard.go
// (messages that belong to no run), list.go, find.go.
package runlog
