package belay

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/trace"

	"belay/internal/runlog"
	"belay/internal/steps"
)

// Submission says what a run starts with.
type Submission struct {
	ID     string            // of the run: letters, digits, - and _, at most 64. Default: a new one
	Input  any               // a struct or a map, checked against the plan's inputs; nil takes their defaults
	Labels map[string]string // in addition to those of the plan
	By     string            // who asks; default the program's name
	At     time.Time         // when it begins, by the log's clock; zero = see In. One that has passed is at once
	In     time.Duration     // without At: it begins so long after it is stored, in whole seconds; 0 = at once
}

// Submit starts a run and returns when it is stored: from then on the run reaches its end, whatever fails. The same
// content under the same ID is one run, however often it is submitted; other content under the same ID is an
// [ErrConflict]. After an [ErrUncertain], repeat the call with the same ID.
func (c *Client) Submit(ctx context.Context, p *Plan, s Submission) (*Run, error) {
	one, err := prepare(ctx, p, s)
	began, created := time.Now(), false
	if err == nil {
		one.ReportTo = c.watch.Token()
		created, err = c.runs.Submit(ctx, one.Run, one.Submitted)
	}
	if err != nil {
		return nil, fmt.Errorf("belay: %w", public(err))
	}
	return c.submitted(one, began, created), nil
}

// SubmitMany starts many runs of a plan. They are stored in order, in atomic batches, which takes a fraction of the time
// of as many calls of Submit. It returns a [Run] for each submission, in the same order; it is nil if the submission was
// not stored, and then the error is a [SubmitErrors]. The others stay stored. Repeating the whole call is safe if every
// submission has an ID.
func (c *Client) SubmitMany(ctx context.Context, p *Plan, all []Submission) ([]*Run, error) {
	runs, ready, at := make([]*Run, len(all)), make([]runlog.Submission, 0, len(all)), make([]int, 0, len(all))
	var failed SubmitErrors
	token := c.watch.Token()
	for i, s := range all {
		one, err := prepare(ctx, p, s)
		one.ReportTo = token
		if err != nil {
			failed = append(failed, &SubmitError{i, s.ID, err})
			continue
		}
		ready, at = append(ready, one), append(at, i)
	}
	began := time.Now()
	for n, s := range c.runs.SubmitMany(ctx, ready) {
		if s.Err != nil {
			failed = append(failed, &SubmitError{at[n], ready[n].Run, public(s.Err)})
			continue
		}
		runs[at[n]] = c.submitted(ready[n], began, s.Created)
	}
	if failed != nil {
		return runs, failed
	}
	return runs, nil
}

// submitted is the handle on a run that is stored; created says that it was not there when its submission began.
func (c *Client) submitted(s runlog.Submission, began time.Time, created bool) *Run {
	r := &Run{client: c, id: s.Run, known: runlog.Known{Exists: true}}
	if created {
		r.known.Since, r.known.Reported = began, s.ReportTo != ""
	}
	return r
}

// SubmitError is why one of many submissions was not stored.
type SubmitError struct {
	Index int    // of the submission
	ID    string // of its run
	Err   error  // why
}

// Error says which submission it was, and why.
func (e *SubmitError) Error() string { return fmt.Sprintf("belay: submission %d: %v", e.Index, e.Err) }

// Unwrap gives the reason.
func (e *SubmitError) Unwrap() error { return e.Err }

// SubmitErrors are the failures of a [Client.SubmitMany].
type SubmitErrors []*SubmitError

// Error has the first failure and the number of the others.
func (e SubmitErrors) Error() string {
	if len(e) == 1 {
		return e[0].Error()
	}
	return fmt.Sprintf("%v (and %d more)", e[0], len(e)-1)
}

// Unwrap makes errors.Is and errors.As look at all of them.
func (e SubmitErrors) Unwrap() []error {
	list := make([]error, len(e))
	for i := range e {
		list[i] = e[i]
	}
	return list
}

// prepare checks a submission and fills in its defaults.
func prepare(ctx context.Context, p *Plan, s Submission) (runlog.Submission, error) {
	if p == nil {
		return runlog.Submission{}, errors.New("there is no plan to submit: LoadPlan reads one")
	}
	if s.ID == "" {
		s.ID = newID()
	}
	s.By = whoever(s.By)
	one := runlog.Submission{Run: s.ID, Submitted: steps.Submitted{Document: p.doc.JSON, By: s.By, At: s.At.UTC(), In: steps.Duration(s.In), Trace: traceparent(ctx)}}
	var err error
	if one.Input, err = p.input(s.Input); err != nil {
		return one, fmt.Errorf("run %s: %w", s.ID, err)
	}
	one.Labels = make(map[string]string, len(s.Labels)+len(p.doc.Definition.Plan.Labels))
	for _, from := range []map[string]string{p.doc.Definition.Plan.Labels, s.Labels} {
		for k, v := range from {
			one.Labels[k] = v
		}
	}
	return one, nil
}

// whoever is who asks for something: without a name, the program.
func whoever(by string) string {
	if by == "" {
		return filepath.Base(os.Args[0])
	}
	return by
}

// newID returns a UUID that grows with time, so that lists sort by age.
func newID() string {
	id, err := uuid.NewV7()
	if err != nil {
		return uuid.NewString()
	}
	return id.String()
}

// traceparent returns the span of ctx in the form of W3C Trace Context; empty outside a trace. The run's spans become its
// children.
func traceparent(ctx context.Context) string {
	c := trace.SpanContextFromContext(ctx)
	if !c.IsValid() {
		return ""
	}
	return fmt.Sprintf("00-%s-%s-%s", c.TraceID(), c.SpanID(), c.TraceFlags()&trace.FlagsSampled)
}
