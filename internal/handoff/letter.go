package handoff

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"belay/internal/runlog"
	"belay/internal/steps"
)

// decideLetter decides a dead letter: skip discards the entry that nobody can read, retry lets everybody read it
// again. A retry that helps nothing leaves the run frozen and the letter open, so it can be decided again.
func decideLetter(ctx context.Context, log *runlog.Log, run string, d steps.Decided) error {
	if allowed := []steps.Verb{steps.VerbRetry, steps.VerbSkip}; !slices.Contains(allowed, d.Verb) {
		return fmt.Errorf("%w: %q; allowed on a dead letter are %s", ErrNotAllowed, d.Verb, verbs(allowed))
	}
	if err := frozenAt(ctx, log, run, d.Escalation); err != nil {
		return err
	}
	_, err := log.Append(ctx, run, d)
	return err
}

func frozenAt(ctx context.Context, log *runlog.Log, run, letter string) error {
	_, err := log.Load(ctx, run)
	if f, ok := errors.AsType[*runlog.Frozen](err); ok {
		if f.Letter == letter {
			return nil
		}
		return fmt.Errorf("%w: the run is frozen at another entry: decide %s", ErrNoEscalation, f.Letter)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNoEscalation, err)
	}
	return fmt.Errorf("%w: the run is not frozen", ErrDecidedBefore)
}
