package belay_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"belay"
	"belay/belaytype"
)

// script is a rung that gives one answer after the other; the last one stays.
func script(name string, answers ...error) (belay.Rung[string], *int) {
	calls := new(int)
	return belay.Try(name, func(context.Context) (string, error) {
		err := answers[min(*calls, len(answers)-1)]
		*calls++
		return name, err
	}), calls
}

var errNo = errors.New("no")

// TestDoGoesDownTheLadder: each kind of error, what is tried because of it, and what comes out.
func TestDoGoesDownTheLadder(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name         string
		first        []error
		unsafe       bool
		calls, below int
		rung, cause  string // of the result
		is           error  // of the error
		class        belaytype.Class
	}{
		{name: "at once", first: []error{nil}, calls: 1, rung: "first"},
		{name: "on the third try", first: []error{belay.TryAgain(errNo), belay.TryAgain(errNo), nil}, calls: 3, rung: "first"},
		{name: "a plain error is not retried", first: []error{errNo}, calls: 1, below: 1, rung: "second", cause: "tool_error: no"},
		{name: "permanent", first: []error{belay.Permanent(errNo)}, calls: 1, below: 1, rung: "second", cause: "tool_error: no"},
		{name: "unavailable for good", first: []error{belay.TryAgain(errNo)}, calls: 3, below: 1, rung: "second", cause: "unavailable: no"},
		{name: "come back later", first: []error{belay.RetryAfter(time.Hour, errNo)}, calls: 1, below: 1, rung: "second", cause: "rate_limited: no"},
		{name: "come back soon", first: []error{belay.RetryAfter(time.Minute, errNo), nil}, calls: 2, rung: "first"},
		{name: "a person is needed", first: []error{belay.NeedHuman(errNo)}, calls: 1, is: errNo, class: belaytype.NeedsHuman},
		{name: "unsafe, may have acted", first: []error{belay.TryAgain(errNo)}, unsafe: true, calls: 1, is: belay.ErrUnknown, class: belaytype.Unknown},
		{name: "unsafe, a plain error", first: []error{errNo}, unsafe: true, calls: 1, is: belay.ErrUnknown, class: belaytype.Unknown},
		{name: "unsafe, nothing happened", first: []error{belay.NothingHappened(belay.TryAgain(errNo)), nil}, unsafe: true, calls: 2, rung: "first"},
		{name: "unsafe, nothing happened, ever", first: []error{belay.NothingHappened(errNo)}, unsafe: true, calls: 1, below: 1, rung: "second", cause: "tool_error: no"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				first, calls := script("first", tt.first...)
				second, below := script("second", nil)
				if tt.unsafe {
					first = first.Unsafe()
				}
				out, err := belay.Do(t.Context(), belay.Policy{}, first, second)
				if *calls != tt.calls || *below != tt.below {
					t.Errorf("called %d and %d times, want %d and %d", *calls, *below, tt.calls, tt.below)
				}
				if out.Rung != tt.rung || out.Value != tt.rung || out.Cause != tt.cause || out.Degraded != (tt.cause != "") || len(out.Attempts) != tt.calls+tt.below {
					t.Errorf("%+v", out)
				}
				if tt.is == nil && err == nil {
					return
				}
				do, ok := errors.AsType[*belay.DoError](err)
				if _, human := errors.AsType[*belay.NeedHumanError](err); human != (tt.class == belaytype.NeedsHuman) {
					t.Errorf("a person is needed: %v", human)
				}
				if !ok || !errors.Is(err, tt.is) || do.Fault.Class != tt.class || !errors.Is(err, errNo) {
					t.Errorf("%v, want %v, class %s", err, tt.is, tt.class)
				}
			})
		})
	}
}

