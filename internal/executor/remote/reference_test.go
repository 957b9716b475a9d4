package remote

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"belay/internal/executor"
	"belay/internal/executor/executortest"
	"belay/internal/steps"
)

// TestReferenceOfFaults: docs/faults.md says what comes of programs that do not work.
func TestReferenceOfFaults(t *testing.T) {
	t.Parallel()
	said := func(body string) executortest.Cause {
		return begun(func(t *testing.T, l *lease) {
			w, err := l.failed([]byte(body))
			if err != nil {
				t.Error(err)
			}
			_ = l.hear(w)
		})
	}
	executortest.Agree(t, "remote", "what happens", map[string][]executortest.Cause{
		"the program says how it failed": {
			said(`{"class": "conflict", "message": "so it is", "acted": "no"}`), said(`{"class": "timeout", "message": "so it is"}`),
		},
		"no sign of life for three times `beat_every`": {begun(func(*testing.T, *lease) {})},
		"the timeout passes": {begun(func(_ *testing.T, l *lease) {
			for range 5 {
				_, _ = l.beat("")
				time.Sleep(10 * time.Second)
			}
		})},
		"its output is not JSON, or too large": {begun(func(_ *testing.T, l *lease) { _ = l.hear(l.succeeded([]byte("+OK"), false)) })},
		"it was gone before it got the call":   {goneBefore},
		"nobody polls any more":                {nobodyPolls},
	})
}

// begun lets a program have an attempt of 30 seconds, and do with it.
func begun(do func(*testing.T, *lease)) executortest.Cause {
	return func(t *testing.T) (f steps.Fault) {
		synctest.Test(t, func(t *testing.T) {
			h := NewHub(nil)
			x := h.Executor("t", "primary", executor.Remote{})
			got := waiter(h, time.Minute, "t")
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			a := execute(ctx, reserve(t, x))
			do(t, <-got)
			f = a.fault(t)
		})
		return f
	}
}

func goneBefore(t *testing.T) (f steps.Fault) {
	synctest.Test(t, func(t *testing.T) {
		h := NewHub(nil)
		x := h.Executor("t", "primary", executor.Remote{})
		rungs, _ := h.find([]string{"t"})
		ctx, cancel := context.WithCancel(t.Context())
		p, err := h.enter(rungs, "py-1")
		if err != nil {
			t.Fatal(err)
		}
		a := execute(t.Context(), reserve(t, x))
		l := <-p.answer
		cancel()
		p.take(ctx, l)
		f = a.fault(t)
	})
	return f
}

func nobodyPolls(t *testing.T) (f steps.Fault) {
	synctest.Test(t, func(t *testing.T) {
		h := NewHub(nil)
		x := h.Executor("t", "primary", executor.Remote{})
		got := waiter(h, time.Second, "t")
		seat := reserve(t, x)
		<-got // it has waited for long enough
		f = execute(t.Context(), seat).fault(t)
	})
	return f
}
