package cache_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"belay/internal/executor"
	"belay/internal/executor/cache"
	"belay/internal/executor/executortest"
	"belay/internal/steps"
)

// opener opens a store, or fails with err, and counts.
type opener struct {
	err   error
	store store
	tries int
}

func (o *opener) open(context.Context) (cache.Store, error) {
	o.tries++
	if o.err != nil {
		return nil, o.err
	}
	return &o.store, nil
}

func TestLazyStoreIsTriedAgainButNotAtEveryCall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := &opener{err: errors.New("no space")}
		c := cache.New(cache.NewLazy(0, o.open))
		x := c.Executor(executor.Cache{})
		for round := 1; round <= 3; round++ {
			for range 10 {
				f := executortest.Fault(t.Context(), t, x, executortest.Request(`{}`))
				if want := (steps.Fault{Class: steps.Unavailable, Acted: steps.ActedNo, Message: "the cache cannot be read: no space"}); f != want {
					t.Fatalf("fault = %+v, want %+v", f, want)
				}
				remember(t, c, `{}`, `1`)
			}
			time.Sleep(5*time.Second - 1) // the clock of the bubble
			if executortest.Fault(t.Context(), t, x, executortest.Request(`{}`)); o.tries != round {
				t.Fatalf("opened %d times within %d times five seconds", o.tries, round)
			}
			time.Sleep(time.Nanosecond)
		}
		o.err = nil
		for range 10 {
			remember(t, c, `{}`, `2`)
			o.store.at = time.Now()
			if got := executortest.Output(t.Context(), t, x, executortest.Request(`{}`)); string(got) != `2` {
				t.Fatalf("output = %s, want 2", got)
			}
			time.Sleep(time.Hour)
		}
		if o.tries != 4 {
			t.Errorf("opened %d times, want 4: an open store stays open", o.tries)
		}
	})
}

// TestNobodyWaitsForAnotherCallersTry: JetStream does not answer, and a try ends in time by itself.
func TestNobodyWaitsForAnotherCallersTry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := cache.NewLazy(0, func(ctx context.Context) (cache.Store, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		})
		began := time.Now()
		go l.Get(t.Context(), "k")
		synctest.Wait()
		if _, _, _, err := l.Get(t.Context(), "k"); err == nil || time.Since(began) > 0 {
			t.Errorf("another lookup: %v after %s, want an error at once", err, time.Since(began))
		}
		if err := l.Put(t.Context(), "k", nil); err != nil || time.Since(began) > 0 {
			t.Errorf("another result: %v after %s, want it dropped at once", err, time.Since(began))
		}
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if _, err := l.Open(t.Context()); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("after five seconds: %v, want the try to have timed out", err)
		}
	})
}

func TestCallerThatGivesUpSaysNothingOfTheStore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := &opener{err: errors.New("no space")}
		l := cache.NewLazy(0, o.open)
		l.Open(t.Context())
		time.Sleep(time.Minute)
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		o.err = context.Canceled
		l.Open(gone)
		if _, err := l.Open(t.Context()); o.tries != 2 || err == nil || err.Error() != "no space" {
			t.Errorf("after %d tries: %v, want what the bucket itself said", o.tries, err)
		}
	})
}

func TestErrorsOfAnOpenLazyStoreAreTold(t *testing.T) {
	t.Parallel()
	lost := errors.New("lost")
	l := cache.NewLazy(0, func(context.Context) (cache.Store, error) { return broken{lost}, nil })
	if _, _, _, err := l.Get(t.Context(), "k"); !errors.Is(err, lost) {
		t.Errorf("get: %v", err)
	}
	if err := l.Put(t.Context(), "k", json.RawMessage(`1`)); !errors.Is(err, lost) {
		t.Errorf("put: %v", err)
	}
}

type broken struct{ err error }

func (b broken) Get(context.Context, string) (json.RawMessage, time.Time, bool, error) {
	return nil, time.Time{}, false, b.err
}

func (b broken) Put(context.Context, string, json.RawMessage) error { return b.err }
