package runlog

import (
	"context"
	"encoding/json"
	"fmt"

	"belay/internal/plan"
	"belay/internal/steps"
	"belay/internal/steps/view"
	"belay/internal/wire"
)

// Elsewhere does in another process what the methods of [Log] with these names do.
type Elsewhere interface {
	Submit(ctx context.Context, all []Submission) []Stored
	Cancel(ctx context.Context, run string, e steps.Cancelled) (view.Reply, error)
	Steer(ctx context.Context, run string, e steps.Steered) (view.Reply, error)
	Retry(ctx context.Context, run, id string, who Retried) (string, error)
	Migrate(ctx context.Context, run, id string, o Migrating, who Retried) (steps.Migration, error)
	Replay(ctx context.Context, run, id string, o Replaying, given map[string]json.RawMessage, who Retried) (started string, created bool, err error)
}

// elsewhere is who writes into the log of a run for this process; nil = it does so itself. The server has said what it lets this
// user do: where that is everything, as without permissions, nobody is asked, and no dispatcher need be there.
func (l *Log) elsewhere(run string) Elsewhere {
	if l.Elsewhere == nil || l.bus.MayPublish(l.names.Log(wire.Partition(run, l.bus.Partitions()), run, wire.KindPlan)) {
		return nil
	}
	return l.Elsewhere
}

// submitElsewhere has submissions stored that this process may not store. What is wrong with one in itself is not asked about.
func (l *Log) submitElsewhere(ctx context.Context, all []Submission, became []Stored) {
	var ready []Submission
	var at []int
	for i, s := range all {
		if _, became[i].Err = l.submitting(s.Run, s.Submitted); became[i].Err == nil {
			ready, at = append(ready, s), append(at, i)
		}
	}
	for n, s := range l.Elsewhere.Submit(ctx, ready) {
		became[at[n]] = s
	}
}

// given are the values that a replay has in place of those of the run; nil = none.
func (l *Log) given(ctx context.Context, run string, o Replaying) (map[string]json.RawMessage, error) {
	if o.Input == nil {
		return nil, nil
	}
	doc := o.Plan
	if doc == nil {
		sub, err := l.Submitted(ctx, run)
		if err != nil {
			return nil, err
		}
		if sub == nil {
			return nil, fmt.Errorf("%w: %s", ErrNoRun, run)
		}
		if doc, err = plan.Reopen(sub.Document); err != nil {
			return nil, err
		}
	}
	given, err := o.Input(doc)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadInput, err)
	}
	return given, nil
}
