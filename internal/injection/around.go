package injection

import (
	"context"
	"errors"
	"time"

	"belay/internal/executor"
	"belay/internal/steps"
)

// Around returns what executes an attempt that a fault or a slow call was ordered for, in place of x alone. A death and a
// partition are the worker's business.
func (o Order) Around(x executor.Executor) executor.Executor {
	if o.Kind == Slow {
		return executor.Func(func(ctx context.Context, req executor.Request) (executor.Result, error) { return o.slow(ctx, req, x) })
	}
	return executor.Func(func(ctx context.Context, req executor.Request) (executor.Result, error) { return o.fail(ctx, req, x) })
}

// fail returns the fault that was ordered.
func (o *Order) fail(ctx context.Context, req executor.Request, x executor.Executor) (executor.Result, error) {
	f := steps.Fault{Class: o.Class, Acted: steps.ActedNo, Message: "the tool was not called", RetryAfter: o.RetryAfter}
	if o.Acted == After {
		f.Acted, f.Message = steps.ActedMaybe, "the tool was called, and its result was dropped"
		if _, err := x.Execute(ctx, req); err != nil {
			f.Detail = "the call itself failed: " + err.Error()
		}
	}
	return executor.Result{}, o.mark(f)
}

// slow delays the call, or its answer.
func (o *Order) slow(ctx context.Context, req executor.Request, x executor.Executor) (executor.Result, error) {
	if req.Progress != nil {
		req.Progress(o.Note())
	}
	if o.Acted == After {
		res, err := x.Execute(ctx, req)
		if f := o.wait(ctx, steps.ActedMaybe); f != nil {
			return executor.Result{}, *f
		}
		return res, err
	}
	if f := o.wait(ctx, steps.ActedNo); f != nil {
		return executor.Result{}, *f
	}
	res, err := x.Execute(ctx, req)
	if f, ok := errors.AsType[steps.Fault](err); ok && ctx.Err() != nil {
		return res, o.mark(f) // the delay is a part of why
	}
	return res, err
}

// wait waits the delay. The fault is that of an attempt which ended meanwhile.
func (o *Order) wait(ctx context.Context, acted steps.Acted) *steps.Fault {
	t := time.NewTimer(time.Duration(o.Delay))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
	}
	f := executor.Stopped(ctx, acted)
	f.Message = o.Does() + "; " + f.Message
	f = o.mark(f)
	return &f
}

// mark says of a fault that it was injected, by whom and why, for people and for programs.
func (o *Order) mark(f steps.Fault) steps.Fault {
	if o.Reason != "" {
		f.Message = o.Reason + "; " + f.Message
	}
	f.Message, f.Injected = o.label()+f.Message, o.ID
	return f
}

// Note says of an attempt what happens to it.
func (o *Order) Note() string {
	if o.Reason != "" {
		return o.label() + o.Reason + "; " + o.Does()
	}
	return o.label() + o.Does()
}
