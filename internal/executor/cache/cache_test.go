package cache_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"belay/internal/bus/bustest"
	"belay/internal/executor"
	"belay/internal/executor/cache"
	"belay/internal/executor/executortest"
	"belay/internal/steps"
)

func bucket(t testing.TB, conn *nats.Conn) cache.Store {
	t.Helper()
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	store, err := cache.OpenBucket(t.Context(), js, cache.BucketOptions{Name: "BELAY_CACHE"})
	if err != nil {
		t.Fatal(err)
	}
	return store
}

func remember(t testing.TB, c *cache.Cache, params, output string) {
	t.Helper()
	if err := c.Remember(t.Context(), "orders.lookup", json.RawMessage(params), json.RawMessage(output)); err != nil {
		t.Fatal(err)
	}
}

// known answers every lookup with what was remembered for the same parameters: the parameters themselves.
type known struct {
	executor.Executor
	t *testing.T
	c *cache.Cache
}

func (k known) Execute(ctx context.Context, req executor.Request) (executor.Result, error) {
	if err := k.c.Remember(context.WithoutCancel(ctx), req.Tool, req.Params, req.Params); err != nil {
		k.t.Error(err)
	}
	return k.Executor.Execute(ctx, req)
}

func TestConformance(t *testing.T) {
	executortest.Exercise(t, executortest.Subject{
		Succeed: func(t *testing.T) executor.Executor {
			c := cache.New(bucket(t, bustest.Connect(t).NATS()))
			return known{c.Executor(executor.Cache{MaxAge: time.Hour}), t, c}
		},
		Age: true,
		Hang: func(_ *testing.T, started chan<- struct{}) executor.Executor {
			return cache.New(&store{get: func(ctx context.Context) error {
				close(started)
				<-ctx.Done()
				return ctx.Err()
			}}).Executor(executor.Cache{})
		},
		Acted: steps.ActedNo,
		Fail: func(t *testing.T) executor.Executor {
			return cache.New(bucket(t, bustest.Connect(t).NATS())).Executor(executor.Cache{})
		},
	})
}

func TestOnlyTheSameParametersHit(t *testing.T) {
	t.Parallel()
	c := cache.New(bucket(t, bustest.Connect(t).NATS()))
	remember(t, c, `{"order":"A-1","n":12345678901234567890}`, `{"paid":1.50}`)
	x := c.Executor(executor.Cache{MaxAge: time.Hour})
	for _, same := range []string{`{"order":"A-1","n":12345678901234567890}`, ` { "n" : 12345678901234567890, "order":"\u0041-1" } `} {
		if got := executortest.Output(t.Context(), t, x, executortest.Request(same)); string(got) != `{"paid":1.50}` {
			t.Errorf("%s: output = %s", same, got)
		}
	}
	for _, other := range []string{`{"order":"A-2","n":12345678901234567890}`, `{"order":"A-1","n":12345678901234567891}`, `{"order":"A-1"}`, `{}`} {
		if f := executortest.Fault(t.Context(), t, x, executortest.Request(other)); f.Class != steps.NotFound || f.Acted != steps.ActedNo {
			t.Errorf("%s: fault = %+v, want not_found that did not act", other, f)
		}
	}
	req := executortest.Request(`{"order":"A-1","n":12345678901234567890}`)
	req.Tool = "orders.other"
	if f := executortest.Fault(t.Context(), t, x, req); f.Class != steps.NotFound {
		t.Errorf("another tool: fault = %+v, want not_found", f)
	}
}

// TestTooDeepIsNoResult: what another version has remembered may be deeper than values may be now.
func TestTooDeepIsNoResult(t *testing.T) {
	t.Parallel()
	c := cache.New(bucket(t, bustest.Connect(t).NATS()))
	remember(t, c, `{}`, strings.Repeat("[", 300)+strings.Repeat("]", 300))
	_, err := c.Executor(executor.Cache{}).Execute(t.Context(), executor.Request{Tool: "orders.lookup", Params: json.RawMessage(`{}`)})
	if f, ok := errors.AsType[steps.Fault](err); !ok || f.Class != steps.InvalidOutput || f.MayHaveActed() {
		t.Errorf("%v; want invalid_output that did not act", err)
	}
}

