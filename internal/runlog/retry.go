package runlog

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"

	"belay/internal/steps"
	"belay/internal/steps/view"
)

// Retried says who retries a run, through which channel, and why.
type Retried struct {
	By     string // the name of the actor
	Via    string // cli, console, api
	Reason string // in their words; may be empty

	Request, Token, Trace string // see [steps.Submitted]

	// Prove signs that Token was shown for the new run; nil = nobody has checked who By is.
	Prove func(run string, e *steps.Submitted) error
}

// Retry continues an ended run: it submits a new run with the same plan, input, labels and idempotency keys, but for
// those of what was undone, which takes over the steps that were done. If id is empty, the new run is `<run>-r<n>`, with the first free n.
func (l *Log) Retry(ctx context.Context, run, id string, who Retried) (string, error) {
	s, err := l.Load(ctx, run)
	if err != nil {
		return "", err
	}
	switch w := view.Tell(s, view.Act{Event: steps.Submitted{RetryOf: run}}); w.Outcome {
	case view.OutcomeRunOver:
		return "", fmt.Errorf("retry run %s: %w: %s", run, ErrEnded, w.Text)
	case view.OutcomeRunOpen:
		return "", fmt.Errorf("retry run %s: %w: %s", run, ErrConflict, w.Text)
	}
	sub, err := l.submitted(ctx, run)
	if err != nil {
		return "", err
	}
	next := *sub
	next.By, next.Via, next.Reason, next.Request, next.Token = who.By, who.Via, who.Reason, who.Request, who.Token
	next.Trace = cmp.Or(who.Trace, next.Trace)
	next.RetryOf, next.KeyRun, next.Carried, next.Proof, next.Replay = run, s.KeyRun(), steps.Carry(s), nil, nil
	submit := func(id string) (bool, error) {
		next.Keys = steps.RetryKeys(s, id)
		if who.Prove != nil {
			if err := who.Prove(id, &next); err != nil {
				return false, fmt.Errorf("retry run %s: %w", run, err)
			}
		}
		return l.Submit(ctx, id, next)
	}
	if id != "" {
		_, err := submit(id)
		return id, err
	}
	for n := 1; ; n++ {
		id = run + "-r" + strconv.Itoa(n)
		created, err := submit(id)
		if errors.Is(err, ErrConflict) || err == nil && !created {
			continue // an earlier retry has this id
		}
		return id, err
	}
}
