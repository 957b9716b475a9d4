package worker

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"belay/internal/injection"
	"belay/internal/ladder"
	"belay/internal/steps"
)

func asked(change func(*injection.Order)) injection.Order {
	now := time.Now()
	o := injection.Order{
		ID: "a1", Tool: tool.Tool, Kind: injection.Fault, Class: steps.Unavailable, Acted: injection.Before, Rate: 1, By: "mia", Made: now, Until: now.Add(time.Minute),
	}
	if change != nil {
		change(&o)
	}
	return o
}

// served is a rung whose tool the worker's own tools file has.
func served(effects steps.Effects, f func()) ladder.Rung {
	rung := ok(f)
	rung.Tool, rung.Effects = &steps.Tool{Name: tool.Tool, Effects: effects}, effects
	return rung
}

func injector(out *bytes.Buffer, own ...injection.Order) *injection.Injector {
	return injection.NewInjector(own, time.Now, slog.New(slog.NewTextHandler(&locked{out: out}, nil)))
}

type locked struct {
	mu  sync.Mutex
	out *bytes.Buffer
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.out == nil {
		return len(p), nil
	}
	return l.out.Write(p)
}

// TestAFaultOnPurpose that somebody asks for while the worker runs is injected in place of the call, and says so; one that is
// about another run never is.
func TestAFaultOnPurpose(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var calls atomic.Int64
	r.start(Options{Injector: injector(nil)}, served(steps.EffectsNone, func() { calls.Add(1) }))
	<-r.newest.Ready()
	for _, o := range []injection.Order{ // the worker hears of them in this order
		asked(func(o *injection.Order) { o.ID, o.Run, o.Made = "other", "r2", o.Made.Add(-time.Second) }),
		asked(func(o *injection.Order) { o.Run = "r" }),
	} {
		if err := injection.Of(r.Bus).Add(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	for try := 1; ; try++ { // until it has heard of them
		m := message(steps.EffectsNone)
		m.Try = try
		r.queue(m)
		switch e := r.outcomeOf(m.Attempt).(type) {
		case steps.Succeeded:
			if calls.Load() != int64(try) {
				t.Fatalf("try %d: %d calls", try, calls.Load())
			}
			continue
		case steps.Failed:
			want := steps.Fault{Class: steps.Unavailable, Acted: steps.ActedNo, Message: "injected by mia (a1): the tool was not called", Injected: "a1"}
			if e.Fault != want || calls.Load() != int64(try-1) {
				t.Errorf("%+v after %d calls", e.Fault, calls.Load())
			}
		}
		return
	}
}

// outcomeOf waits for the outcome of an attempt.
func (r *rig) outcomeOf(a steps.Attempt) (got steps.Event) {
	r.t.Helper()
	r.until(func(e steps.Event) bool {
		got = e
		switch e := e.(type) {
		case steps.Succeeded:
			return e.Attempt == a
		case steps.Failed:
			return e.Attempt == a
		}
		return false
	})
	return got
}

// TestWithoutAnInjectorNothingIsInjected, whatever is asked for.
func TestWithoutAnInjectorNothingIsInjected(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	if err := injection.Of(r.Bus).Add(t.Context(), asked(nil)); err != nil {
		t.Fatal(err)
	}
	r.start(Options{}, served(steps.EffectsNone, func() {}))
	r.queue(message(steps.EffectsNone))
	all := r.until(isOutcome)
	if _, is := all[len(all)-1].(steps.Succeeded); !is {
		t.Errorf("%+v", all)
	}
}

// TestLabelsComeFromTheLog: a step message has none, so the worker reads the submission of the run.
func TestLabelsComeFromTheLog(t *testing.T) {
	t.Parallel()
	for value, hit := range map[string]bool{"acme": true, "other": false} {
		r := newRig(t)
		r.log(steps.Submitted{Epoch: steps.Epoch, Document: definition(t), Input: json.RawMessage(`{}`), Labels: map[string]string{"customer": "acme"}})
		r.start(Options{Injector: injector(nil, asked(func(o *injection.Order) { o.Labels = map[string]string{"customer": value} }))}, served(steps.EffectsNone, func() {}))
		r.queue(message(steps.EffectsNone))
		all := r.until(isOutcome)
		if _, failed := all[len(all)-1].(steps.Failed); failed != hit {
			t.Errorf("customer=%s: %+v", value, all[len(all)-1])
		}
	}
}

func definition(t *testing.T) json.RawMessage {
	t.Helper()
	document, err := json.Marshal(steps.Definition{
		Plan:  steps.Plan{Name: "p", Steps: []steps.Step{{ID: "s", Tool: tool.Tool, OnFailure: steps.OnFailureEscalate}}},
		Tools: map[string]steps.Tool{tool.Tool: {Name: tool.Tool, Effects: steps.EffectsNone, Rungs: []steps.Rung{{Name: tool.Rung, Executor: "go", Retry: steps.RetryPolicy{MaxAttempts: 1, Factor: 2}}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return document
}

// TestUnsafeIsWhatTheWorkerSays: its own tools file decides, whatever the message and the order say.
func TestUnsafeIsWhatTheWorkerSays(t *testing.T) {
	t.Parallel()
	for named, hit := range map[string]bool{"": false, tool.Tool: true} {
		r := newRig(t)
		r.submit(steps.EffectsUnsafe)
		var out bytes.Buffer
		var calls atomic.Int64
		in := injector(&out, asked(func(o *injection.Order) { o.Unsafe, o.Acted = named, injection.After }))
		r.start(Options{Injector: in}, served(steps.EffectsUnsafe, func() { calls.Add(1) }))
		r.queue(message(steps.EffectsUnsafe))
		all := r.until(isOutcome)
		f, failed := all[len(all)-1].(steps.Failed)
		if failed != hit || calls.Load() != 1 {
			t.Errorf("named %q: %+v after %d calls", named, all[len(all)-1], calls.Load())
		}
		if hit && !f.Fault.MayHaveActed() {
			t.Errorf("the tool has acted: %+v", f.Fault)
		}
		if !hit && !strings.Contains(out.String(), "--unsafe t") {
			t.Errorf("it does not say why it is not injected: %q", out.String())
		}
	}
}

// TestADeathOnPurposeHappensOnce: the log hears of the start before the worker is gone, the next worker gets the message,
// and the same order does not kill that one too.
func TestADeathOnPurposeHappensOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.submit(steps.EffectsNone)
	dead := make(chan struct{})
	order := asked(func(o *injection.Order) { o.Kind, o.Class = injection.Kill, "" })
	dies := injector(nil, order)
	var first *Worker
	dies.Kill = sync.OnceFunc(func() {
		first.Bus.Close() // as far as the server can see
		close(dead)
	})
	r.start(Options{Name: "w1", Injector: dies, DrainTimeout: time.Millisecond, StopGrace: time.Millisecond}, served(steps.EffectsNone, func() { t.Error("the dead worker has called the tool") }))
	first = r.newest
	<-first.Ready()
	r.queue(message(steps.EffectsNone))
	<-dead
	lives := injector(nil, order)
	lives.Kill = func() { t.Error("a second worker is killed by one order") }
	r.start(Options{Name: "w2", Injector: lives}, served(steps.EffectsNone, func() {}))
	all := r.until(isOutcome)
	started, noted := false, false
	for _, e := range all {
		switch e := e.(type) {
		case steps.Started:
			started = started || e.Worker == "w1" && e.Delivery == ""
		case steps.Progress:
			noted = noted || e.Message == "injected by mia (a1): its worker dies before the call"
		}
	}
	if _, is := all[len(all)-1].(steps.Succeeded); !is || !started || !noted {
		t.Errorf("%+v", all)
	}
}

// TestAPartitionOnPurpose cuts the line before the call, and the call goes on.
func TestAPartitionOnPurpose(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.submit(steps.EffectsNone)
	in := injector(nil, asked(func(o *injection.Order) {
		o.Kind, o.Class, o.Delay = injection.Partition, "", steps.Duration(time.Second)
	}))
	var cut atomic.Int64
	in.Cut = func(d time.Duration) { cut.Store(int64(d)) }
	r.start(Options{Injector: in}, served(steps.EffectsNone, func() {
		if time.Duration(cut.Load()) != time.Second {
			t.Error("the call begins before the cut")
		}
	}))
	r.queue(message(steps.EffectsNone))
	r.until(func(e steps.Event) bool { _, is := e.(steps.Succeeded); return is })
	if n := in.Counts()["a1"]; n != 1 {
		t.Errorf("counted %d times", n)
	}
}

// TestWhatIsInjectedIsObserved with its class, beside the outcome.
func TestWhatIsInjectedIsObserved(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	seen := &watching{}
	r.start(Options{Observer: seen, Injector: injector(nil, asked(nil))}, served(steps.EffectsNone, func() {}))
	r.queue(message(steps.EffectsNone))
	r.fault(steps.Unavailable)
	if what := seen.what.Load(); what == nil || *what != "unavailable" {
		t.Error(what)
	}
	ws, err := r.Workers(t.Context())
	for limit := time.Now().Add(30 * time.Second); err == nil && len(ws) == 0 && time.Now().Before(limit); { // it says so beside its work
		ws, err = r.Workers(t.Context())
	}
	if err != nil || len(ws) != 1 || ws[0].Faults == nil || ws[0].Faults.Injected["a1"] != 1 || strings.Join(ws[0].Faults.Kinds, " ") != "fault slow" {
		t.Errorf("%+v %v", ws, err)
	}
}

type watching struct {
	nobody
	what atomic.Pointer[string]
}

func (w *watching) Injected(_ steps.StepMessage, what string) { w.what.Store(&what) }

// TestOwnFaultsAreShown: people see what a worker injects of its own settings while it runs, and no other worker does it.
func TestOwnFaultsAreShown(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	stop := r.start(Options{Name: "w1", Injector: injector(nil, asked(nil))}, served(steps.EffectsNone, func() {}))
	<-r.newest.Ready()
	all, err := injection.Of(r.Bus).List(context.Background())
	if err != nil || len(all) != 1 || all[0].Worker != "w1" {
		t.Fatalf("%+v %v", all, err)
	}
	stop()
	if all, err = injection.Of(r.Bus).List(context.Background()); err != nil || len(all) != 0 {
		t.Errorf("%+v %v", all, err)
	}
}

// TestAFaultOnPurposeNeedsNoProgram: in place of a call of a remote rung, the program that waits for one is left alone, and
// gets the next.
func TestAFaultOnPurposeNeedsNoProgram(t *testing.T) {
	t.Parallel()
	r, p := newRig(t), newPrograms(t)
	var over atomic.Bool
	now := func() time.Time {
		if over.Load() {
			return time.Now().Add(time.Hour)
		}
		return time.Now()
	}
	rung := p.rung()
	rung.Tool = &steps.Tool{Name: tool.Tool, Effects: steps.EffectsNone}
	r.start(Options{Injector: injection.NewInjector([]injection.Order{asked(nil)}, now, slog.New(slog.DiscardHandler))}, rung)
	lease := make(chan string, 1)
	go func() { lease <- p.poll() }()
	m := message(steps.EffectsNone)
	r.queue(m)
	if f := r.fault(steps.Unavailable); f.Injected != "a1" {
		t.Errorf("%+v", f)
	}
	over.Store(true)
	m.Try = 2
	r.queue(m)
	p.say(http.StatusNoContent, <-lease+"/succeed", `{"output":{"done":true}}`)
	if e, is := r.outcomeOf(m.Attempt).(steps.Succeeded); !is {
		t.Errorf("%+v", e)
	}
}
