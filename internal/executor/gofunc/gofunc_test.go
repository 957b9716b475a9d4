package gofunc_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"belay/internal/executor"
	"belay/internal/executor/executortest"
	"belay/internal/executor/gofunc"
	"belay/internal/steps"
)

func answering(output string) executortest.Make {
	return func(*testing.T) executor.Executor {
		return gofunc.New(func(context.Context, executor.Request) (json.RawMessage, error) {
			return json.RawMessage(output), nil
		}, executortest.Limit)
	}
}

func failing(err error) executor.Executor {
	return gofunc.New(func(context.Context, executor.Request) (json.RawMessage, error) { return nil, err }, 0)
}

func TestConformance(t *testing.T) {
	executortest.Exercise(t, executortest.Subject{
		Succeed: func(*testing.T) executor.Executor {
			return gofunc.New(func(_ context.Context, r executor.Request) (json.RawMessage, error) { return r.Params, nil }, 0)
		},
		Hang: func(_ *testing.T, started chan<- struct{}) executor.Executor {
			return gofunc.New(func(ctx context.Context, _ executor.Request) (json.RawMessage, error) {
				close(started)
				<-ctx.Done()
				return nil, fmt.Errorf("asking the shop: %w", ctx.Err())
			}, 0)
		},
		Large:   answering(`"` + strings.Repeat("x", executortest.Limit) + `"`),
		Garbage: answering(`{"a":`),
		Nothing: answering(``),
		BadUTF8: answering("\"\xff\""),
		Fail:    func(*testing.T) executor.Executor { return failing(errors.New("no")) },
	})
}

func TestFaultInChainIsKept(t *testing.T) {
	t.Parallel()
	want := steps.Fault{Class: steps.RateLimited, Acted: steps.ActedNo, Message: "come later", RetryAfter: steps.Duration(time.Minute)}
	for name, err := range map[string]error{
		"value": want, "wrapped": fmt.Errorf("pay: %w", want), "pointer": &want, "joined": errors.Join(errors.New("x"), want),
	} {
		if got := executortest.Fault(t.Context(), t, failing(err), executortest.Request(`{}`)); got != want {
			t.Errorf("%s: fault = %+v, want %+v", name, got, want)
		}
	}
}

func TestUnknownClassBecomesToolError(t *testing.T) {
	t.Parallel()
	f := executortest.Fault(t.Context(), t, failing(steps.Fault{Class: "oops", Acted: steps.ActedNo, Message: "m"}), executortest.Request(`{}`))
	if f.Class != steps.ToolError || !strings.Contains(f.Message, `"oops"`) {
		t.Errorf("fault = %+v, want a tool_error that names the class", f)
	}
}

func TestOwnDeadlineOfHandlerIsTimeout(t *testing.T) {
	t.Parallel()
	f := executortest.Fault(t.Context(), t, failing(fmt.Errorf("shop: %w", context.DeadlineExceeded)), executortest.Request(`{}`))
	if f.Class != steps.Timeout || !f.MayHaveActed() {
		t.Errorf("fault = %+v, want a timeout that may have acted", f)
	}
}

func TestPanicIsToolErrorWithStack(t *testing.T) {
	t.Parallel()
	x := gofunc.New(func(context.Context, executor.Request) (json.RawMessage, error) { panic("boom") }, 0)
	f := executortest.Fault(t.Context(), t, x, executortest.Request(`{}`))
	if f.Class != steps.ToolError || !f.MayHaveActed() || !strings.Contains(f.Message, "boom") || !strings.Contains(f.Detail, "gofunc_test.go") {
		t.Errorf("fault = %+v, want a tool_error with the value and the stack", f)
	}
}

func TestEndedGoroutineIsToolError(t *testing.T) {
	t.Parallel()
	x := gofunc.New(func(context.Context, executor.Request) (json.RawMessage, error) {
		runtime.Goexit()
		return nil, nil
	}, 0)
	if f := executortest.Fault(t.Context(), t, x, executortest.Request(`{}`)); f.Class != steps.ToolError {
		t.Errorf("fault = %+v, want tool_error", f)
	}
}

func TestNoOutputIsNull(t *testing.T) {
	t.Parallel()
	if got := executortest.Output(t.Context(), t, failing(nil), executortest.Request(`{}`)); string(got) != "null" {
		t.Errorf("output = %s, want null", got)
	}
}

func TestHandlerThatIgnoresItsContextIsLeftBehind(t *testing.T) {
	t.Parallel()
	release, started := make(chan struct{}), make(chan struct{})
	defer close(release)
	x := gofunc.New(func(context.Context, executor.Request) (json.RawMessage, error) {
		close(started)
		<-release
		return nil, nil
	}, 0)
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		<-started
		cancel(context.DeadlineExceeded)
	}()
	if f := executortest.Fault(ctx, t, x, executortest.Request(`{}`)); f.Class != steps.Timeout || !f.MayHaveActed() {
		t.Errorf("fault = %+v, want a timeout that may have acted", f)
	}
}
