// Package gofunc executes rungs that are Go functions in the worker's own binary.
//
// Nothing can end a Go function from outside. A handler must return when its context ends. One that does not is
// abandoned a short while later, and its attempt is a timeout that may have acted. Whatever it still does goes
// unnoticed, and its goroutine is lost until it returns.
package gofunc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"belay/internal/executor"
	"belay/internal/steps"
)

// Handler does the work of one attempt. A [steps.Fault] anywhere in its error's chain is kept as it is; any other error
// is a tool_error that may have acted. A nil output is null.
type Handler func(ctx context.Context, req executor.Request) (json.RawMessage, error)

// grace is how long a handler has to return once its context has ended.
const grace = 500 * time.Millisecond

const stackBytes = 4 << 10

// New makes the executor of one rung. Max is the most bytes of output; 0 means the default.
func New(h Handler, max int) executor.Executor { return &rung{handler: h, max: max} }

type rung struct {
	handler Handler
	max     int
}

type answer struct {
	output json.RawMessage
	err    error
}

// Prompt implements [executor.Prompt]: Execute abandons a handler that does not return.
func (x *rung) Prompt() {}

// Execute calls the handler.
func (x *rung) Execute(ctx context.Context, req executor.Request) (executor.Result, error) {
	if ctx.Err() != nil {
		return executor.Result{}, executor.Stopped(ctx, steps.ActedNo)
	}
	answers := make(chan answer, 1) // buffered, so that an abandoned handler can end
	go x.call(ctx, req, answers)
	a, ok := await(ctx, answers)
	if !ok {
		return executor.Result{}, executor.Stopped(ctx, steps.ActedMaybe)
	}
	if a.err != nil {
		return executor.Result{}, faultOf(ctx, a.err)
	}
	if a.output == nil {
		return executor.Result{Output: json.RawMessage("null")}, nil
	}
	out, err := executor.Output(a.output, executor.FormatJSON, x.max)
	return executor.Result{Output: out}, err
}

func await(ctx context.Context, answers <-chan answer) (answer, bool) {
	select {
	case a := <-answers:
		return a, true
	case <-ctx.Done():
	}
	late := time.NewTimer(grace)
	defer late.Stop()
	select {
	case a := <-answers:
		return a, true
	case <-late.C:
		return answer{}, false
	}
}

// call sends exactly one answer, also for a handler that panics or ends its goroutine.
func (x *rung) call(ctx context.Context, req executor.Request, answers chan<- answer) {
	a := answer{err: toolError("the handler ended its goroutine instead of returning")}
	defer func() {
		if v := recover(); v != nil {
			a = answer{err: panicked(v, debug.Stack())}
		}
		answers <- a
	}()
	output, err := x.handler(ctx, req)
	a = answer{output, err}
}

func panicked(v any, stack []byte) error {
	f := toolError(fmt.Sprintf("the handler panicked: %v", v))
	f.Detail = executor.Tail(stack, stackBytes)
	return f
}

func toolError(message string) steps.Fault {
	return steps.Fault{Class: steps.ToolError, Acted: steps.ActedMaybe, Message: message}
}

// faultOf finds the fault in a handler's error, or makes one of it.
func faultOf(ctx context.Context, err error) steps.Fault {
	if f, ok := inChain(err); ok {
		return known(f)
	}
	stopped := errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
	switch {
	case stopped && ctx.Err() != nil:
		return executor.Stopped(ctx, steps.ActedMaybe)
	case errors.Is(err, context.DeadlineExceeded):
		return steps.Fault{Class: steps.Timeout, Acted: steps.ActedMaybe, Message: err.Error()}
	}
	return toolError(err.Error())
}

func inChain(err error) (steps.Fault, bool) {
	if f, ok := errors.AsType[steps.Fault](err); ok {
		return f, true
	}
	if f, ok := errors.AsType[*steps.Fault](err); ok && f != nil {
		return *f, true
	}
	return steps.Fault{}, false
}

// known keeps unknown classes out of the run's log.
func known(f steps.Fault) steps.Fault {
	if f.Class.Known() {
		return f
	}
	f.Message = fmt.Sprintf("%s (the handler gave it the class %q, which does not exist)", f.Message, f.Class)
	f.Class = steps.ToolError
	return f
}
