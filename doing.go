package belay

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"belay/belaytype"
	"belay/internal/executor"
	"belay/internal/executor/gofunc"
	"belay/internal/plan"
	"belay/internal/steps"
	"belay/internal/steps/view"
)

// doing is one call of [Do]: a run of one step, folded in memory by the same core as every other run's log. It decides
// nothing itself. A first try that succeeds needs no decision, so the run begins with the first fault.
type doing struct {
	policy Policy
	rungs  []doRung

	began time.Time // of the first try
	tried time.Time // when the last try began
	id    string    // also the idempotency key
	seq   uint64
	state *steps.State
	keep  func() // keeps the value of the last try
	cause error  // of the last try
}

type doRung struct {
	name    string
	call    func(context.Context) (keep func(), err error)
	unsafe  bool
	timeout time.Duration
	retry   Retry
}

// done is how a call of [Do] ended.
type done struct {
	rung, cause string
	attempts    []belaytype.Attempt
}

// The names of the run's only step and of its worker.
const (
	doStep   = "do"
	doWorker = "here"
)

func (d *doing) run(ctx context.Context) (done, error) {
	d.began, d.id = time.Now(), newID()
	if err := ctx.Err(); err != nil {
		return done{}, context.Cause(ctx)
	}
	first := steps.StepMessage{Attempt: steps.Attempt{Step: doStep, Try: 1}, Timeout: steps.Duration(d.rungs[0].timeout)}
	if d.policy.Budget > 0 {
		first.Deadline = d.began.Add(d.policy.Budget)
	}
	fault := d.try(ctx, first)
	if fault == nil {
		d.keep()
		now := d.now()
		return done{rung: d.rungs[0].name, attempts: []belaytype.Attempt{{
			Rung: d.rungs[0].name, Try: 1, Worker: doWorker, State: belaytype.AttemptSucceeded, Queued: d.began, Started: &d.began, Ended: &now, Took: belaytype.Duration(now.Sub(d.began)),
		}}}, nil
	}
	d.apply(steps.Submitted{Epoch: steps.Epoch, Program: d.program(), Input: json.RawMessage("{}")}, d.began)
	m := steps.Wants(d.state, nil).Steps[0]
	for {
		d.outcome(m, fault)
		next := steps.Wants(d.state, nil).Steps
		if len(next) == 0 || ctx.Err() != nil {
			return d.end(ctx, m, fault)
		}
		m = next[0]
		if !sleep(ctx, m.NotBefore.Sub(d.now())) {
			return d.end(ctx, m, fault)
		}
		fault = d.try(ctx, m)
	}
}

// now is when the call began and what has passed since then, so that a clock that is set meanwhile changes nothing.
func (d *doing) now() time.Time { return d.began.Add(time.Since(d.began)) }

// sleep waits, and reports false if ctx ended first.
func sleep(ctx context.Context, wait time.Duration) bool {
	if wait <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// try executes one attempt, as a worker executes a Go handler; nil means that it succeeded.
func (d *doing) try(ctx context.Context, m steps.StepMessage) *steps.Fault {
	r := &d.rungs[m.Rung]
	d.tried = d.now()
	if m.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(m.Timeout))
		defer cancel()
	}
	if !m.Deadline.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, m.Deadline.Sub(d.now()))
		defer cancel()
	}
	ctx = context.WithValue(ctx, callKey{}, &Call{Attempt: Attempt{Rung: r.name, Try: m.Try, Key: d.id}})
	type result struct {
		keep func()
		err  error
	}
	results := make(chan result, 1) // buffered: nobody receives from it once the function was left behind
	_, err := gofunc.New(func(ctx context.Context, _ executor.Request) (json.RawMessage, error) {
		keep, err := r.call(ctx)
		if err != nil && d.policy.Classify != nil {
			err = d.policy.Classify(err)
		}
		results <- result{keep, err}
		return nil, named(err)
	}, 0).Execute(ctx, executor.Request{})
	d.cause = err
	select {
	case got := <-results:
		d.keep = got.keep
		if got.err != nil {
			d.cause = got.err
		}
	default: // it panicked, or was left behind
	}
	if err == nil {
		return nil
	}
	f, _ := errors.AsType[steps.Fault](err)
	if !r.unsafe && f.Class != steps.Unknown {
		f.Acted = steps.ActedNo // a safe rung may be repeated, whatever it did
	}
	return &f
}

