package runlog

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"belay/internal/steps"
)

// Retried is who wants a run to go on, through what, and why.
type Retried struct{ By, Via, Reason string }

// Retry goes on from where an ended run stood: it submits a new run with the same plan, input, labels and idempotency
// keys that takes over what was done. Without an id of its own the new run is `<run>-r<n>`, the first that is free. Who
// says by whom, through what and why.
func (l *Log) Retry(ctx context.Context, run, id string, who Retried) (string, error) {
	s, err := l.Load(ctx, run)
	if err != nil {
		return "", err
	}
	switch w := steps.Tell(s, steps.Deed{Event: steps.Submitted{RetryOf: run}}); w.Outcome {
	case steps.OutcomeRunOver:
		return "", fmt.Errorf("retry run %s: %w: %s", run, ErrEnded, w.Text)
	case steps.OutcomeRunOpen:
		return "", fmt.Errorf("retry run %s: %w: %s", run, ErrConflict, w.Text)
	}
	sub, err := l.submitted(ctx, run)
	if err != nil {
		return "", err
	}
	again := *sub
	again.By, again.Via, again.Reason = who.By, who.Via, who.Reason
	again.RetryOf, again.KeyRun, again.Carried = run, s.KeyRun(), steps.Carry(s)
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
