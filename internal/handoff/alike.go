package handoff

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"belay/internal/bus"
	"belay/internal/people"
	"belay/internal/runlog"
	"belay/internal/steps"
	"belay/internal/steps/view"
)

// OfRuns says of a redrive that its items are runs, which are cancelled or retried, and not escalations.
const OfRuns = "runs"

// RunOrder is what somebody wants done to many runs alike.
type RunOrder struct {
	Verb   people.Action // [people.Cancel] or [people.Retry]
	Reason string        // in the words of the actor; may be empty
	Where  string        // the query that found the runs; empty = somebody picked them
	Rate   float64       // runs in a second, at most; 0 = 10
	Owner  string        // only runs that were started with a token of this person are found; empty = any
}

// Check refuses what is not done to many runs alike.
func (o RunOrder) Check() error {
	switch {
	case o.Verb != people.Cancel && o.Verb != people.Retry:
		return fmt.Errorf("%w: %q of runs; possible are cancel and retry", ErrNotAllowed, o.Verb)
	case o.Rate < 0 || o.Rate > 1000:
		return fmt.Errorf("%w: a rate of %g; give more than 0 and at most 1000 runs in a second", ErrInvalid, o.Rate)
	}
	return nil
}

func (o RunOrder) interval() time.Duration {
	return time.Duration(float64(time.Second) / cmp.Or(o.Rate, 10))
}

// Alike does the same to many runs, one after the other. What is done stays done; doing it once more changes nothing of that.
type Alike struct {
	Runs  *runlog.Log
	Now   func() time.Time
	Prove func(run string, e *steps.Submitted) error // see [runlog.Retried]
	// Record puts the order into the audit trail before it is begun, where this process carries it out; nil = that is done.
	Record func(ctx context.Context, s Redrive) error
	// Allowed says of a run why it is left as it is; nil = whoever may do it to one may do it to all, which no submitter may.
	Allowed Allowed
}

// Found are the runs that an order is about.
type Found struct {
	Runs   []runlog.Summary // the newest first, at most [MaxRedrive]
	Total  int              // how many there are, or may be where More is true
	More   bool             // not all are in Runs
	Before int              // of a retry: how many match and were retried before
	Short  string           // why some may be missing, as a sentence
}

// affected are the states of the runs that a verb can do something to.
var affected = map[people.Action][]steps.RunState{
	people.Cancel: {steps.RunWaiting, steps.RunRunning, steps.RunScheduled},
	people.Retry:  {steps.RunFailed, steps.RunAborted, steps.RunCancelled},
}

