package belay

import (
	"context"
	"fmt"

	"belay/belaytype"
	"belay/internal/runlog"
)

// Migrating says how a run that has not ended goes on under another plan.
type Migrating struct {
	Plan   *Plan    // the other plan
	Drop   []string // steps that are done, and that the plan may do without
	ID     string   // of the run that it goes on as; default `<run>-m<n>`
	By     string   // the person or program that wants it
	Reason string   // in their words
}

// Migrate lets the run, which has not ended, go on under another plan, as another run that takes over what is done. An [ErrNoMigration] says
// what is in the way of that, and nothing is changed then; an [ErrConflict], that the run has moved on meanwhile. It returns once a
// dispatcher has submitted the other run. Where ctx ends before that, the run is migrated all the same, and [Run.Wait] waits for the other
// one.
func (r *Run) Migrate(ctx context.Context, o Migrating) (*Run, error) {
	if _, err := r.client.runs.Migrate(ctx, r.id, o.ID, o.internal(), runlog.Retried{By: o.By, Via: "go", Reason: o.Reason}); err != nil {
		return nil, fmt.Errorf("belay: %w", public(err))
	}
	d, err := r.client.watch.Ended(ctx, r.id, runlog.Known{Exists: true})
	if err != nil {
		return nil, fmt.Errorf("belay: run %s is migrated; wait for the run that it goes on as: %w", r.id, public(err))
	}
	return r.client.Run(d.GoesOnAs), nil
}

// PlanMigration says of each step whether [Run.Migrate] would take it over, and why it is not possible (Refused). It changes nothing.
func (r *Run) PlanMigration(ctx context.Context, o Migrating) (*belaytype.Migration, error) {
	m, err := r.client.runs.PlanMigration(ctx, r.id, o.ID, o.internal())
	if err != nil {
		return nil, fmt.Errorf("belay: %w", public(err))
	}
	shown, err := as[belaytype.Migration](m)
	return &shown, err
}

func (o Migrating) internal() runlog.Migrating {
	return runlog.Migrating{Plan: o.Plan.doc, Drop: o.Drop}
}
