package belay

import (
	"context"
	"encoding/json"
	"fmt"

	"belay/belaytype"
	"belay/internal/plan"
	"belay/internal/runlog"
)

// Replaying says how a run that has ended is done again.
type Replaying struct {
	From      []string // steps that are done again, and all behind them; the results of the others are taken over
	Confirmed []string // steps of which calls may be made again that had changed something, or may have
	Input     any      // a struct or a map with other values than the run had
	Plan      *Plan    // another version of its plan; nil = the plan that it had
	ID        string   // of the new run; default `<run>-p<n>`
	By        string   // the person or program that wants it
	Reason    string   // in their words
}

// Replay does the run, which has ended, again from some steps on, as a new run with idempotency keys of its own. What it takes over
// has to be what it would do, and nothing of it undoes that. An [ErrNoReplay] says why it is not done: steps that differ, or calls that
// would be made again and have yet to be confirmed.
func (r *Run) Replay(ctx context.Context, o Replaying) (*Run, error) {
	id, _, err := r.client.runs.Replay(ctx, r.id, o.ID, o.internal(), runlog.Retried{By: o.By, Via: "go", Reason: o.Reason})
	if err != nil {
		return nil, fmt.Errorf("belay: %w", public(err))
	}
	return r.client.Run(id), nil
}

// PlanReplay says what [Run.Replay] would make of each step, and changes nothing: why it is not possible (Refused), and which calls
// would be made again whose steps have yet to be named in Confirmed (Unconfirmed).
func (r *Run) PlanReplay(ctx context.Context, o Replaying) (*belaytype.Replay, error) {
	p, err := r.client.runs.PlanReplay(ctx, r.id, o.internal())
	if err != nil {
		return nil, fmt.Errorf("belay: %w", public(err))
	}
	shown, err := as[belaytype.Replay](p)
	return &shown, err
}

func (o Replaying) internal() runlog.Replaying {
	how := runlog.Replaying{From: o.From, Confirmed: o.Confirmed}
	if o.Plan != nil {
		how.Plan = o.Plan.doc
	}
	if o.Input != nil {
		how.Input = func(*plan.Document) (map[string]json.RawMessage, error) { return inputOf(o.Input) }
	}
	return how
}
