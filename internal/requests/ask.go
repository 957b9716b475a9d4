package requests

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"belay/internal/bus"
	"belay/internal/exactjson"
	"belay/internal/people"
	"belay/internal/plan"
	"belay/internal/runlog"
	"belay/internal/steps"
	"belay/internal/steps/view"
	"belay/internal/wire"
)

var errOther = errors.New("the dispatcher is of another version of the program")

// ErrNobody says that no dispatcher is there that could carry it out.
var ErrNobody = errors.New("no dispatcher answers, and this user of NATS may not write logs itself: start `dispatcher serve`, or upgrade it")

// Remote asks a dispatcher; it is what a [runlog.Log] has for a program that may not write logs itself.
type Remote struct {
	Bus   *bus.Bus
	Token string // proven to the dispatcher; empty = nothing is shown
	// Patience is how long it is asked again where no dispatcher is there, as while the only one is replaced; 0 = ten seconds.
	Patience time.Duration
}

const (
	patience = 10 * time.Second
	pause    = 200 * time.Millisecond
)

func (r Remote) ask(ctx context.Context, q Request) (a answer, err error) {
	q.V = wire.Version
	body, err := json.Marshal(q)
	if err != nil {
		return a, err
	}
	back, err := r.insist(ctx, body)
	switch {
	case errors.Is(err, bus.ErrNobody):
		return a, fmt.Errorf("%w (%w)", ErrNobody, err)
	case errors.Is(err, bus.ErrDenied):
		return a, fmt.Errorf("%w: %w", people.ErrForbidden, err)
	case errors.Is(err, bus.ErrTooLarge):
		return a, fmt.Errorf("%w: %w", runlog.ErrTooLarge, err)
	case err != nil:
		return a, fmt.Errorf("%w: the dispatcher has not answered: %w", bus.ErrUncertain, err)
	}
	if err := exactjson.Unmarshal(back, &a); err != nil || a.V != wire.Version {
		return a, errOther
	}
	return a, a.Failure.err()
}

// insist asks once more where nobody was there: then nothing has happened.
func (r Remote) insist(ctx context.Context, body []byte) ([]byte, error) {
	wait := r.Patience
	if wait == 0 {
		wait = patience
	}
	for end := time.Now().Add(wait); ; {
		back, err := r.Bus.RequestAs(ctx, r.Bus.Names().Requests(), body, r.Token)
		if !errors.Is(err, bus.ErrNobody) || time.Now().After(end) {
			return back, err
		}
		if !paused(ctx) {
			return nil, err
		}
	}
}

// paused waits before it is asked once more; false: ctx has ended.
func paused(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(pause):
		return true
	}
}

// Cancel is [runlog.Log.Cancel] by a dispatcher.
func (r Remote) Cancel(ctx context.Context, run string, e steps.Cancelled) (view.Reply, error) {
	a, err := r.ask(ctx, Request{Run: run, Name: e.By, Via: e.Via, Cancel: &Cancel{e.Reason}})
	return a.reply(), err
}

// Steer is [runlog.Log.Steer] by a dispatcher.
func (r Remote) Steer(ctx context.Context, run string, e steps.Steered) (view.Reply, error) {
	a, err := r.ask(ctx, Request{Run: run, Name: e.By, Via: e.Via, Steer: &e})
	return a.reply(), err
}

// Many is [runlog.Log.Many] by a dispatcher. One that ends does none of them, and another is asked.
func (r Remote) Many(ctx context.Context, m runlog.Many) ([]runlog.ManyResult, error) {
	for end := time.Now().Add(patience); ; {
		a, err := r.askSurely(ctx, Request{Name: m.By, Via: m.Via, Many: &m})
		switch {
		case errors.Is(err, runlog.ErrBadID): // it takes it for a request about one run
			return nil, errOther
		case err != nil:
			return nil, err
		case len(a.Many) > len(m.Runs):
			return nil, errOther
		case len(a.Many) > 0:
			return a.Many, nil
		case time.Now().After(end) || !paused(ctx):
			return nil, errors.New("the dispatcher has done nothing; do the same again")
		}
	}
}

func (a answer) reply() view.Reply {
	if a.Came == nil {
		return view.Reply{}
	}
	return view.Reply{Outcome: a.Came.Outcome, Text: a.Came.Text, Ended: a.Came.Ended}
}

// Retry is [runlog.Log.Retry] by a dispatcher.
func (r Remote) Retry(ctx context.Context, run, id string, who runlog.Retried) (string, error) {
	a, err := r.ask(ctx, Request{Run: run, Name: who.By, Via: who.Via, Retry: &Rerun{ID: id, Reason: who.Reason, Trace: who.Trace}})
	return a.Run, err
}

// Replay is [runlog.Log.Replay] by a dispatcher, with the values of its input; nil = those of the run.
func (r Remote) Replay(ctx context.Context, run, id string, o runlog.Replaying, given map[string]json.RawMessage, who runlog.Retried) (string, bool, error) {
	rerun := &Rerun{ID: id, Reason: who.Reason, Trace: who.Trace, From: o.From, Confirmed: o.Confirmed, Input: given, Document: documentOf(o.Plan), ToolsFile: o.ToolsFile}
	a, err := r.ask(ctx, Request{Run: run, Name: who.By, Via: who.Via, Replay: rerun})
	return a.Run, a.Created, err
}

// Migrate is [runlog.Log.Migrate] by a dispatcher.
func (r Remote) Migrate(ctx context.Context, run, id string, o runlog.Migrating, who runlog.Retried) (m steps.Migration, err error) {
	a, err := r.ask(ctx, Request{Run: run, Name: who.By, Via: who.Via, Migrate: &Migrate{id, who.Reason, documentOf(o.Plan), o.ToolsFile, o.Drop}})
	if err == nil && a.Migration == nil {
		err = errOther
	}
	if a.Migration != nil {
		m = *a.Migration
	}
	return m, err
}

func documentOf(d *plan.Document) json.RawMessage {
	if d == nil {
		return nil
	}
	return d.JSON
}