func TestLastResultCounts(t *testing.T) {
	t.Parallel()
	conn := bustest.Connect(t).NATS()
	c := cache.New(bucket(t, conn))
	remember(t, c, `{}`, `1`)
	remember(t, c, `{}`, `2`)
	again := cache.New(bucket(t, conn)) // another worker finds the bucket there
	if got := executortest.Output(t.Context(), t, again.Executor(executor.Cache{}), executortest.Request(`{}`)); string(got) != "2" {
		t.Errorf("output = %s, want 2", got)
	}
}

func TestWorkersMayOpenTheBucketAtOnce(t *testing.T) {
	t.Parallel()
	conn := bustest.Connect(t).NATS()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() { bucket(t, conn) })
	}
	wg.Wait()
}

func TestTooLargeIsNotRemembered(t *testing.T) {
	t.Parallel()
	s := &store{}
	err := cache.New(s).Remember(t.Context(), "t", json.RawMessage(`{}`), json.RawMessage(`"`+strings.Repeat("x", cache.MaxValue)+`"`))
	if err == nil || s.value != nil {
		t.Errorf("err = %v with %d bytes stored, want an error and nothing stored", err, len(s.value))
	}
}

// store is a store whose clock and failures the test sets.
type store struct {
	value json.RawMessage
	at    time.Time
	get   func(context.Context) error
}

func (s *store) Get(ctx context.Context, _ string) (json.RawMessage, time.Time, bool, error) {
	if s.get != nil {
		return nil, time.Time{}, false, s.get(ctx)
	}
	return s.value, s.at, true, nil
}

func (s *store) Put(_ context.Context, _ string, v json.RawMessage) error {
	s.value = v
	return nil
}

func TestAge(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		age, max time.Duration
		hit      bool
	}{
		{"fresh", time.Minute, time.Hour, true}, {"too old", 2 * time.Hour, time.Hour, false}, {"any age", 1000 * time.Hour, 0, true},
		{"from a clock ahead", -time.Hour, time.Hour, true},
	} {
		s := &store{value: json.RawMessage(`1`), at: time.Now().Add(-c.age)}
		res, err := cache.New(s).Executor(executor.Cache{MaxAge: c.max}).Execute(t.Context(), executortest.Request(`{}`))
		if (err == nil) != c.hit {
			t.Errorf("%s: err = %v, want a hit: %t", c.name, err, c.hit)
		}
		if want := max(c.age, 0); c.hit && (res.Age < want || res.Age > want+time.Minute) {
			t.Errorf("%s: age = %s, want %s", c.name, res.Age, want)
		}
		if f, ok := errors.AsType[steps.Fault](err); !c.hit && (!ok || f.Class != steps.NotFound || f.Acted != steps.ActedNo) {
			t.Errorf("%s: fault = %+v, want not_found that did not act", c.name, f)
		}
	}
}

func TestBrokenStoreFailsOnlyItsRung(t *testing.T) {
	t.Parallel()
	broken := &store{get: func(context.Context) error { return errors.New("disk on fire") }}
	f := executortest.Fault(t.Context(), t, cache.New(broken).Executor(executor.Cache{}), executortest.Request(`{}`))
	if f.Class != steps.Unavailable || f.Acted != steps.ActedNo {
		t.Errorf("fault = %+v, want unavailable that did not act", f)
	}
	garbled := &store{value: json.RawMessage(`{"a`), at: time.Now()}
	f = executortest.Fault(t.Context(), t, cache.New(garbled).Executor(executor.Cache{}), executortest.Request(`{}`))
	if f.Class != steps.InvalidOutput || f.Acted != steps.ActedNo {
		t.Errorf("fault = %+v, want invalid_output that did not act", f)
	}
}