// program is the plan of one step whose tool has these rungs.
func (d *doing) program() *steps.Program {
	tool := steps.Tool{Name: doStep, Effects: steps.EffectsNone, Timeout: steps.Duration(d.policy.Budget), Rungs: make([]steps.Rung, len(d.rungs))}
	for i := range d.rungs {
		r := &d.rungs[i]
		if r.unsafe {
			tool.Effects = steps.EffectsUnsafe // try marks every fault of a safe rung as one that did not act
		}
		tool.Rungs[i] = steps.Rung{Name: r.name, Executor: "go", Timeout: steps.Duration(r.timeout), Retry: r.retry.policy()}
	}
	return steps.Link(&steps.Program{
		Definition: steps.Definition{
			Plan:  steps.Plan{Name: doStep, Steps: []steps.Step{{ID: doStep, Tool: doStep, OnFailure: steps.OnFailureEscalate}}},
			Tools: map[string]steps.Tool{doStep: tool},
		},
		Nodes: make([]steps.Node, 1),
	})
}

func (r Retry) policy() steps.RetryPolicy {
	p := plan.DefaultRetry()
	if r.MaxAttempts > 0 {
		p.MaxAttempts = r.MaxAttempts
	}
	if r.Initial > 0 {
		p.Initial = steps.Duration(r.Initial)
	}
	if r.Factor > 0 {
		p.Factor = r.Factor
	}
	if r.Max > 0 {
		p.Max = steps.Duration(r.Max)
	}
	if r.RetryAfterMax > 0 {
		p.RetryAfterMax = steps.Duration(r.RetryAfterMax)
	}
	return p
}

// outcome applies the events that a worker would have reported of an attempt.
func (d *doing) outcome(m steps.StepMessage, f *steps.Fault) {
	if m.Claimed() {
		d.apply(steps.Claimed{Attempt: m.Attempt, Worker: doWorker}, d.tried)
	} else {
		d.apply(steps.Started{Attempt: m.Attempt, Worker: doWorker}, d.tried)
	}
	now := d.now()
	took := steps.Duration(now.Sub(d.tried))
	if f == nil {
		d.apply(steps.Succeeded{Attempt: m.Attempt, Worker: doWorker, Output: json.RawMessage("null"), Took: took}, now)
		return
	}
	d.apply(steps.Failed{Attempt: m.Attempt, Worker: doWorker, Fault: *f, Took: took}, now)
}

func (d *doing) apply(e steps.Event, at time.Time) {
	d.seq++
	d.state, _ = steps.Apply(d.state, steps.Record{Seq: d.seq, Time: at, Run: d.id, Event: e})
}

// end returns how the run ended in the core, or the error of ctx if that ended it.
func (d *doing) end(ctx context.Context, m steps.StepMessage, last *steps.Fault) (done, error) {
	u := &d.state.Units[0]
	out := done{rung: d.rungs[m.Rung].name, attempts: each(view.Show(d.state).Steps[0].Attempts, attempt)}
	if u.State() == steps.StepSucceeded {
		d.keep()
		if u.Degraded != nil {
			out.cause = u.Degraded.Cause
		}
		return out, nil
	}
	fault := last
	if n := len(d.state.Escalations); n > 0 {
		fault = &d.state.Escalations[n-1].Fault
	}
	err := &DoError{Rung: out.rung, Fault: faultShown(*fault), Attempts: len(out.attempts), cause: d.cause}
	if cause := context.Cause(ctx); cause != nil && !errors.Is(d.cause, cause) {
		err.cause = errors.Join(cause, d.cause)
	}
	out.rung = ""
	if fault.Class == steps.NeedsHuman {
		return out, &NeedHumanError{err}
	}
	return out, err
}
