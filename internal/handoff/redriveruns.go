package handoff

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"

	"belay/internal/people"
	"belay/internal/steps"
)

// Alike finds runs, and does the same to many of them.
func (b *Redrives) Alike() *Alike {
	return &Alike{Runs: b.desk.Runs, Now: b.desk.Now, Prove: b.Prove}
}

// FindRuns is [Alike.Find].
func (b *Redrives) FindRuns(ctx context.Context, o RunOrder) (Found, error) {
	if err := o.Check(); err != nil {
		return Found{}, err
	}
	return b.Alike().Find(ctx, o)
}

// StartRuns begins to cancel or retry the runs of a list that somebody was shown. It returns once that is stored, and in the audit
// trail with the query and all ids. A run that allowed has an error for is left as it is; nil = see [Alike.Allowed]. Its errors are those of
// [RunOrder.Check], [people.ErrForbidden] and [ErrInvalid].
func (b *Redrives) StartRuns(ctx context.Context, who people.Actor, o RunOrder, list []Chosen, allowed Allowed) (Redrive, error) {
	if err := o.Check(); err != nil {
		return Redrive{}, err
	}
	if err := who.May(takes(who, o.Verb, allowed)); err != nil {
		return Redrive{}, err
	}
	if len(list) == 0 || len(list) > MaxRedrive {
		return Redrive{}, fmt.Errorf("%w: %d runs; from 1 to %d are %s at a time", ErrInvalid, len(list), MaxRedrive, pastVerbs[steps.Verb(o.Verb)])
	}
	if !b.alive() {
		return Redrive{}, errEnding
	}
	run := b.redrivingRuns(who, Redrive{
		ID: uuid.NewString(), Verb: o.Verb, Reason: o.Reason, Where: o.Where, Rate: o.Rate, Of: OfRuns, By: who.Name, Via: who.Via, State: RedriveRunning, Started: b.desk.Now().UTC(),
	})
	run.allowed = allowed
	run.await(distinct(list))
	if err := b.record(ctx, who, run.Redrive); err != nil {
		return Redrive{}, err
	}
	return b.startOne(ctx, run)
}

func (b *Redrives) redrivingRuns(who people.Actor, s Redrive) *redriving {
	return &redriving{of: b, who: who, wake: make(chan struct{}, 1), Redrive: s}
}

func (b *Redrives) record(ctx context.Context, who people.Actor, s Redrive) error {
	if b.Record == nil {
		return nil
	}
	if err := b.Record(ctx, who, s); err != nil {
		return fmt.Errorf("nothing was done, because the audit trail does not take it: %w", err)
	}
	return nil
}

// Resume goes on with runs that were not reached, after their dispatcher ended or somebody stopped it.
func (b *Redrives) Resume(ctx context.Context, who people.Actor, id string, allowed Allowed) (Redrive, error) {
	now, err := b.Get(ctx, id)
	if err != nil {
		return now, err
	}
	if err := now.may(who); err != nil {
		return now, err
	}
	if now.Of != OfRuns {
		return now, fmt.Errorf("%w: escalations that a redrive has not reached are redriven anew: what they ask may have changed", ErrNotAllowed)
	}
	if now.State == RedriveRunning || !b.alive() {
		return now, nil
	}
	_, _, revision, err := b.stored(ctx, id)
	if err != nil {
		return now, err
	}
	now.By, now.Via, now.State, now.StoppedBy, now.Note = who.Name, who.Via, RedriveRunning, "", ""
	now.Ended = time.Time{}
	left := 0
	for i := range now.Items {
		if it := now.Items[i]; it.Result == ItemNotReached || it.Result == ItemWaiting {
			now.Items[i] = RedriveResult{ID: it.ID, Result: ItemWaiting, Was: it.Was}
			left++
		}
	}
	if left == 0 {
		return b.Get(ctx, id)
	}
	if err := b.record(ctx, who, now); err != nil {
		return now, err
	}
	run := b.redrivingRuns(who, now)
	run.revision, run.allowed = revision, allowed
	return b.startOne(ctx, run)
}

// may says why somebody may not stop it, or go on with it: a submitter may where it is about runs, and its own.
func (s Redrive) may(who people.Actor) error {
	if s.Of == OfRuns && s.By == who.Name {
		return who.May(who.ToOwn(s.Verb))
	}
	return who.May(s.Verb)
}

// Lot is which runs an order is about, in words.
func (s Redrive) Lot() string {
	lot := strconv.Itoa(len(s.Items)) + " runs"
	if s.Where != "" {
		lot += ", found by " + s.Where
	}
	return lot
}

// Order is what the audit trail keeps of an order about many runs.
func (s Redrive) Order() json.RawMessage {
	ids := make([]string, len(s.Items))
	for i, it := range s.Items {
		ids[i] = it.ID
	}
	body, err := json.Marshal(map[string]any{"where": s.Where, "runs": ids})
	if err != nil { // strings can be written
		return nil
	}
	return body
}
