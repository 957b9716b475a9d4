package runlog

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"

	"belay/internal/plan"
	"belay/internal/steps"
	"belay/internal/steps/view"
)

// LabelReplay is the label of a replay, with the id of the run that it does again: lists find it by that.
const LabelReplay = "replay_of"

// ErrNoReplay says that a run cannot be done again as somebody wants; an [*Unreplayable] says why.
var ErrNoReplay = errors.New("it cannot be done again like that")

// Unreplayable says why a run is not done again.
type Unreplayable struct{ Replay steps.Replay }

// Reasons are sentences: why it is not possible or, where nothing else is in the way, what has yet to be confirmed.
func (e *Unreplayable) Reasons() []string {
	if e.Unconfirmed() {
		return view.Confirmation(&e.Replay)
	}
	return e.Replay.Refused
}

// Unconfirmed reports whether it only has yet to be said that calls are made again.
func (e *Unreplayable) Unconfirmed() bool { return len(e.Replay.Refused) == 0 }

func (e *Unreplayable) Error() string {
	if e.Unconfirmed() {
		return "these calls would be made again, confirm that by naming " + strings.Join(e.Replay.Unconfirmed, ", ") + " (again): " + strings.Join(e.Reasons(), "; ")
	}
	return ErrNoReplay.Error() + ": " + strings.Join(e.Replay.Refused, "; ")
}

// Is makes errors.Is(err, ErrNoReplay) true.
func (e *Unreplayable) Is(target error) bool { return target == ErrNoReplay }

// Replaying is how somebody wants a run done again.
type Replaying struct {
	From      []string // steps from which on it is done again
	Confirmed []string // steps of which they say that calls may be made again that had been made
	// Input gives the values that are to be other ones than in the run that is done again; nil = none.
	Input func(*plan.Document) (map[string]json.RawMessage, error)
	// Plan is another version of its plan; nil = the plan that it had. ToolsFile is where its tools came from.
	Plan      *plan.Document
	ToolsFile string
}

// Given is a [Replaying.Input] of values that are JSON already.
func Given(values map[string]json.RawMessage) func(*plan.Document) (map[string]json.RawMessage, error) {
	return func(*plan.Document) (map[string]json.RawMessage, error) { return values, nil }
}

// PlanReplay says what would become of each step if a run were done again, and changes nothing.
func (l *Log) PlanReplay(ctx context.Context, run string, o Replaying) (steps.Replay, error) {
	r, err := l.replay(ctx, run, o)
	if err != nil {
		return steps.Replay{}, err
	}
	return r.plan, nil
}

// replay is a replay that is checked and not submitted.
type replay struct {
	plan steps.Replay
	next steps.Submitted // without who wants it
}

func (l *Log) replay(ctx context.Context, run string, o Replaying) (r replay, err error) {
	fail := func(err error) (replay, error) { return replay{}, fmt.Errorf("replay run %s: %w", run, err) }
	s, err := l.Load(ctx, run)
	if err != nil {
		return replay{}, err
	}
	sub, err := l.submitted(ctx, run)
	if err != nil {
		return replay{}, err
	}
	doc := o.Plan
	if doc == nil {
		if doc, err = plan.Reopen(sub.Document); err != nil {
			return fail(err)
		}
	}
	input := s.Input
	if o.Input != nil || o.Plan != nil {
		if input, err = o.input(doc, s.Input); err != nil {
			return fail(fmt.Errorf("%w: %w", ErrBadInput, err))
		}
	}
	r.plan = steps.PlanReplay(s, steps.ReplayWish{Program: doc.Program, Input: input, From: o.From, Confirmed: o.Confirmed})
	labels := maps.Clone(sub.Labels)
	if labels == nil {
		labels = map[string]string{}
	}
	labels[LabelReplay] = run
	r.next = steps.Submitted{
		Document: doc.JSON, Input: input, Labels: labels, ToolsFile: sub.ToolsFile, Trace: sub.Trace,
		Replay: r.plan.Says(o.From), Carried: r.plan.TakenOver(),
	}
	if o.Plan != nil {
		r.next.ToolsFile = o.ToolsFile
	}
	return r, nil
}

func (o Replaying) input(doc *plan.Document, before json.RawMessage) (json.RawMessage, error) {
	var given map[string]json.RawMessage
	if o.Input != nil {
		var err error
		if given, err = o.Input(doc); err != nil {
			return nil, err
		}
	}
	return doc.InputOver(before, given)
}

// Replay does an ended run again from some steps on: it submits a new run, which takes over the results of all other steps that
// were done. Its idempotency keys are its own. Without an id the new run is `<run>-p<n>`, with the first free n; created says
// whether this call started it. An [*Unreplayable] says why it is not done.
func (l *Log) Replay(ctx context.Context, run, id string, o Replaying, who Retried) (started string, created bool, err error) {
	if other := l.elsewhere(run); other != nil {
		given, err := l.given(ctx, run, o)
		if err != nil {
			return "", false, fmt.Errorf("replay run %s: %w", run, err)
		}
		return other.Replay(ctx, run, id, o, given, who)
	}
	r, err := l.replay(ctx, run, o)
	if err != nil {
		return "", false, err
	}
	if len(r.plan.Refused)+len(r.plan.Unconfirmed) > 0 {
		return "", false, fmt.Errorf("replay run %s: %w", run, &Unreplayable{r.plan})
	}
	next := r.next
	next.By, next.Via, next.Reason, next.Request, next.Token = who.By, who.Via, who.Reason, who.Request, who.Token
	next.Trace = cmp.Or(who.Trace, next.Trace)
	submit := func(id string) (bool, error) {
		next.Proof = nil
		if who.Prove != nil {
			if err := who.Prove(id, &next); err != nil {
				return false, fmt.Errorf("replay run %s: %w", run, err)
			}
		}
		return l.Submit(ctx, id, next)
	}
	if id != "" {
		created, err := submit(id)
		return id, created, err
	}
	for n := 1; ; n++ {
		id = run + "-p" + strconv.Itoa(n)
		created, err := submit(id)
		if errors.Is(err, ErrConflict) || err == nil && !created {
			continue // an earlier replay has this id
		}
		return id, created, err
	}
}

// Replays lists the runs that do a run again, the newest first, and at most so many.
func (l *Log) Replays(ctx context.Context, run string, most int) ([]Summary, error) {
	page, err := l.List(ctx, Filter{Labels: map[string]string{LabelReplay: run}, Limit: most})
	return page.Items, err
}
