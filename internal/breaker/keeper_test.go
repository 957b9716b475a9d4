package breaker

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"belay/internal/bus"
	"belay/internal/bus/bustest"
	"belay/internal/steps"
)

var pay = Target{Tool: "pay", Rung: "primary", Host: "api.bank.example"}

var quick = steps.Breaker{Failures: 0.5, Min: 10, Window: steps.Duration(time.Hour), Open: steps.Duration(time.Nanosecond), MaxHold: steps.Duration(time.Minute), Retries: 0.2}

func call(n int) Call {
	return Call{Target: pay, Set: &quick, Unit: fmt.Sprintf("r%d/s", n), Timeout: time.Minute}
}

func keep(t *testing.T, b *bus.Bus, name string) *Keeper {
	t.Helper()
	k := NewKeeper(b, name, slog.New(slog.DiscardHandler))
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		k.Run(ctx)
	}()
	t.Cleanup(func() {
		stop()
		<-done
	})
	select {
	case <-k.Ready():
	case <-time.After(30 * time.Second):
		t.Fatal("it never knows the breakers")
	}
	return k
}

// until waits until all keepers know what is wanted.
func until(t *testing.T, what string, ok func(k *Keeper) bool, all ...*Keeper) {
	t.Helper()
	end := time.After(30 * time.Second)
	for _, k := range all {
		for !ok(k) {
			select {
			case <-k.Changed():
			case <-end:
				t.Fatalf("never %s: %+v", what, k.Records())
			}
		}
	}
}

func in(s State) func(*Keeper) bool {
	return func(k *Keeper) bool {
		list := k.Records()
		return len(list) == 1 && list[0].State == s
	}
}

// TestDispatchersShareABreaker: what two dispatchers count opens it for both, though neither has seen enough failures; one of all that ask is the
// probe; its outcome counts for both. A record that is removed is a closed breaker.
func TestDispatchersShareABreaker(t *testing.T) {
	t.Parallel()
	b := bustest.Start(t, 1)
	one, two := keep(t, b, "one"), keep(t, b, "two")
	for n := range 6 {
		for _, k := range []*Keeper{one, two} {
			if v, _ := k.Judge(call(n)); v != Go {
				t.Fatalf("closed, and %d", v)
			}
			k.Count(call(n), Failed, "timeout: x")
		}
	}
	until(t, "open", in(Open), one, two)
	if list, err := List(t.Context(), b); err != nil || len(list) != 1 || list[0].Calls < 10 || list[0].Failed != list[0].Calls || list[0].Target != pay {
		t.Errorf("%+v, %v", list, err)
	}
	if h, blocked := two.Blocked(call(7)); !blocked || h.Why != steps.HoldBreaker || h.Covers != pay.String() {
		t.Errorf("%+v, %v", h, blocked)
	}
	if one.Trips() == 0 || two.Trips() == 0 {
		t.Errorf("trips: %d and %d", one.Trips(), two.Trips())
	}
	for n := range 20 {
		one.Judge(call(100 + n))
		two.Judge(call(200 + n))
	}
	until(t, "half-open", in(HalfOpen), one, two)
	probe, goes := one.Records()[0].Probe, 0
	for n := range 20 {
		for c, k := range map[int]*Keeper{100 + n: one, 200 + n: two} {
			if v, _ := k.Judge(call(c)); v == Go {
				goes++
				if call(c).Unit != probe {
					t.Errorf("%s goes, and %s is the probe", call(c).Unit, probe)
				}
			}
		}
	}
	if goes != 1 {
		t.Fatalf("%d calls go while it is half-open", goes)
	}
	one.Count(Call{Target: pay, Set: &quick, Unit: probe}, Answered, "")
	two.Count(Call{Target: pay, Set: &quick, Unit: probe}, Answered, "")
	until(t, "a ramp", in(Ramp), one, two)
	one.close(t)
	until(t, "closed", func(k *Keeper) bool { return len(k.Records()) == 0 }, one, two)
	for n := range 10 {
		two.Count(call(n), Failed, "timeout: again")
	}
	until(t, "open again", in(Open), one, two)
}

// close closes the breaker as if its ramp had ended.
func (k *Keeper) close(t *testing.T) {
	t.Helper()
	k.mu.Lock()
	defer k.mu.Unlock()
	k.store(k.of(pay, nil), nil)
}

// TestRetryBudget: retries beyond their share wait until there are more calls; what is let go is counted once, though it is asked about twice.
func TestRetryBudget(t *testing.T) {
	t.Parallel()
	k := NewKeeper(bustest.Start(t, 1), "one", slog.New(slog.DiscardHandler))
	retry := func(n int) Call {
		c := call(n)
		c.Retry = true
		return c
	}
	for n := range retryFloor {
		for range 3 {
			if v, _ := k.Judge(retry(n)); v != Go {
				t.Fatalf("retry %d: %d", n, v)
			}
		}
	}
	v, h := k.Judge(retry(10))
	if v != Stop || h.Why != steps.HoldRetries || k.Release(retry(10)) != Stop {
		t.Fatalf("one more retry: %d, %+v", v, h)
	}
	for n := range 44 {
		k.Judge(call(100 + n))
	}
	if k.Release(retry(10)) != Go || k.Release(retry(11)) != Stop {
		t.Error("of 55 calls 11 may be retries")
	}
	if v, _ := k.Judge(retry(10)); v != Go {
		t.Errorf("it was released, and %d", v)
	}
}

// TestRamp: in a ramp each call waits for its turn, and goes once that has come; that of a ramp that has ended is nobody's any more.
func TestRamp(t *testing.T) {
	t.Parallel()
	k := NewKeeper(bustest.Start(t, 1), "one", slog.New(slog.DiscardHandler))
	ramp := func(revision uint64, began time.Time) {
		r := Trip(pay, quick, 10, 10, "x", k.bus.Now())
		r = r.Probing("r/s", 0, k.bus.Now())
		r = r.Settled(Answered, "", began)
		k.mu.Lock()
		defer k.mu.Unlock()
		k.note(k.of(pay, &quick), &r, revision)
	}
	if _, is := k.Ramp(pay); is {
		t.Error("a closed breaker has no ramp")
	}
	began := k.bus.Now()
	ramp(7, began)
	if v, h := k.Judge(call(0)); v != Turn || h.Why != steps.HoldBreaker || k.Release(call(1)) != Turn {
		t.Errorf("before its turn: %d, %+v", v, h)
	}
	if from, is := k.Ramp(pay); !is || !from.Equal(began) || !k.Let(call(0), began) || !k.Let(call(1), began) {
		t.Errorf("a ramp since %s: %v", from, is)
	}
	for n, want := range []Verdict{Go, Go, Turn} {
		if v, _ := k.Judge(call(n)); v != want {
			t.Errorf("call %d: %d", n, v)
		}
	}
	next := began.Add(time.Second)
	ramp(8, next)
	if k.Let(call(2), began) || k.Release(call(2)) != Turn || !k.Let(call(2), next) {
		t.Error("a turn in a ramp that has ended counts")
	}
	ramp(9, began.Add(-time.Hour)) // it is over
	if _, is := k.Ramp(pay); is || k.Let(call(3), began.Add(-time.Hour)) || k.Release(call(3)) != Go {
		t.Error("a ramp that is over holds calls back")
	}
}
