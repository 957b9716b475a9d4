package gohandler_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"belay"
	"belay/belaytype"
	"belay/internal/executor"
	"belay/internal/executor/executortest"
	"belay/internal/executor/gofunc"
	"belay/internal/gohandler"
	"belay/internal/ladder"
	"belay/internal/steps"
)

var errPlain = errors.New("so it is")

type order struct{ ID string }

// fault is what comes of a handler, whose time is short.
func fault(h belay.Handler) executortest.Cause {
	return func(t *testing.T) steps.Fault {
		x := gofunc.New(gohandler.ByKey([]belay.Handler{h})[ladder.Key{Tool: "t"}], 0)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		return executortest.Fault(ctx, t, x, executor.Request{Tool: "t", Params: json.RawMessage(`{"ID": "A-1"}`)})
	}
}

func returning(f func(ctx context.Context) error) executortest.Cause {
	return fault(belay.Handle("t", func(ctx context.Context, _ order) (any, error) { return nil, f(ctx) }))
}

func saying(err error) executortest.Cause {
	return returning(func(context.Context) error { return err })
}

// TestReferenceOfFaults: docs/faults.md says what comes of what a Go handler returns.
func TestReferenceOfFaults(t *testing.T) {
	t.Parallel()
	over := make(chan struct{})
	t.Cleanup(func() { close(over) })
	executortest.Agree(t, "go", "the handler returns", map[string][]executortest.Cause{
		"a plain error, `belay.Permanent`, or panics": {
			saying(errPlain), saying(belay.Permanent(errPlain)), returning(func(context.Context) error { panic("so it is") }),
		},
		"`belay.TryAgain`":   {saying(belay.TryAgain(errPlain))},
		"`belay.RetryAfter`": {saying(belay.RetryAfter(time.Second, errPlain))},
		"`belay.NeedHuman`":  {saying(belay.NeedHuman(errPlain))},
		"`belay.NothingHappened` of one of these": {
			saying(belay.NothingHappened(errPlain)), saying(belay.NothingHappened(belay.TryAgain(errPlain))), saying(belay.NothingHappened(belay.NeedHuman(errPlain))),
		},
		"a `belaytype.Fault`":                                   {saying(belaytype.Fault{Class: belaytype.Conflict, Acted: belaytype.ActedNo, Message: "so it is"})},
		"the error of its context, at its timeout":              {returning(func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })},
		"nothing for half a second after its context has ended": {returning(func(context.Context) error { <-over; return nil })},
		"a value that JSON cannot hold":                         {fault(belay.Handle("t", func(context.Context, order) (any, error) { return make(chan int), nil }))},
		"not called: the parameters do not fit its type":        {fault(belay.Handle("t", func(context.Context, int) (any, error) { return nil, nil }))},
	})
}
