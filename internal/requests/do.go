package requests

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"belay/internal/people"
	"belay/internal/plan"
	"belay/internal/runlog"
	"belay/internal/steps"
	"belay/internal/steps/view"
)

// Desk carries out what is asked.
type Desk struct {
	Rights
	Prove  func(run string, s *steps.Submitted) error // signs that the token of who submits was shown
	Logger *slog.Logger

	// Many does the next part of what is to be done to many runs; a run that allowed has an error for is left as it is. Nil = it is refused.
	Many func(ctx context.Context, who people.Actor, allowed func(ctx context.Context, run string) error, m runlog.Many) ([]runlog.ManyResult, error)

	Refused func(Refusal) // is told of each request that is refused for who asks; may be nil

	refusals refusals
}

// what is asked for, in a word.
func (r Request) what() string {
	switch {
	case r.Cancel != nil:
		return "cancel"
	case r.Steer != nil:
		return "steer"
	case r.Retry != nil:
		return "retry"
	case r.Replay != nil:
		return "replay"
	case r.Migrate != nil:
		return "migrate"
	case r.Many != nil:
		return r.Many.Verb
	}
	return "submit"
}

// about is the run that a request is about; of many, the first.
func (r Request) about() string {
	if len(r.Submit) > 0 {
		return r.Submit[0].Run
	}
	if r.Many != nil && len(r.Many.Runs) > 0 {
		return r.Many.Runs[0]
	}
	return r.Run
}

func (d *Desk) do(ctx context.Context, who people.Actor, r Request) (a answer, err error) {
	if len(r.Submit) > 0 {
		a.Submitted = d.submit(ctx, who, r)
		return a, nil
	}
	if r.Many != nil {
		a.Many, err = d.many(ctx, who, *r.Many)
		return a, err
	}
	if err := d.Own(ctx, who, r.Run); err != nil {
		return a, err
	}
	switch {
	case r.Cancel != nil:
		a.Came, err = d.cancel(ctx, who, r)
	case r.Steer != nil:
		a.Came, err = d.steer(ctx, who, r)
	case r.Retry != nil:
		if err = d.mayRerun(ctx, who, r.Run); err == nil {
			a.Run, err = d.Runs.Retry(ctx, r.Run, r.Retry.ID, d.retried(who, r.Retry))
			a.Created = err == nil
		}
	case r.Replay != nil:
		a.Run, a.Created, err = d.replay(ctx, who, r)
	case r.Migrate != nil:
		a.Migration, err = d.migrate(ctx, who, r)
	default:
		err = errVersion
	}
	return a, err
}

var errVersion = errors.New("the request is of another version of the program")

func (d *Desk) cancel(ctx context.Context, who people.Actor, r Request) (*came, error) {
	if err := who.May(Cancels(who)); err != nil {
		return nil, err
	}
	return cameOf(d.Runs.Cancel(ctx, r.Run, steps.Cancelled{By: who.Name, Via: who.Via, Reason: r.Cancel.Reason}))
}

func (d *Desk) steer(ctx context.Context, who people.Actor, r Request) (*came, error) {
	if err := who.May(Steers(who)); err != nil {
		return nil, err
	}
	e := *r.Steer
	e.By, e.Via = who.Name, who.Via
	return cameOf(d.Runs.Steer(ctx, r.Run, e))
}

// many does the same to many runs, each of which whoever asks needs the right to that a request about it alone needs.
func (d *Desk) many(ctx context.Context, who people.Actor, m runlog.Many) ([]runlog.ManyResult, error) {
	verb := people.Action(m.Verb)
	if d.Many == nil || verb != people.Cancel && verb != people.Retry {
		return nil, errVersion
	}
	allowed, err := d.ToMany(who, verb)
	if err != nil {
		return nil, err
	}
	return d.Many(ctx, who, allowed, m)
}

func cameOf(w view.Reply, err error) (*came, error) {
	return &came{w.Outcome, w.Text, w.Ended}, err
}

func (d *Desk) retried(who people.Actor, a *Rerun) runlog.Retried {
	return runlog.Retried{By: who.Name, Via: who.Via, Reason: a.Reason, Token: who.Token, Trace: a.Trace, Prove: d.proves(who)}
}

// proves signs that somebody's token was shown; nil for somebody who was let in without one: nobody has checked who they are.
func (d *Desk) proves(who people.Actor) func(run string, e *steps.Submitted) error {
	if who.Token == "" {
		return nil
	}
	return d.Prove
}

