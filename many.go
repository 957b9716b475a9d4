package belay

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/google/uuid"

	"belay/belaytype"
	"belay/internal/audit"
	"belay/internal/handoff"
	"belay/internal/people"
)

// Many says to which runs the same is done.
type Many struct {
	Where  string  // a search, as in `dispatcher runs ls --where`: "refund fault:timeout since:7d"
	Reason string  // why, for the logs of the runs and the audit trail
	By     string  // the person or program that wants it; default the program's name
	Rate   float64 // runs in a second, at most; default 10
	DryRun bool    // only say which runs they are
}

// CancelAll cancels the open runs that a search finds, one after the other while the loop goes on, and says what came of each. A run whose
// state has changed since it was found is left as it is. What was cancelled before is not cancelled again, so the same once more goes
// on where a loop has ended.
//
// It takes at most 1000 runs at a time; where there are more, the last element is an [ErrMore]. Other errors end it: [ErrInvalid] for
// the search, [ErrForbidden], [ErrNoDispatcher] where nobody knows all runs, [ErrNotNow] where a person has stopped it.
func (c *Client) CancelAll(ctx context.Context, b Many) iter.Seq2[belaytype.ManyResult, error] {
	return c.alike(ctx, people.Cancel, b)
}

// RetryAll goes on from the runs that a search finds and that have failed, were aborted or cancelled, unless the search names a state:
// each as a new run, without the steps that are done. What was retried before is not retried again. The rest is as for
// [Client.CancelAll].
func (c *Client) RetryAll(ctx context.Context, b Many) iter.Seq2[belaytype.ManyResult, error] {
	return c.alike(ctx, people.Retry, b)
}

func (c *Client) alike(ctx context.Context, verb people.Action, b Many) iter.Seq2[belaytype.ManyResult, error] {
	return func(yield func(belaytype.ManyResult, error) bool) {
		ctx, stop := context.WithCancel(ctx)
		defer stop()
		going := true
		err := c.doAlike(ctx, verb, b, func(r belaytype.ManyResult) {
			if going = going && yield(r, nil); !going {
				stop()
			}
		})
		if err != nil && going {
			yield(belaytype.ManyResult{}, fmt.Errorf("belay: %s all: %w", verb, public(err)))
		}
	}
}

func (c *Client) doAlike(ctx context.Context, verb people.Action, b Many, tell func(belaytype.ManyResult)) error {
	m := &handoff.Alike{Runs: c.runs, Now: c.bus.Now}
	o := handoff.RunOrder{Verb: verb, Reason: b.Reason, Where: b.Where, Rate: b.Rate}
	if err := o.Check(); err != nil {
		return err
	}
	found, err := m.Find(ctx, o)
	if err == nil && found.Short != "" {
		err = fmt.Errorf("%w: %s", ErrNoDispatcher, found.Short)
	}
	if err != nil {
		return err
	}
	if err = c.doFound(ctx, m, o, b, found, tell); err == nil && found.More {
		err = fmt.Errorf("%w: about %d were found and %d were taken", ErrMore, found.Total, len(found.Runs))
	}
	return err
}

func (c *Client) doFound(ctx context.Context, m *handoff.Alike, o handoff.RunOrder, b Many, found handoff.Found, tell func(belaytype.ManyResult)) error {
	list := make([]handoff.RedriveResult, len(found.Runs))
	for i, s := range found.Runs {
		list[i] = handoff.RedriveResult{ID: s.ID, Result: handoff.ItemWaiting, Was: string(s.State)}
	}
	if b.DryRun {
		for _, it := range list {
			tell(belaytype.ManyResult{Run: it.ID, Was: belaytype.RunState(it.Was), Code: "dry_run"})
		}
		return nil
	}
	if len(list) == 0 {
		return nil
	}
	who := people.Trusted(whoever(b.By), "go")
	m.Record = func(ctx context.Context, order handoff.Redrive) error {
		err := audit.New(c.bus).Append(ctx, audit.Record{
			ID: "act/" + uuid.NewString(), At: c.bus.Now(), Who: who.Name, Via: who.Via, Action: string(o.Verb) + " runs", On: order.Lot(), Reason: o.Reason, After: order.Order(),
		})
		if err != nil {
			return fmt.Errorf("nothing was done, because the audit trail does not take it: %w", err)
		}
		return nil
	}
	err := m.Do(ctx, who, o, list, func(r handoff.RedriveResult) {
		if r.Result != handoff.ItemNotReached {
			done := r.Result != handoff.ItemRefused && r.Result != handoff.ItemUncertain
			tell(belaytype.ManyResult{Run: r.ID, Was: belaytype.RunState(r.Was), Done: done, Code: r.Code, Detail: r.Detail})
		}
	})
	if errors.Is(err, handoff.ErrChanged) {
		return nil // each of them was told
	}
	return err
}
