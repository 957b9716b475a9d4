package executor

import (
	"context"
	"errors"

	"belay/internal/steps"
)

// Stopped is the fault of an execution that ended because its context did: timeout if the deadline passed. Whoever
// cancels for another reason gives the cause with [context.WithCancelCause]; if that is a [steps.Fault], its class and
// message count. Otherwise the class is unavailable, because the tool did nothing wrong and may be called again. Acted
// is what the executor knows about how far it got.
func Stopped(ctx context.Context, acted steps.Acted) steps.Fault {
	cause := context.Cause(ctx)
	if f, ok := errors.AsType[steps.Fault](cause); ok {
		f.Acted = acted
		return f
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) || errors.Is(cause, context.DeadlineExceeded) {
		return steps.Fault{Class: steps.Timeout, Acted: acted, Message: "did not end within its timeout"}
	}
	message := "stopped before it ended"
	if cause != nil && !errors.Is(cause, context.Canceled) {
		message += ": " + cause.Error()
	}
	return steps.Fault{Class: steps.Unavailable, Acted: acted, Message: message}
}

// BadTemplate is the fault of a template that could not be filled in; where names its key in the tools file.
func BadTemplate(where string, err error) steps.Fault {
	return steps.Fault{Class: steps.BadExpression, Acted: steps.ActedNo, Message: where + ": " + err.Error()}
}

// Unwanted reports whether an execution was stopped because its run does not want it any more, and not because its time or its
// worker has come to an end: what it has begun elsewhere may end too.
func Unwanted(ctx context.Context) bool {
	_, is := errors.AsType[steps.Fault](context.Cause(ctx))
	return is
}
