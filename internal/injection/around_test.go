package injection

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"belay/internal/executor"
	"belay/internal/steps"
)

// tool counts its calls, and takes a while.
type tool struct {
	calls int
	takes time.Duration
	err   error
}

func (x *tool) Execute(ctx context.Context, _ executor.Request) (executor.Result, error) {
	x.calls++
	select {
	case <-time.After(x.takes):
		return executor.Result{Output: json.RawMessage(`1`)}, x.err
	case <-ctx.Done():
		return executor.Result{}, executor.Stopped(ctx, steps.ActedMaybe)
	}
}

// TestWhatAroundDoes: whether the tool acts is as it was asked for, and said; a fault says that it was injected, by whom.
func TestWhatAroundDoes(t *testing.T) {
	t.Parallel()
	slow := func(when When, delay time.Duration) func(*Order) {
		return func(o *Order) { o.Kind, o.Class, o.Acted, o.Delay = Slow, "", when, steps.Duration(delay) }
	}
	for name, c := range map[string]struct {
		order func(*Order)
		takes time.Duration
		calls int
		class steps.Class // empty = it succeeds
		acted steps.Acted
		says  string
		lasts time.Duration
	}{
		"a fault":                     {nil, 0, 0, steps.Unavailable, steps.ActedNo, "the tool was not called", 0},
		"a fault after the call":      {func(o *Order) { o.Acted = After }, time.Second, 1, steps.Unavailable, steps.ActedMaybe, "the tool was called, and its result was dropped", time.Second},
		"with a reason":               {func(o *Order) { o.Reason = "game day" }, 0, 0, steps.Unavailable, steps.ActedNo, "game day; the tool was not called", 0},
		"a slow call":                 {slow(Before, 2*time.Second), time.Second, 1, "", "", "", 3 * time.Second},
		"a slow answer":               {slow(After, 2*time.Second), time.Second, 1, "", "", "", 3 * time.Second},
		"a call that is too slow":     {slow(Before, time.Minute), time.Second, 0, steps.Timeout, steps.ActedNo, "the call begins 1m0s late; did not end within its timeout", 5 * time.Second},
		"an answer that is too slow":  {slow(After, time.Minute), time.Second, 1, steps.Timeout, steps.ActedMaybe, "its answer comes 1m0s late; did not end", 5 * time.Second},
		"a call that begins too late": {slow(Before, 4*time.Second), 2 * time.Second, 1, steps.Timeout, steps.ActedMaybe, "did not end within its timeout", 5 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			x, began := &tool{takes: c.takes}, time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			_, err := order(c.order).Around(x).Execute(ctx, executor.Request{})
			if x.calls != c.calls || time.Since(began) != c.lasts {
				t.Errorf("%s: %d calls, after %s", name, x.calls, time.Since(began))
			}
			f, failed := errors.AsType[steps.Fault](err)
			if failed != (c.class != "") {
				t.Errorf("%s: %v", name, err)
			}
			if failed && (f.Class != c.class || f.Acted != c.acted || f.Injected != "a1" || !strings.HasPrefix(f.Message, "injected by mia (a1): ") || !strings.Contains(f.Message, c.says)) {
				t.Errorf("%s: %+v", name, f)
			}
		})
	}
}

// TestAFaultAfterACallThatFails keeps why that failed, as evidence; what it waits for is passed on.
func TestAFaultAfterACallThatFails(t *testing.T) {
	t.Parallel()
	o := order(func(o *Order) {
		o.Acted, o.Class, o.RetryAfter = After, steps.RateLimited, steps.Duration(3*time.Second)
	})
	_, err := o.Around(&tool{err: errors.New("no such order")}).Execute(t.Context(), executor.Request{})
	f, _ := errors.AsType[steps.Fault](err)
	if f.Class != steps.RateLimited || f.RetryAfter != o.RetryAfter || f.Detail != "the call itself failed: no such order" {
		t.Errorf("%+v", f)
	}
}

// TestARealFaultOfASlowCallStaysReal: a delay that was survived is no reason for what the tool says.
func TestARealFaultOfASlowCallStaysReal(t *testing.T) {
	t.Parallel()
	var notes []string
	o := order(func(o *Order) { o.Kind, o.Class, o.Delay = Slow, "", 1 })
	_, err := o.Around(&tool{err: steps.Fault{Class: steps.NotFound, Message: "no such order"}}).Execute(t.Context(), executor.Request{Progress: func(s string) { notes = append(notes, s) }})
	if f, _ := errors.AsType[steps.Fault](err); f.Injected != "" || f.Message != "no such order" {
		t.Errorf("%+v", f)
	}
	if len(notes) != 1 || !strings.HasPrefix(notes[0], "injected by mia (a1): the call begins ") {
		t.Errorf("%q", notes)
	}
}
