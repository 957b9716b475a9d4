package runlog

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"belay/internal/bus"
	"belay/internal/steps"
	"belay/internal/steps/view"
	"belay/internal/wire"
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

// retrying checks that a run can be retried, and gives what submits the new one under an id.
func (l *Log) retrying(ctx context.Context, run string, who Retried) (submit func(id string) (created bool, err error), err error) {
	s, err := l.Load(ctx, run)
	if err != nil {
		return nil, err
	}
	switch w := view.Tell(s, view.Act{Event: steps.Submitted{RetryOf: run}}); w.Outcome {
	case view.OutcomeRunOver:
		return nil, fmt.Errorf("retry run %s: %w: %s", run, ErrEnded, w.Text)
	case view.OutcomeRunOpen:
		return nil, fmt.Errorf("retry run %s: %w: %s", run, ErrConflict, w.Text)
	}
	sub, err := l.submitted(ctx, run)
	if err != nil {
		return nil, err
	}
	next := *sub
	next.By, next.Via, next.Reason, next.Request, next.Token = who.By, who.Via, who.Reason, who.Request, who.Token
	next.Trace = cmp.Or(who.Trace, next.Trace)
	next.RetryOf, next.KeyRun, next.Carried, next.Proof, next.Replay = run, s.KeyRun(), steps.Carry(s), nil, nil
	submit = func(id string) (bool, error) {
		next.Keys = steps.RetryKeys(s, id)
		if who.Prove != nil {
			if err := who.Prove(id, &next); err != nil {
				return false, fmt.Errorf("retry run %s: %w", run, err)
			}
		}
		return l.Submit(ctx, id, next)
	}
	return submit, nil
}

// Retry continues an ended run: it submits a new run with the same plan, input, labels and idempotency keys, but for
// those of what was undone, which takes over the steps that were done. If id is empty, the new run is `<run>-r<n>`, with the first free n.
func (l *Log) Retry(ctx context.Context, run, id string, who Retried) (string, error) {
	if other := l.elsewhere(run); other != nil {
		return other.Retry(ctx, run, id, who)
	}
	submit, err := l.retrying(ctx, run, who)
	if err != nil {
		return "", err
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

// RetryOnce is Retry for somebody who may ask twice: a run that was retried before, under the id that Retry gives, is not retried
// once more, and created is false.
func (l *Log) RetryOnce(ctx context.Context, run string, who Retried) (id string, created bool, err error) {
	id = firstRetry(run)
	before, err := l.RetriedOnce(ctx, run)
	if err != nil || before {
		return id, false, err
	}
	if other := l.elsewhere(run); other != nil {
		_, err := other.Retry(ctx, run, id, who)
		if errors.Is(err, ErrConflict) { // it is open, or somebody else has retried it meanwhile
			if now, lost := l.RetriedOnce(ctx, run); now && lost == nil {
				return id, false, nil
			}
		}
		return id, err == nil, err
	}
	submit, err := l.retrying(ctx, run, who)
	if err != nil {
		return id, false, err
	}
	created, err = submit(id)
	if errors.Is(err, ErrConflict) { // somebody else has retried it meanwhile
		return id, false, nil
	}
	return id, created, err
}

// RetriedOnce reports whether a run was retried under the id that Retry gives.
func (l *Log) RetriedOnce(ctx context.Context, run string) (bool, error) {
	s, err := l.Submitted(ctx, firstRetry(run))
	if errors.Is(err, ErrFrozen) || errors.Is(err, ErrBadID) {
		return true, nil
	}
	return s != nil, err
}

// inOneGo is how many runs are looked at with one read.
const inOneGo = 256

// RetriedBefore are those of these runs that were retried under the id that Retry gives, as [Log.RetriedOnce] reports it of one.
func (l *Log) RetriedBefore(ctx context.Context, runs []string) (map[string]bool, error) {
	before, subjects, of := map[string]bool{}, make([][]string, l.bus.Partitions()), map[string]string{}
	for _, run := range runs {
		id := firstRetry(run)
		if !wire.ValidName(id) {
			before[run] = true
			continue
		}
		p := wire.Partition(id, l.bus.Partitions())
		subject := l.names.Log(p, id, wire.KindPlan)
		subjects[p], of[subject] = append(subjects[p], subject), run
	}
	for p, all := range subjects {
		for some := range slices.Chunk(all, inOneGo) {
			found, err := l.bus.LastOf(ctx, l.names.RunsStream(p), some)
			if err != nil {
				return nil, fmt.Errorf("read which runs were retried before: %w", err)
			}
			for _, e := range found {
				run := of[e.Subject]
				if before[run], err = l.isSubmitted(ctx, run, e); err != nil {
					return nil, err
				}
			}
		}
	}
	return before, nil
}

// isSubmitted reports whether there is a retry of a run, of which something was found.
func (l *Log) isSubmitted(ctx context.Context, run string, e bus.Entry) (bool, error) {
	if _, event, err := Parse(l.names, e); err == nil {
		if _, is := event.(steps.Submitted); is {
			return true, nil
		}
	}
	return l.RetriedOnce(ctx, run) // it was cancelled since, or is something else
}

func firstRetry(run string) string { return run + "-r1" }