// Find finds the runs that a query is about: of those to cancel the open ones, of those to retry the ones that have not ended as
// meant and were not retried before, unless it names a state. A query that says nothing is an [ErrInvalid].
func (m *Alike) Find(ctx context.Context, o RunOrder) (f Found, err error) {
	q, err := runlog.ParseQuery(o.Where, m.Now())
	if err != nil {
		return f, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if strings.TrimSpace(o.Where) == "" {
		return f, fmt.Errorf("%w: say which runs: state:failed, or since:7d if all of that time are meant", ErrInvalid)
	}
	q.Owner = o.Owner
	states := affected[o.Verb]
	if q.State != "" {
		states = []steps.RunState{q.State}
	}
	for _, q.State = range states {
		if err := m.find(ctx, o, q, &f); err != nil {
			return f, err
		}
	}
	if !f.More {
		f.Total = len(f.Runs)
	}
	return f, nil
}

func (m *Alike) find(ctx context.Context, o RunOrder, q runlog.Filter, f *Found) error {
	for {
		if q.Limit = MaxRedrive - len(f.Runs); q.Limit == 0 {
			f.More = true
			return nil
		}
		page, err := m.Runs.List(ctx, q)
		if err != nil {
			return err
		}
		if q.After == "" {
			f.Total += page.Total
		}
		before, err := m.retriedBefore(ctx, o, page.Items)
		if err != nil {
			return err
		}
		for _, s := range page.Items {
			if before[s.ID] {
				f.Before, f.Total = f.Before+1, f.Total-1
				continue
			}
			f.Runs = append(f.Runs, s)
		}
		f.Short = cmp.Or(f.Short, page.Short)
		if q.After = page.Next; q.After == "" {
			return nil
		}
	}
}

// retriedBefore are those of some runs that are not retried once more.
func (m *Alike) retriedBefore(ctx context.Context, o RunOrder, list []runlog.Summary) (map[string]bool, error) {
	if o.Verb != people.Retry {
		return nil, nil
	}
	ids := make([]string, len(list))
	for i := range list {
		ids[i] = list[i].ID
	}
	return m.Runs.RetriedBefore(ctx, ids)
}

// Chosen are the runs as an order takes them.
func (f Found) Chosen() []Chosen {
	list := make([]Chosen, len(f.Runs))
	for i, s := range f.Runs {
		list[i] = Chosen{ID: s.ID, State: s.State}
	}
	return list
}

// Do does to the items of a list what an order wants, at its rate, and tells what became of each. A run that is in another state
// than it was when it was chosen is left as it is. The error is [people.ErrForbidden], ctx's, any other that ended it early, or an
// [ErrChanged] where runs were left as they were. Where this process may not write logs, a dispatcher does it.
func (m *Alike) Do(ctx context.Context, who people.Actor, o RunOrder, list []RedriveResult, tell func(RedriveResult)) error {
	if len(list) > 0 && !m.Runs.Writes(list[0].ID) {
		return m.ask(ctx, who, o, list, tell)
	}
	if m.Record != nil {
		if err := m.Record(ctx, Redrive{Verb: o.Verb, Reason: o.Reason, Where: o.Where, Items: list}); err != nil {
			return err
		}
	}
	t := telling{tell: tell}
	for i, it := range list {
		err := pause(ctx, i > 0, o.interval())
		if err == nil {
			err = who.May(takes(who, o.Verb, m.Allowed))
		}
		if err == nil {
			it, err = m.one(context.WithoutCancel(ctx), who, o, it)
		}
		if err != nil {
			return t.ends(err, list[i:], 1)
		}
		t.one(it)
	}
	return t.err()
}

// Allowed says of a run why it is left as it is.
type Allowed = func(ctx context.Context, run string) error

// takes is what it takes to do something to many runs: less where of each it is asked whether it is one's own.
func takes(who people.Actor, verb people.Action, allowed Allowed) people.Action {
	if allowed == nil {
		return verb
	}
	return who.ToOwn(verb)
}

// telling tells what became of runs, and counts those that were left as they are.
type telling struct {
	tell func(RedriveResult)
	left int
}

func (t *telling) one(it RedriveResult) {
	if it.Result == ItemRefused && it.Code != codeRepeated {
		t.left++
	}
	t.tell(it)
}

// ends tells of those that are left when an error ends the whole; it may have come of what was begun for the first of them.
func (t *telling) ends(err error, rest []RedriveResult, begun int) error {
	for i, it := range rest {
		it.Result = ItemNotReached
		if i < begun && errors.Is(err, bus.ErrUncertain) {
			it.Result, it.Code, it.Detail = ItemUncertain, "uncertain", "no answer came; the same once more finds out"
		}
		t.tell(it)
	}
	return err
}

func (t *telling) err() error {
	if t.left > 0 {
		return fmt.Errorf("%w: %d runs were left as they are", ErrChanged, t.left)
	}
	return nil
}

// pause keeps a rate.
func pause(ctx context.Context, wait bool, interval time.Duration) error {
	if !wait || interval <= 0 || ctx.Err() != nil {
		return context.Cause(ctx)
	}
	t := time.NewTimer(interval)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// one does it to one run; an error ends the whole.
func (m *Alike) one(ctx context.Context, who people.Actor, o RunOrder, it RedriveResult) (RedriveResult, error) {
	refuse := func(code, why string) (RedriveResult, error) {
		it.Result, it.Code, it.Detail = ItemRefused, code, why
		return it, nil
	}
	if m.Allowed != nil {
		switch err := m.Allowed(ctx, it.ID); {
		case errors.Is(err, runlog.ErrNoRun):
			return refuse("forbidden", plain(err, runlog.ErrNoRun.Error()))
		case errors.Is(err, people.ErrForbidden):
			return refuse("forbidden", err.Error())
		case err != nil:
			return it, err
		}
	}
	s, err := m.Runs.Load(ctx, it.ID)
	switch {
	case errors.Is(err, runlog.ErrNoRun):
		return refuse("no_run", "it is not kept any more")
	case err != nil && !errors.Is(err, runlog.ErrFrozen):
		return it, err
	}
	is := steps.RunWaiting
	if err == nil {
		is = s.Status()
	}
	switch {
	case o.Verb == people.Cancel && (is == steps.RunCancelled || err == nil && s.Ending() == steps.RunCancelled):
		return refuse(codeRepeated, "it was cancelled before")
	case it.Was != "" && string(is) != it.Was:
		return refuse("changed", "it was "+it.Was+" and is "+string(is)+" now")
	case o.Verb == people.Cancel:
		return m.cancel(ctx, who, o, it)
	}
	id, created, err := m.Runs.RetryOnce(ctx, it.ID, runlog.Retried{By: who.Name, Via: who.Via, Reason: o.Reason, Token: who.Token, Prove: m.Prove})
	switch {
	case errors.Is(err, runlog.ErrEnded), errors.Is(err, runlog.ErrConflict), errors.Is(err, runlog.ErrFrozen):
		return refuse("not_allowed", plain(err, "retry run "+it.ID))
	case err != nil:
		return it, err
	case !created:
		return refuse(codeRepeated, "it was retried before, as "+id)
	}
	it.Result, it.Detail = string(view.FateDone), "it goes on as "+id
	return it, nil
}

func (m *Alike) cancel(ctx context.Context, who people.Actor, o RunOrder, it RedriveResult) (RedriveResult, error) {
	came, err := m.Runs.Cancel(ctx, it.ID, steps.Cancelled{By: who.Name, Via: who.Via, Reason: o.Reason})
	switch {
	case errors.Is(err, runlog.ErrEnded):
		it.Result, it.Code, it.Detail = ItemRefused, "changed", plain(err, "cancel run "+it.ID)
	case errors.Is(err, runlog.ErrNoRun):
		it.Result, it.Code, it.Detail = ItemRefused, "no_run", "it is not kept any more"
	case err != nil:
		return it, err
	default:
		it.Result, it.Detail = string(view.FateDone), came.Text
	}
	return it, nil
}

// plain is an error without what it is about, which stands beside it.
func plain(err error, about string) string { return strings.TrimPrefix(err.Error(), about+": ") }