func (d *Desk) replay(ctx context.Context, who people.Actor, r Request) (id string, created bool, err error) {
	if err := d.mayRerun(ctx, who, r.Run); err != nil {
		return "", false, err
	}
	o := runlog.Replaying{From: r.Replay.From, Confirmed: r.Replay.Confirmed}
	if len(r.Replay.Document) > 0 {
		if err := d.start(who, r.Replay.Document); err != nil {
			return "", false, err
		}
		if o.Plan, err = plan.Reopen(r.Replay.Document); err != nil {
			return "", false, fmt.Errorf("%w: %w", runlog.ErrInvalid, err)
		}
		o.ToolsFile = r.Replay.ToolsFile
	}
	if r.Replay.Input != nil {
		o.Input = runlog.Given(r.Replay.Input)
	}
	return d.Runs.Replay(ctx, r.Run, r.Replay.ID, o, d.retried(who, r.Replay))
}

func (d *Desk) migrate(ctx context.Context, who people.Actor, r Request) (*steps.Migration, error) {
	if err := d.MayMigrate(ctx, who, r.Run, r.Migrate.Document); err != nil {
		return nil, err
	}
	doc, err := plan.Reopen(r.Migrate.Document)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", runlog.ErrInvalid, err)
	}
	a := &Rerun{Reason: r.Migrate.Reason}
	m, err := d.Runs.Migrate(ctx, r.Run, r.Migrate.ID, runlog.Migrating{Plan: doc, ToolsFile: r.Migrate.ToolsFile, Drop: r.Migrate.Drop}, d.retried(who, a))
	return &m, err
}

// judged is a document of a request, and why whoever asks may not start it. Many runs of one plan are judged once.
type judged struct {
	json json.RawMessage
	plan *plan.Document
	err  error
}

func (d *Desk) judge(who people.Actor, document json.RawMessage) (j judged) {
	if j = (judged{json: document, err: d.start(who, document)}); j.err != nil {
		return j
	}
	if j.plan, j.err = plan.Reopen(document); j.err != nil {
		j.err = fmt.Errorf("%w: %w", runlog.ErrInvalid, j.err)
	}
	return j
}

func (d *Desk) submit(ctx context.Context, who people.Actor, r Request) []became {
	all := make([]became, len(r.Submit))
	doc := judged{err: fmt.Errorf("%w: there is no plan", runlog.ErrInvalid)}
	said := false
	stored := d.Runs.SubmitEach(ctx, len(r.Submit), func(i int) (runlog.Submission, error) {
		s := r.Submit[i]
		if len(s.Document) > 0 {
			doc = d.judge(who, s.Document)
		}
		one, err := d.submission(who, s, doc)
		if errors.Is(err, people.ErrForbidden) && !said {
			said = true
			d.refused(Request{Submit: r.Submit[i : i+1], Via: r.Via}, Forbidden, who.Name, err)
		}
		return one, err
	})
	for i, s := range stored {
		all[i] = became{s.Created, failureOf(s.Err)}
	}
	return all
}

// submission is what is stored of a run to be started. Who submits it is who was shown; only somebody who was let in without showing
// anything is believed the name that they give.
func (d *Desk) submission(who people.Actor, s Start, doc judged) (runlog.Submission, error) {
	fail := func(err error) (runlog.Submission, error) {
		return runlog.Submission{}, fmt.Errorf("submit run %s: %w", s.Run, err)
	}
	if doc.err != nil {
		return fail(doc.err)
	}
	var given map[string]json.RawMessage
	err := json.Unmarshal(s.Input, &given)
	one := runlog.Submission{Run: s.Run, Submitted: steps.Submitted{
		Document: doc.json, Labels: s.Labels, ToolsFile: s.ToolsFile, In: s.In, By: who.Name, Via: who.Via, Token: who.Token, Trace: s.Trace, ReportTo: s.ReportTo,
	}}
	if err == nil {
		one.Input, err = doc.plan.CheckInput(given)
	}
	if err != nil {
		return fail(fmt.Errorf("%w: %w", runlog.ErrBadInput, err))
	}
	if s.At != "" {
		if one.At, err = time.Parse(time.RFC3339Nano, s.At); err != nil {
			return fail(fmt.Errorf("%w: %w", runlog.ErrBadStart, err))
		}
	}
	if who.Token == "" && s.By != "" {
		one.By = s.By
	}
	if prove := d.proves(who); prove != nil {
		if err := prove(s.Run, &one.Submitted); err != nil {
			return fail(err)
		}
	}
	return one, nil
}
