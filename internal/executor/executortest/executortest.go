// Package executortest has the conformance suite that every executor passes. The test of an executor describes it as a
// [Subject] and calls [Exercise]; beside that it tests only what is special about it.
package executortest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"belay/internal/executor"
	"belay/internal/steps"
)

// Limit is the max_bytes that [Subject.Large] must be made with.
const Limit = 4 << 10

// soon is how long an executor may take to return after its context has ended, on a busy machine.
const soon = 10 * time.Second

// Make makes an executor whose other side behaves in a certain way. It registers its own cleanup.
type Make func(t *testing.T) executor.Executor

// Subject is an executor under test. A nil field is a behavior that it cannot have; Succeed is required.
type Subject struct {
	Succeed Make                                         // returns Want
	Want    func(params json.RawMessage) json.RawMessage // nil = the parameters themselves
	Age     bool                                         // results have an age

	// Hang never answers. It closes started once the other side has the call.
	Hang  func(t *testing.T, started chan<- struct{}) executor.Executor
	Acted steps.Acted // what a fault says of a call that was stopped or whose answer is unusable; empty = maybe

	Large   Make // answers valid JSON with more than Limit bytes
	Garbage Make // answers with something that is not JSON
	Nothing Make // answers with nothing
	BadUTF8 Make // answers with JSON that has an invalid byte in a string

	Fail Make // fails in any way
}

// Exercise runs the suite. Do not call t.Parallel before it: at its end it looks for goroutines that were left behind, and
// would find those of other tests.
func Exercise(t *testing.T, s Subject) {
	t.Helper()
	before := goleak.IgnoreCurrent()
	t.Run("succeeds", func(t *testing.T) { succeeds(t, s) })
	t.Run("keeps numbers and text exactly", func(t *testing.T) { keepsExactly(t, s) })
	t.Run("concurrent use", func(t *testing.T) { concurrent(t, s) })
	t.Run("ended context", func(t *testing.T) { endedBefore(t, s) })
	t.Run("timeout", func(t *testing.T) { timesOut(t, s) })
	t.Run("cancel", func(t *testing.T) { cancels(t, s) })
	t.Run("cancel with a fault as the cause", func(t *testing.T) { cancelsWithFault(t, s) })
	t.Run("unusable answers", func(t *testing.T) { unusable(t, s) })
	t.Run("failure", func(t *testing.T) { fails(t, s) })
	goleak.VerifyNone(t, before)
}

// Request is a request with these parameters, with all fields filled.
func Request(params string) executor.Request {
	return executor.Request{
		Run: "run-1", Step: "step-1", Attempt: "0-0-1", Tool: "orders.lookup", Rung: "primary",
		Params: json.RawMessage(params), Key: "run-1/step-1/0", Try: 1,
	}
}

// Fault calls x and returns its fault; the test fails if there is none, or if it is malformed.
func Fault(ctx context.Context, t *testing.T, x executor.Executor, req executor.Request) steps.Fault {
	t.Helper()
	res, err := x.Execute(ctx, req)
	if err == nil {
		t.Fatalf("succeeded with %s, want a fault", res.Output)
	}
	return proper(t, err)
}

func proper(t *testing.T, err error) steps.Fault {
	t.Helper()
	f, ok := errors.AsType[steps.Fault](err)
	if !ok {
		t.Fatalf("error %v (%T) has no steps.Fault in it", err, err)
	}
	if !f.Class.Known() {
		t.Errorf("class %q is not in the closed set", f.Class)
	}
	if f.Acted != steps.ActedNo && f.Acted != steps.ActedMaybe {
		t.Errorf("acted = %q, want no or maybe", f.Acted)
	}
	if f.Message == "" {
		t.Error("the fault has no message")
	}
	if len(f.Detail) > 8<<10 {
		t.Errorf("the detail has %d bytes, want a few KiB", len(f.Detail))
	}
	if b, err := json.Marshal(f); err != nil || bytes.Contains(b, []byte(`\ufffd\ufffd\ufffd\ufffd`)) {
		t.Errorf("the fault is not readable: %s, %v", b, err)
	}
	return f
}

// Output calls x and returns its output; the test fails if there is none, or if it is not valid JSON.
func Output(ctx context.Context, t *testing.T, x executor.Executor, req executor.Request) json.RawMessage {
	t.Helper()
	res, err := x.Execute(ctx, req)
	if err != nil {
		t.Fatalf("Execute: %v", err)
	}
	if !json.Valid(res.Output) {
		t.Fatalf("output %q is not valid JSON", res.Output)
	}
	return res.Output
}

func (s Subject) want(params string) string {
	if s.Want == nil {
		return params
	}
	return string(s.Want(json.RawMessage(params)))
}

func succeeds(t *testing.T, s Subject) {
	params := `{"order":"A-1009"}`
	x := s.Succeed(t)
	res, err := x.Execute(t.Context(), Request(params))
	if err != nil {
		t.Fatalf("Execute: %v", err)
	}
	if got := string(res.Output); got != s.want(params) {
		t.Errorf("output = %s, want %s", got, s.want(params))
	}
	if (res.Age > 0) != s.Age {
		t.Errorf("age = %s, want one: %t", res.Age, s.Age)
	}
}

