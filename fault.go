package belay

import (
	"errors"
	"time"

	"belay/belaytype"
	"belay/internal/steps"
)

// Permanent says that the same call would fail again: it is not retried, and the next rung is tried.
func Permanent(err error) error { return classed(err, steps.ToolError) }

// TryAgain says that the other side cannot serve the call now. It is retried as the rung's retry policy says; an unsafe
// tool only together with [NothingHappened], because it may have acted.
func TryAgain(err error) error { return classed(err, steps.Unavailable) }

// RetryAfter says that the other side did not act, and asks to be called again after wait. This does not count as a failed
// try. The wait is never shorter than the rung's retry.initial, and after retry.max_named_waits of them (20 by default)
// the next rung is tried.
func RetryAfter(wait time.Duration, err error) error {
	f := faultOf(err)
	f.Class, f.Acted, f.RetryAfter = steps.RateLimited, steps.ActedNo, steps.Duration(max(0, wait))
	return fault{f, err}
}

// NeedHuman says that a person has to decide: an escalation opens at once, even if there are more rungs.
func NeedHuman(err error) error { return classed(err, steps.NeedsHuman) }

// NothingHappened says that the attempt certainly had no effect, so that repeating it is safe. It can wrap the others.
func NothingHappened(err error) error {
	f := faultOf(err)
	f.Acted = steps.ActedNo
	return fault{f, err}
}

// fault is a handler's error together with the fault that it stands for.
type fault struct {
	steps.Fault
	cause error
}

// Unwrap makes errors.Is and errors.As find both the cause and the fault.
func (f fault) Unwrap() []error { return []error{f.Fault, f.cause} }

func (f fault) Error() string { return f.Fault.Error() }

func classed(err error, c steps.Class) error {
	f := faultOf(err)
	f.Class = c
	return fault{f, err}
}

// named makes a [belaytype.Fault] that err wraps the fault of the attempt. Such a fault may be of any class.
func named(err error) error {
	if _, ok := errors.AsType[steps.Fault](err); ok {
		return err
	}
	if f, ok := errors.AsType[belaytype.Fault](err); ok {
		return fault{inside(f), err}
	}
	return err
}

func inside(f belaytype.Fault) steps.Fault {
	return steps.Fault{
		Class: steps.Class(f.Class), Acted: steps.Acted(f.Acted), Message: f.Message, Detail: f.Detail, Status: f.Status,
		RetryAfter: steps.Duration(f.RetryAfter), Final: f.Final,
	}
}

// faultOf returns the fault that err wraps already, or else a tool_error.
func faultOf(err error) steps.Fault {
	if err == nil {
		err = errors.New("no reason given")
	}
	if f, ok := errors.AsType[steps.Fault](err); ok {
		return f
	}
	if f, ok := errors.AsType[belaytype.Fault](err); ok {
		return inside(f)
	}
	return steps.Fault{Class: steps.ToolError, Acted: steps.ActedMaybe, Message: err.Error()}
}
