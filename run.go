package belay

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"

	"belay/belaytype"
	"belay/internal/gates"
	"belay/internal/runlog"
	"belay/internal/steps"
	"belay/internal/steps/view"
)

// Run is a handle on a run. All waits of a client share one subscription, however many there are.
type Run struct {
	client *Client
	id     string
	known  runlog.Known
}

// Run returns a handle on a run that was submitted before, here or elsewhere. It does not check that the run exists: the
// methods of the handle do.
func (c *Client) Run(id string) *Run { return &Run{client: c, id: id} }

// ID is the run's id.
func (r *Run) ID() string { return r.id }

// Ended is the error of a run that failed, was aborted or was cancelled.
type Ended struct {
	Run    string             // the run's id
	State  belaytype.RunState // Failed, Aborted or Cancelled
	Reason string             // why: the fault that ended it, or the words of whoever did
}

// Error says which run ended how, and why.
func (e *Ended) Error() string { return fmt.Sprintf("run %s %s: %s", e.Run, e.State, e.Reason) }

// Wait waits for the end of the run, however long people take to decide. For a run that failed, was aborted or was
// cancelled it returns the document and an [*Ended]. If the run goes on as another one, it waits for that, and its document is returned. A degraded run is not an error: see the document's Degraded. When
// ctx ends first, the run goes on, and you can wait for it again.
func (r *Run) Wait(ctx context.Context) (*belaytype.Document, error) {
	d, err := r.client.watch.Ended(ctx, r.id, r.known)
	for err == nil && d.GoesOnAs != "" {
		d, err = r.client.watch.Ended(ctx, d.GoesOnAs, runlog.Known{Exists: true})
	}
	if err != nil {
		return nil, fmt.Errorf("belay: wait for run %s: %w", r.id, public(err))
	}
	return shown(d)
}

// Rest is like Wait, but also returns when only a person can move the run on, which is not so behind a gate that was opened: then the document's state is Waiting, and
// its Escalations are the questions.
func (r *Run) Rest(ctx context.Context) (*belaytype.Document, error) {
	rests, err := r.rests(ctx, r.id)
	for err == nil && rests.GoesOnAs() != "" {
		rests, err = r.rests(ctx, rests.GoesOnAs())
	}
	if err != nil {
		return nil, fmt.Errorf("belay: wait for run %s: %w", r.id, public(err))
	}
	r.client.open.AwaitOpen(ctx, rests)
	return shown(view.Show(rests))
}

// rests is the run with this id once only a person can move it on, or it has ended.
func (r *Run) rests(ctx context.Context, id string) (rests *steps.State, err error) {
	err = r.client.watch.Follow(ctx, id, nil, func(s *steps.State) bool {
		if s.Closed() || s.Status() == steps.RunWaiting && !gates.Of(r.client.bus).Released(ctx, s) {
			rests = s
		}
		return rests == nil
	})
	return rests, err
}

// Events iterates over the entries of the run's log: from the first one, then live, until the run has ended. An error, of
// ctx or of a run that cannot be read, is the last element. A slow loop delays nobody else.
//
//	for e, err := range run.Events(ctx) {
func (r *Run) Events(ctx context.Context) iter.Seq2[belaytype.Event, error] {
	return func(yield func(belaytype.Event, error) bool) {
		going := true
		err := r.client.watch.Follow(ctx, r.id, func(s *steps.State, rec steps.Record) bool {
			going = yield(event(s, rec), nil)
			return going
		}, nil)
		if err != nil && going {
			yield(belaytype.Event{}, fmt.Errorf("belay: events of run %s: %w", r.id, public(err)))
		}
	}
}

// shown returns the document of a run, and an [*Ended] if it failed, was aborted or was cancelled.
func shown(v view.Document) (*belaytype.Document, error) {
	d := document(v)
	switch d.State {
	case belaytype.Failed, belaytype.Aborted, belaytype.Cancelled:
		return &d, &Ended{d.ID, d.State, d.Reason}
	}
	return &d, nil
}

// Show returns the run as it is now.
func (r *Run) Show(ctx context.Context) (*belaytype.Document, error) {
	s, err := r.client.runs.Load(ctx, r.id)
	if err != nil {
		return nil, fmt.Errorf("belay: show run %s: %w", r.id, public(err))
	}
	d := document(view.Show(s))
	return &d, nil
}

// Cancel asks the run to stop: attempts that are executing are stopped, and steps that are done are undone where plan or
// tools say how. It returns when the request is stored; Wait waits for the end. It returns [ErrEnded] if the run is over.
func (r *Run) Cancel(ctx context.Context, by, reason string) error {
	if _, err := r.client.runs.Cancel(ctx, r.id, steps.Cancelled{By: by, Via: "go", Reason: reason}); err != nil {
		return fmt.Errorf("belay: %w", public(err))
	}
	return nil
}

// Steer writes a message to an agent of the run that is at work, as a person or program by this name. Its model reads it
// before it is asked the next time; an answer that it gives meanwhile does not end the step. Step may be empty where one
// agent is at work. It returns when the message is stored: [ErrEnded] if the run is over, [ErrNoAgent] where no agent reads
// it.
func (r *Run) Steer(ctx context.Context, by, step, message string) error {
	if _, err := r.client.runs.Steer(ctx, r.id, steps.Steered{Step: step, Text: message, By: by, Via: "go"}); err != nil {
		return fmt.Errorf("belay: %w", public(err))
	}
	return nil
}

// TakeBack takes back turn number `turn` of an agent of the run that is at work, and all turns after it, as a person or program
// by this name: its model hears of them no more than what was done in them, and the message, which may be empty. Calls that
// were done stay done and are not made again: where the model proposes one once more, it gets the result that it had. Those
// that nobody has begun are not made. The rest is as for [Run.Steer]; [ErrNoTurn] says that this turn cannot be taken back.
func (r *Run) TakeBack(ctx context.Context, by, step string, turn int, message string) error {
	if turn < 1 {
		return fmt.Errorf("belay: %w: turns are numbered from 1", ErrInvalid)
	}
	if _, err := r.client.runs.Steer(ctx, r.id, steps.Steered{Step: step, Text: message, TakeBack: turn, By: by, Via: "go"}); err != nil {
		return fmt.Errorf("belay: %w", public(err))
	}
	return nil
}

// Output decodes the output of a run that has ended.
func Output[T any](d *belaytype.Document) (out T, err error) {
	if err := json.Unmarshal(d.Output, &out); err != nil {
		return out, fmt.Errorf("belay: the output of run %s does not fit %T: %w", d.ID, out, err)
	}
	return out, nil
}
