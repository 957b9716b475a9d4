package belay

import (
	"context"
	"encoding/json"
	"fmt"

	"belay/internal/steps"
)

// Document is everything about a run: its state, its steps with all attempts, its output. It is what
// `dispatcher runs show -o json` prints.
type Document = steps.Document

// State is where a run stands.
type State = steps.RunState

// The states of a run. All but the first two are ends.
const (
	Running   = steps.RunRunning   // a machine can move it on
	Waiting   = steps.RunWaiting   // only a person can
	Succeeded = steps.RunSucceeded // every step done as meant
	Degraded  = steps.RunDegraded  // every step done, some by a fallback
	Failed    = steps.RunFailed    // ended by the plan's own policy
	Aborted   = steps.RunAborted   // ended by a decision on an escalation
	Cancelled = steps.RunCancelled // ended by a cancel
)

// Run is a run that was submitted.
type Run struct {
	client *Client
	id     string
	err    error // of its submit
}

// Run is a handle on a run that was submitted before, here or elsewhere.
func (c *Client) Run(id string) *Run { return &Run{client: c, id: id} }

// ID is the run's id.
func (r *Run) ID() string { return r.id }

// Err is why the run could not be submitted; nil if it was.
func (r *Run) Err() error { return r.err }

// Ended is the error of a run that ended without doing what it was for.
type Ended struct {
	Run    string
	State  State // Failed, Aborted or Cancelled
	Reason string
}

func (e *Ended) Error() string { return fmt.Sprintf("run %s %s: %s", e.Run, e.State, e.Reason) }

// Wait follows the run to its end, also while people decide. A run that failed, was aborted or cancelled is an [*Ended];
// one that is degraded is none: look at the document's Degraded. When ctx ends first, the run goes on and can be waited
// for again.
func (r *Run) Wait(ctx context.Context) (Document, error) { return r.follow(ctx, State.Ended) }

// Rest is Wait that also comes back while only a person can move the run on: the document's state is [Waiting] then, and
// its Escalations say what is asked.
func (r *Run) Rest(ctx context.Context) (Document, error) {
	return r.follow(ctx, func(s State) bool { return s.Ended() || s == Waiting })
}

func (r *Run) follow(ctx context.Context, enough func(State) bool) (Document, error) {
	if r.err != nil {
		return Document{}, r.err
	}
	// A waiting run may be about to go on, because a decision is in the log: only a state at its head counts.
	head, err := r.client.engine.Runs.Load(ctx, r.id)
	if err != nil {
		return Document{}, fmt.Errorf("belay: wait for run %s: %w", r.id, err)
	}
	atHead := head.Seq
	var doc Document
	err = r.client.engine.Runs.Follow(ctx, r.id, func(s *steps.State, rec steps.Record, _ []int) bool {
		// A closed run is at its end, also where the log goes on: a worker that was told to stop says so after that.
		if !s.Closed() && (rec.Seq < atHead || !enough(s.Status())) {
			return true
		}
		doc = steps.Show(s)
		return false
	})
	if err != nil {
		return Document{}, fmt.Errorf("belay: wait for run %s: %w", r.id, err)
	}
	return doc, ended(doc)
}

func ended(doc Document) error {
	switch doc.State {
	case Failed, Aborted, Cancelled:
		return &Ended{doc.ID, doc.State, doc.Reason}
	}
	return nil
}

// Show is the run as it is now.
func (r *Run) Show(ctx context.Context) (Document, error) {
	if r.err != nil {
		return Document{}, r.err
	}
	s, err := r.client.engine.Runs.Load(ctx, r.id)
	if err != nil {
		return Document{}, fmt.Errorf("belay: show run %s: %w", r.id, err)
	}
	return steps.Show(s), nil
}

// Cancel asks the run to stop: what executes is stopped, what was done is undone where the plan says how. It returns
// when that is stored; Wait waits for the end.
func (r *Run) Cancel(ctx context.Context, by, reason string) error {
	if r.err != nil {
		return r.err
	}
	if _, err := r.client.engine.Runs.Cancel(ctx, r.id, steps.Cancelled{By: by, Via: "go", Reason: reason}); err != nil {
		return fmt.Errorf("belay: %w", err)
	}
	return nil
}

// Output decodes the output of a run that has ended.
func Output[T any](doc Document) (out T, err error) {
	if err := json.Unmarshal(doc.Output, &out); err != nil {
		return out, fmt.Errorf("belay: the output of run %s does not fit %T: %w", doc.ID, out, err)
	}
	return out, nil
}
