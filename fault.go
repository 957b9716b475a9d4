package belay

import (
	"errors"
	"time"

	"belay/internal/steps"
)

// Permanent says that the same call would fail again: it is never repeated, the next rung is tried.
func Permanent(err error) error { return classed(err, steps.ToolError) }

// TryAgain says that the other side cannot serve now. It is tried again as the rung's retry says; an unsafe tool only
// together with [NothingHappened], because it may have acted.
func TryAgain(err error) error { return classed(err, steps.Unavailable) }

// RetryAfter says that the other side asks to come back after a while. It did not act, and this counts as no failed try.
// The wait is never shorter than the rung's retry.initial, and after retry.max_named_waits of them (20 by default) the
// next rung is tried.
func RetryAfter(wait time.Duration, err error) error {
	f := faultOf(err)
	f.Class, f.Acted, f.RetryAfter = steps.RateLimited, steps.ActedNo, steps.Duration(max(0, wait))
	return fault{f, err}
}

// NeedHuman says that no machine can settle this: a person is asked at once, whatever rungs are left.
func NeedHuman(err error) error { return classed(err, steps.NeedsHuman) }

// NothingHappened says that the attempt surely had no effect on the world, so that repeating it is safe. It can be put
// around the others.
func NothingHappened(err error) error {
	f := faultOf(err)
	f.Acted = steps.ActedNo
	return fault{f, err}
}

// fault is a handler's error with what it means.
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

// faultOf keeps what has been said of an error already.
func faultOf(err error) steps.Fault {
	if err == nil {
		err = errors.New("no reason given")
	}
	if f, ok := errors.AsType[steps.Fault](err); ok {
		return f
	}
	return steps.Fault{Class: steps.ToolError, Acted: steps.ActedMaybe, Message: err.Error()}
}
