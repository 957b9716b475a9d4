package runlog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"belay/internal/plan"
	"belay/internal/steps"
	"belay/internal/steps/view"
	"belay/internal/wire"
)

// Elsewhere does in another process what the methods of [Log] with these names do.
type Elsewhere interface {
	Submit(ctx context.Context, all []Submission) []Stored
	Cancel(ctx context.Context, run string, e steps.Cancelled) (view.Reply, error)
	Steer(ctx context.Context, run string, e steps.Steered) (view.Reply, error)
	Retry(ctx context.Context, run, id string, who Retried) (string, error)
	Migrate(ctx context.Context, run, id string, o Migrating, who Retried) (steps.Migration, error)
	Replay(ctx context.Context, run, id string, o Replaying, given map[string]json.RawMessage, who Retried) (started string, created bool, err error)
	Many(ctx context.Context, m Many) ([]ManyResult, error)
}

// Many is the next part of what is to be done to many runs alike, as another process is asked for it.
type Many struct {
	By  string `json:"-"` // who they say they are
	Via string `json:"-"`

	ID     string    `json:"id"`   // of the whole: the same in all parts
	Verb   string    `json:"verb"` // cancel, retry
	Where  string    `json:"where,omitempty"`
	Reason string    `json:"reason,omitempty"`
	Rate   float64   `json:"rate,omitempty"` // runs in a second, at most; 0 = 10
	All    []ManyRun `json:"all,omitempty"`  // in the first part: the runs of the whole
	Runs   []string  `json:"runs"`           // of this part
}

// ManyRun is a run, and the state in which somebody was shown it.
type ManyRun struct {
	Run string `json:"run"`
	Was string `json:"was,omitempty"`
}

// ManyResult is what became of one run of a part.
type ManyResult struct {
	Run    string `json:"run"`
	Result string `json:"result"` // done, refused
	Code   string `json:"code,omitempty"`
	Detail string `json:"detail,omitempty"`
}

// Many has a part of what is to be done to many runs done by the process that writes logs for this one. What became of them is in the
// order of the part, and may be of its first runs alone. Where [Log.Writes] is true, nobody is asked.
func (l *Log) Many(ctx context.Context, m Many) ([]ManyResult, error) {
	return l.Elsewhere.Many(ctx, m)
}

// Writes reports whether this process writes the log of a run itself.
func (l *Log) Writes(run string) bool { return l.elsewhere(run) == nil }

// elsewhere is who writes into the log of a run for this process; nil = it does so itself. The server has said what it lets this
// user do: where that is everything, as without permissions, nobody is asked, and no dispatcher need be there.
func (l *Log) elsewhere(run string) Elsewhere {
	if l.Elsewhere == nil || l.bus.MayPublish(l.names.Log(wire.Partition(run, l.bus.Partitions()), run, wire.KindPlan)) {
		return nil
	}
	return l.Elsewhere
}

// errOnlyNew is a programming error: asked for like a new run, one that goes on from another would do again what that one has done.
var errOnlyNew = errors.New("a run that goes on from another one is not submitted by another process, but retried, replayed or migrated there")

// submitElsewhere has submissions stored that this process may not store. What is wrong with one in itself is not asked about.
func (l *Log) submitElsewhere(ctx context.Context, all []Submission, became []Stored) {
	var ready []Submission
	var at []int
	for i, s := range all {
		_, became[i].Err = l.submitting(s.Run, s.Submitted)
		if became[i].Err == nil && s.goesOn() {
			became[i].Err = fmt.Errorf("submit run %s: %w", s.Run, errOnlyNew)
		}
		if became[i].Err == nil {
			ready, at = append(ready, s), append(at, i)
		}
	}
	for n, s := range l.Elsewhere.Submit(ctx, ready) {
		became[at[n]] = s
	}
}

func (s *Submission) goesOn() bool {
	return s.RetryOf != "" || s.KeyRun != "" || len(s.Carried) > 0 || s.Replay != nil || s.Migrates != nil
}

// given are the values that a replay has in place of those of the run; nil = none.
func (l *Log) given(ctx context.Context, run string, o Replaying) (map[string]json.RawMessage, error) {
	if o.Input == nil {
		return nil, nil
	}
	doc := o.Plan
	if doc == nil {
		sub, err := l.Submitted(ctx, run)
		if err != nil {
			return nil, err
		}
		if sub == nil {
			return nil, fmt.Errorf("%w: %s", ErrNoRun, run)
		}
		if doc, err = plan.Reopen(sub.Document); err != nil {
			return nil, err
		}
	}
	given, err := o.Input(doc)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadInput, err)
	}
	return given, nil
}
