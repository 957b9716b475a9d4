package executor

import (
	"context"
	"errors"

	"belay/internal/steps"
)

// Stopped is the fault of an execution that ended because its context did: timeout where the deadline passed. Whoever
// cancels for another reason says why with [context.WithCancelCause]; a steps.Fault as the cause gives the class and
// the message. Without one it counts as unavailable: the tool has done nothing wrong and may be asked again.
// Acted is the executor's own knowledge of how far it came.
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

// BadTemplate is the fault of a template in the tools file that could not be filled in; where names the template.
func BadTemplate(where string, err error) steps.Fault {
	return steps.Fault{Class: steps.BadExpression, Acted: steps.ActedNo, Message: where + ": " + err.Error()}
}