// TestDoKeepsTimes: waits are within their bounds, a try ends at its timeout, and all of it at the budget.
func TestDoKeepsTimes(t *testing.T) {
	t.Parallel()
	hang := func(ctx context.Context) (int, error) {
		<-ctx.Done()
		return 0, ctx.Err()
	}
	deaf := func(context.Context) (int, error) {
		time.Sleep(time.Hour) // in the bubble
		return 0, nil
	}
	tests := []struct {
		name        string
		policy      belay.Policy
		rung        belay.Rung[int]
		least, most time.Duration
		tries       int
		class       belaytype.Class
	}{
		{"each try", belay.Policy{Timeout: time.Second, Retry: belay.Retry{MaxAttempts: 2, Initial: time.Millisecond}}, belay.Try("hang", hang), 2 * time.Second, 2*time.Second + 2*time.Millisecond, 2, belaytype.Timeout},
		{"a rung's own", belay.Policy{Timeout: time.Hour}, belay.Try("hang", hang).Within(time.Second).Retry(belay.Retry{MaxAttempts: 1}), time.Second, time.Second, 1, belaytype.Timeout},
		{"in all", belay.Policy{Timeout: 2 * time.Second, Budget: 3 * time.Second, Retry: belay.Retry{MaxAttempts: 9, Initial: time.Millisecond}}, belay.Try("hang", hang), 3 * time.Second, 3 * time.Second, 2, belaytype.Timeout},
		{"one that ignores it is left behind", belay.Policy{Timeout: time.Second, Retry: belay.Retry{MaxAttempts: 1}}, belay.Try("deaf", deaf), time.Second, 2 * time.Second, 1, belaytype.Timeout},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				out, err := belay.Do(t.Context(), tt.policy, tt.rung)
				took := time.Since(began)
				do, ok := errors.AsType[*belay.DoError](err)
				if !ok || do.Fault.Class != tt.class || len(out.Attempts) != tt.tries || took < tt.least || took > tt.most {
					t.Errorf("%v after %s, %d tries", err, took, len(out.Attempts))
				}
				time.Sleep(2 * time.Hour) // what was left behind ends, too
			})
		})
	}
}

// TestDoEndsWithItsContext: also in the middle of a wait; and what may have acted stays unknown.
func TestDoEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		gone := errors.New("the user has left")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(gone) })
		busy, calls := script("busy", belay.RetryAfter(time.Minute, errNo))
		began := time.Now()
		_, err := belay.Do(ctx, belay.Policy{}, busy)
		if !errors.Is(err, gone) || time.Since(began) != time.Second || *calls != 1 {
			t.Errorf("%v after %s, %d calls", err, time.Since(began), *calls)
		}
		if _, err := belay.Do(ctx, belay.Policy{}, busy); !errors.Is(err, gone) || *calls != 1 {
			t.Errorf("begun behind the end: %v", err)
		}
		ctx, cancel = context.WithCancelCause(t.Context())
		pay := belay.Try("pay", func(ctx context.Context) (string, error) {
			cancel(gone)
			return "", ctx.Err()
		}).Unsafe()
		if _, err := belay.Do(ctx, belay.Policy{}, pay); !errors.Is(err, belay.ErrUnknown) || !errors.Is(err, gone) {
			t.Error(err)
		}
	})
}

func TestDoSurvivesItsRungs(t *testing.T) {
	t.Parallel()
	panics := belay.Try("panics", func(context.Context) (string, error) { panic("boom") })
	second, _ := script("second", nil)
	out, err := belay.Do(t.Context(), belay.Policy{}, panics, second)
	if err != nil || !out.Degraded || !strings.Contains(out.Cause, "boom") || out.Attempts[0].Detail == "" {
		t.Errorf("%+v %v", out, err)
	}
	if _, err := belay.Do[int](t.Context(), belay.Policy{}); err == nil {
		t.Error("no rung at all")
	}
}

// TestDoTellsTheRungWhichTryItIs, and classifies what a library says.
func TestDoTellsTheRungWhichTryItIs(t *testing.T) {
	t.Parallel()
	var seen []belay.Attempt
	policy := belay.Policy{Retry: belay.Retry{Initial: time.Millisecond}, Classify: func(err error) error {
		if errors.Is(err, errNo) {
			return belay.TryAgain(err)
		}
		return err
	}}
	out, err := belay.Do(t.Context(), policy, belay.Try("lookup", func(ctx context.Context) (int, error) {
		seen = append(seen, belay.Info(ctx))
		if len(seen) < 3 {
			return 0, errNo
		}
		return len(seen), nil
	}))
	if err != nil || out.Value != 3 || len(out.Attempts) != 3 || out.Degraded {
		t.Fatalf("%+v %v", out, err)
	}
	for i, a := range seen {
		if a.Try != i+1 || a.Rung != "lookup" || a.Key == "" || a.Key != seen[0].Key {
			t.Errorf("try %d: %+v", i+1, a)
		}
	}
}

func BenchmarkDo(b *testing.B) {
	ok := belay.Try("ok", func(context.Context) (int, error) { return 1, nil })
	for b.Loop() {
		if _, err := belay.Do(b.Context(), belay.Policy{}, ok); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDoFallsBack(b *testing.B) {
	no := belay.Try("no", func(context.Context) (int, error) { return 0, errNo })
	ok := belay.Try("ok", func(context.Context) (int, error) { return 1, nil })
	for b.Loop() {
		if _, err := belay.Do(b.Context(), belay.Policy{}, no, ok); err != nil {
			b.Fatal(err)
		}
	}
}
