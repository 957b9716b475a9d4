package handoff

import (
	"context"
	"errors"
	"fmt"

	"belay/internal/people"
	"belay/internal/runlog"
	"belay/internal/wire"
)

// ErrUnrecorded says that a run stays in the log for now: the audit trail does not have yet what people did about it.
var ErrUnrecorded = errors.New("the audit trail does not have yet what people did about it")

// removeRun removes an ended run from the log whose entries have the digest that an archive says. It may be repeated: one that was
// interrupted goes on, and a run that is gone is gone.
func (k *Desk) removeRun(ctx context.Context, who people.Actor, run string, a people.Act, done Done) (Done, error) {
	switch {
	case k.Removing == nil:
		return done, fmt.Errorf("%w: nothing is removed here", ErrNotAllowed)
	case !wire.ValidName(run) || a.Digest == "":
		return done, fmt.Errorf("%w: a run is removed by its whole id and the digest of its entries in an archive", ErrInvalid)
	}
	entries, err := k.Runs.Archived(ctx, run, a.Digest)
	switch {
	case errors.Is(err, runlog.ErrNoRun):
		done.Repeated, done.Effect = true, "it is not in the log"
		return done, nil
	case errors.Is(err, runlog.ErrNotEnded):
		return done, fmt.Errorf("%w: %w", ErrNotAllowed, err)
	case errors.Is(err, runlog.ErrGrown):
		return done, fmt.Errorf("%w: %w: archive it once more", ErrChanged, err)
	case err != nil:
		return done, err
	}
	if err := k.Removing(ctx, who, a, run, entries); err != nil {
		return done, fmt.Errorf("nothing was removed: %w", err)
	}
	if err := k.Runs.Remove(ctx, run, entries[len(entries)-1].Seq); err != nil {
		return done, fmt.Errorf("it was begun, and is safe to repeat: %w", err)
	}
	done.Effect = fmt.Sprintf("removed from the log, entries %d", len(entries))
	return done, nil
}