func keepsExactly(t *testing.T, s Subject) {
	x := s.Succeed(t)
	for _, params := range []string{
		`{"n":12345678901234567890}`, `{"n":0.10}`, `{"n":1e400}`, `{"n":-0}`, `{"n":1.000000000000000000001}`,
		`{"text":"<b> & 'quotes' \" \\ \n ü 雪 😀"}`, `{"$(touch x)":"; rm -rf / #"}`, `{"list":[1,null,true,{}]}`,
	} {
		if got := string(Output(t.Context(), t, x, Request(params))); got != s.want(params) {
			t.Errorf("output = %s, want %s", got, s.want(params))
		}
	}
}

func concurrent(t *testing.T, s Subject) {
	x := s.Succeed(t)
	var wg sync.WaitGroup
	for i := range 24 {
		wg.Go(func() {
			params := fmt.Sprintf(`{"i":%d}`, i)
			res, err := x.Execute(t.Context(), Request(params))
			if err != nil || string(res.Output) != s.want(params) {
				t.Errorf("output = %s, %v, want %s", res.Output, err, s.want(params))
			}
		})
	}
	wg.Wait()
}

func endedBefore(t *testing.T, s Subject) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if f := Fault(ctx, t, s.Succeed(t), Request(`{}`)); f.Acted != steps.ActedNo {
		t.Errorf("acted = %s of an attempt whose context had ended before, want no", f.Acted)
	}
}

func (s Subject) acted() steps.Acted {
	if s.Acted == "" {
		return steps.ActedMaybe
	}
	return s.Acted
}

// hang executes against another side that never answers, ends the context once that is at work, and returns the fault.
func hang(t *testing.T, s Subject, ctx context.Context, end func()) steps.Fault {
	t.Helper()
	if s.Hang == nil {
		t.Skip("it never hangs")
	}
	started, result := make(chan struct{}), make(chan error, 1)
	x := s.Hang(t, started)
	go func() {
		_, err := x.Execute(ctx, Request(`{"order":"A-1009"}`))
		result <- err
	}()
	wait(t, started, "the other side never got the call")
	end()
	select {
	case err := <-result:
		if err == nil {
			t.Fatal("succeeded, though the other side never answered")
		}
		f := proper(t, err)
		if f.Acted != s.acted() {
			t.Errorf("acted = %s, want %s", f.Acted, s.acted())
		}
		return f
	case <-time.After(soon):
		t.Fatalf("did not return within %s of the end of its context", soon)
		return steps.Fault{}
	}
}

func wait(t *testing.T, c <-chan struct{}, message string) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(soon):
		t.Fatal(message)
	}
}

// deadline is a context whose deadline passes when the test says so, and not while a slow machine is still starting
// what is to hang.
type deadline struct {
	context.Context
	passed chan struct{}
}

func (d deadline) Done() <-chan struct{} { return d.passed }

func (d deadline) Err() error {
	select {
	case <-d.passed:
		return context.DeadlineExceeded
	default:
		return nil
	}
}

func timesOut(t *testing.T, s Subject) {
	ctx := deadline{t.Context(), make(chan struct{})}
	if f := hang(t, s, ctx, func() { close(ctx.passed) }); f.Class != steps.Timeout {
		t.Errorf("class = %s, want timeout", f.Class)
	}
}

func cancels(t *testing.T, s Subject) {
	ctx, cancel := context.WithCancelCause(t.Context())
	f := hang(t, s, ctx, func() { cancel(errors.New("the worker is leaving")) })
	if f.Class == steps.Timeout || !bytes.Contains([]byte(f.Message), []byte("the worker is leaving")) {
		t.Errorf("fault = %v, want one that is no timeout and names the cause", f)
	}
}

func cancelsWithFault(t *testing.T, s Subject) {
	ctx, cancel := context.WithCancelCause(t.Context())
	f := hang(t, s, ctx, func() { cancel(steps.Fault{Class: steps.PolicyDenied, Message: "the run was cancelled by ann"}) })
	if f.Class != steps.PolicyDenied || !bytes.Contains([]byte(f.Message), []byte("cancelled by ann")) {
		t.Errorf("fault = %v, want the class and message of the cause", f)
	}
}

func unusable(t *testing.T, s Subject) {
	for name, answer := range map[string]Make{"large": s.Large, "garbage": s.Garbage, "nothing": s.Nothing, "bad UTF-8": s.BadUTF8} {
		if answer == nil {
			continue
		}
		t.Run(name, func(t *testing.T) {
			f := Fault(t.Context(), t, answer(t), Request(`{}`))
			if f.Class != steps.InvalidOutput || f.Acted != s.acted() {
				t.Errorf("fault = %+v, want invalid_output with acted = %s", f, s.acted())
			}
		})
	}
}

func fails(t *testing.T, s Subject) {
	if s.Fail == nil {
		t.Skip("it never fails")
	}
	_ = Fault(t.Context(), t, s.Fail(t), Request(`{}`))
}
