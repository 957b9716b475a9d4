package runlog

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"belay/internal/steps"
)

// Retry goes on from where an ended run stood: it submits a new run with the same plan, input, labels and idempotency
// keys that takes over what was done. Without an id of its own the new run is `<run>-r<n>`, the first that is free.
func (l *Log) Retry(ctx context.Context, run, id, by string) (string, error) {
	s, err := l.Load(ctx, run)
	if err != nil {
		return "", err
	}
	switch st := s.Status(); st {
	case steps.RunFailed, steps.RunAborted, steps.RunCancelled:
	case steps.RunSucceeded, steps.RunDegraded:
		return "", fmt.Errorf("retry run %s: %w: it %s, there is nothing to do again", run, ErrEnded, st)
	default:
		return "", fmt.Errorf("retry run %s: %w: it is %s; decide its escalation, or cancel it first", run, ErrConflict, st)
	}
	sub, err := l.submitted(ctx, run)
	if err != nil {
		return "", err
	}
	again := *sub
	again.By, again.RetryOf, again.KeyRun, again.Carried = by, run, s.KeyRun(), steps.Carry(s)
	if id != "" {
		_, err := l.Submit(ctx, id, again)
		return id, err
	}
	for n := 1; ; n++ {
		id = run + "-r" + strconv.Itoa(n)
		created, err := l.Submit(ctx, id, again)
		if errors.Is(err, ErrConflict) || err == nil && !created {
			continue // an earlier retry has this id
		}
		return id, err
	}
}
