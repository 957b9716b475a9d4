package worker

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"belay/internal/bus"
	"belay/internal/bus/embedded"
	"belay/internal/executor"
	"belay/internal/ladder"
	"belay/internal/steps"
	"belay/internal/wire"
)

// rig is a real server with a bus, and workers that the test starts.
type rig struct {
	newest *Worker // the one that was started last
	t      testing.TB
	server *embedded.Server
	*bus.Bus
	ackWait time.Duration // of all workers
}

func newRig(t testing.TB) *rig {
	t.Helper()
	s, err := embedded.Start(embedded.Options{StoreDir: t.TempDir(), Durability: embedded.Interval})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Shutdown)
	r := &rig{t: t, server: s, ackWait: ackWait}
	r.Bus = r.connect()
	if err := r.Setup(context.Background(), bus.SetupOptions{Partitions: 1}); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *rig) connect() *bus.Bus {
	r.t.Helper()
	b, err := bus.Connect(context.Background(), bus.Options{InProcess: r.server})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(b.Close)
	return b
}

// ackWait is how long workers may be silent, unless a test needs them to be lost: a busy machine stands still for seconds.
const ackWait = 10 * time.Second

var tool = ladder.Key{Tool: "t", Rung: "primary"}

// start starts a worker on a connection of its own; stop drains it, and is called at the end anyway.
func (r *rig) start(o Options, rung ladder.Rung) (stop func()) {
	r.t.Helper()
	b := r.connect()
	if err := b.Open(context.Background()); err != nil {
		r.t.Fatal(err)
	}
	if rung.Effects == "" {
		rung.Effects = steps.EffectsNone // what is unsafe about an attempt is its message's word in these tests
	}
	o.Bus, o.Tools, o.AckWait = b, map[ladder.Key]ladder.Rung{tool: rung}, r.ackWait
	if o.Name == "" {
		o.Name = "w"
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	r.newest = New(o)
	go func(w *Worker) { done <- w.Run(ctx) }(r.newest)
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			r.t.Error(err)
		}
	})
	r.t.Cleanup(stop)
	return stop
}

func message(effects steps.Effects) steps.StepMessage {
	return steps.StepMessage{
		Run: "r", Attempt: steps.Attempt{Step: "s", Try: 1}, Tool: tool.Tool, RungName: tool.Rung, Effects: effects,
		Params: json.RawMessage(`{}`), Key: "r/s/0", Timeout: steps.Duration(30 * time.Second),
	}
}

func (r *rig) queue(m steps.StepMessage) {
	r.t.Helper()
	r.put(r.Names().StepsStream(), r.Names().Step(m.Tool, m.RungName, m.Run, m.Attempt), wire.EncodeStep(m))
}

func (r *rig) put(stream, subject string, body []byte) {
	r.t.Helper()
	if _, err := r.PublishWait(context.Background(), stream, bus.Message{Subject: subject, Data: body}); err != nil {
		r.t.Fatal(err)
	}
}

// log appends an event to the run's log, as somebody else.
func (r *rig) log(e steps.Event) {
	r.t.Helper()
	kind, body, err := wire.EncodeEvent(e)
	if err != nil {
		r.t.Fatal(err)
	}
	subject := r.Names().Log(0, "r", kind)
	if c, ok := e.(steps.Claimed); ok {
		subject = r.Names().Claim(0, "r", c.Attempt)
	}
	r.put(r.Names().RunsStream(0), subject, body)
}

// submit writes the run that [message] is of into the log.
func (r *rig) submit(effects steps.Effects) {
	r.t.Helper()
	document, err := json.Marshal(steps.Definition{
		Plan: steps.Plan{Name: "p", Steps: []steps.Step{{ID: "s", Tool: tool.Tool, OnFailure: steps.OnFailureEscalate}}},
		Tools: map[string]steps.Tool{tool.Tool: {
			Name: tool.Tool, Effects: effects, Rungs: []steps.Rung{{Name: tool.Rung, Executor: "go", Retry: steps.RetryPolicy{MaxAttempts: 1, Factor: 2}}},
		}},
	})
	if err != nil {
		r.t.Fatal(err)
	}
	r.log(steps.Submitted{Epoch: steps.Epoch, Document: document, Input: json.RawMessage(`{}`)})
}

// until follows the run's log until want says that it has what the test waits for, and returns everything up to there.
func (r *rig) until(want func(steps.Event) bool) []steps.Event {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var all []steps.Event
	found := false
	err := r.FollowLog(ctx, "r", 0, func(e bus.Entry) {
		_, _, kind, _ := r.Names().ParseLog(e.Subject)
		ev, err := wire.DecodeEvent(kind, e.Data)
		if err != nil || found {
			return
		}
		all = append(all, ev)
		if want(ev) {
			found = true
			cancel()
		}
	})
	if !found {
		r.t.Fatalf("it did not come; the log has %+v (%v)", all, err)
	}
	return all
}

func isOutcome(e steps.Event) bool {
	switch e.(type) {
	case steps.Succeeded, steps.Failed:
		return true
	}
	return false
}

// fault waits for the outcome, which must be a failure of a class.
func (r *rig) fault(class steps.Class) steps.Fault {
	r.t.Helper()
	all := r.until(isOutcome)
	f, ok := all[len(all)-1].(steps.Failed)
	if !ok || f.Fault.Class != class {
		r.t.Fatalf("the outcome is %+v, not a failure as %s", all[len(all)-1], class)
	}
	return f.Fault
}

// drained waits until the queue is empty: everything in it is acknowledged.
func (r *rig) drained() {
	r.t.Helper()
	deadline := time.Now().Add(time.Minute)
	for time.Now().Before(deadline) {
		left, err := r.Subjects(context.Background(), r.Names().StepsStream(), r.Names().StepsSubjects())
		if err == nil && len(left) == 0 {
			return
		}
	}
	r.t.Fatal("the queue does not get empty")
}

func ok(f func()) ladder.Rung {
	return ladder.Rung{Executor: executor.Func(func(context.Context, executor.Request) (executor.Result, error) {
		f()
		return executor.Result{Output: json.RawMessage(`{"done":true}`)}, nil
	})}
}

func fails(f func(ctx context.Context) error) ladder.Rung {
	return ladder.Rung{Executor: executor.Func(func(ctx context.Context, _ executor.Request) (executor.Result, error) {
		return executor.Result{}, f(ctx)
	})}
}

// takeSilently takes the queued message as a worker that then says nothing any more. It is missed soon.
func (r *rig) takeSilently() {
	r.t.Helper()
	r.ackWait = time.Second
	taken := make(chan struct{}, 1)
	c, err := r.connectOpen().ConsumeSteps(context.Background(), tool.Tool, tool.Rung, bus.StepsOptions{AckWait: r.ackWait}, func(bus.Delivery) { taken <- struct{}{} })
	if err != nil {
		r.t.Fatal(err)
	}
	<-taken
	c.Stop()
	<-c.Done()
}

func (r *rig) connectOpen() *bus.Bus {
	b := r.connect()
	if err := b.Open(context.Background()); err != nil {
		r.t.Fatal(err)
	}
	return b
}

func TestOneOfTwoWorkersExecutesAnUnsafeAttempt(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.submit(steps.EffectsUnsafe)
	var effects atomic.Int64
	for _, name := range []string{"w1", "w2"} {
		r.start(Options{Name: name}, ok(func() { effects.Add(1) }))
	}
	m := message(steps.EffectsUnsafe)
	r.queue(m)
	r.until(isOutcome)
	r.drained()
	// The same attempt again, as after a purge that came too late: the claim is taken and its outcome is there.
	r.queue(m)
	r.drained()
	if n := effects.Load(); n != 1 {
		t.Fatalf("executed %d times", n)
	}
}

func TestClaimedAndSilentIsUnknown(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.submit(steps.EffectsUnsafe)
	r.queue(message(steps.EffectsUnsafe))
	r.takeSilently()
	r.log(steps.Claimed{Attempt: message("").Attempt, Worker: "dead"})
	r.start(Options{}, ok(func() { t.Error("executed although another worker had claimed it") }))
	if f := r.fault(steps.Unknown); f.Acted != steps.ActedMaybe {
		t.Errorf("acted %q", f.Acted)
	}
	r.drained()
}

func TestWithdrawnIsNotExecuted(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.submit(steps.EffectsUnsafe)
	r.log(steps.Claimed{Attempt: message("").Attempt})
	r.start(Options{}, ok(func() { t.Error("executed although it was withdrawn") }))
	r.queue(message(steps.EffectsUnsafe))
	r.drained()
}

func TestLostWorkerIsMadeUpFor(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.queue(message(steps.EffectsNone))
	r.takeSilently()
	r.start(Options{Name: "second"}, ok(func() {}))
	all := r.until(isOutcome)
	if s, ok := all[0].(steps.Started); !ok || s.Delivery == "" || s.Worker != "second" {
		t.Errorf("a redelivery begins with %+v, not with an awaited Started", all[0])
	}
	r.drained()
}

func TestDoneBeforeIsOnlyAcknowledged(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.queue(message(steps.EffectsIdempotent))
	r.log(steps.Succeeded{Attempt: message("").Attempt, Worker: "before", Output: json.RawMessage(`1`)})
	r.start(Options{}, ok(func() { t.Error("executed although its outcome is in the log") }))
	r.drained()
}

func TestCrashBudget(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.queue(message(steps.EffectsNone))
	for _, delivery := range []string{"d1", "d2", "d3"} {
		r.log(steps.Started{Attempt: message("").Attempt, Worker: "dead", Delivery: delivery})
	}
	r.start(Options{}, ok(func() { t.Error("executed although it has ended three workers") }))
	r.fault(steps.Crashed)
}

func TestPanicIsAFault(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.start(Options{}, fails(func(context.Context) error { panic("boom") }))
	r.queue(message(steps.EffectsNone))
	f := r.fault(steps.ToolError)
	if !strings.Contains(f.Message, "boom") || !strings.Contains(f.Detail, "worker_test.go") {
		t.Errorf("the fault does not say what happened where: %+v", f)
	}
	r.drained()
}

func TestExecutorThatIgnoresItsDeadlineIsLeftBehind(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	never := make(chan struct{})
	defer close(never)
	r.start(Options{Concurrency: 1, StopGrace: 50 * time.Millisecond}, fails(func(context.Context) error { <-never; return nil }))
	m := message(steps.EffectsNone)
	m.Timeout = steps.Duration(50 * time.Millisecond)
	r.queue(m)
	r.fault(steps.Timeout)
	m.Attempt.Step = "next" // the one slot is free again
	r.queue(m)
	r.until(func(e steps.Event) bool { f, ok := e.(steps.Failed); return ok && f.Step == "next" })
}

func TestStopWordEndsAnAttempt(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	began := make(chan struct{})
	r.start(Options{}, fails(func(ctx context.Context) error {
		close(began)
		<-ctx.Done()
		return context.Cause(ctx)
	}))
	m := message(steps.EffectsNone)
	r.queue(m)
	<-began
	if err := r.Tell(r.Names().Stop(m.Run, m.Attempt), nil); err != nil {
		t.Fatal(err)
	}
	if f := r.fault(steps.Unavailable); !strings.Contains(f.Message, "stopped") {
		t.Errorf("the fault says %q", f.Message)
	}
}

func TestPastItsDeadlineIsNotExecuted(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.submit(steps.EffectsUnsafe)
	r.start(Options{}, ok(func() { t.Error("executed after the end of the step's budget") }))
	m := message(steps.EffectsUnsafe)
	m.Deadline = time.Now().Add(-time.Second)
	r.queue(m)
	if f := r.fault(steps.DeadlineExceeded); f.Acted != steps.ActedNo {
		t.Errorf("acted %q", f.Acted)
	}
}

func TestNotBeforeItsTime(t *testing.T) {
	t.Parallel()
	for _, early := range []time.Duration{300 * time.Millisecond, 1500 * time.Millisecond} { // in hand; handed back
		r := newRig(t)
		at := make(chan time.Time, 1)
		r.start(Options{}, ok(func() { at <- time.Now() }))
		m := message(steps.EffectsNone)
		m.NotBefore = time.Now().Add(early)
		r.queue(m)
		if began := <-at; began.Before(m.NotBefore) {
			t.Errorf("%v early: executed %v before its time", early, m.NotBefore.Sub(began))
		}
	}
}

func TestUnreadableMessageFailsItsAttempt(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.start(Options{}, ok(func() { t.Error("executed") }))
	m := message(steps.EffectsNone)
	r.put(r.Names().StepsStream(), r.Names().Step(m.Tool, m.RungName, m.Run, m.Attempt), []byte("\xff{{{"))
	if f := r.fault(steps.InvalidInput); f.Acted != steps.ActedNo {
		t.Errorf("acted %q", f.Acted)
	}
	r.drained()
}

func TestSchemasAreHeld(t *testing.T) {
	t.Parallel()
	bad := func(json.RawMessage) error { return errors.New("n is missing") }
	r := newRig(t)
	r.submit(steps.EffectsUnsafe)
	rung := ok(func() { t.Error("executed with parameters that do not fit") })
	rung.CheckInput = bad
	r.start(Options{}, rung)
	r.queue(message(steps.EffectsUnsafe))
	if f := r.fault(steps.InvalidInput); f.Acted != steps.ActedNo || !strings.Contains(f.Message, "n is missing") {
		t.Errorf("%+v", f)
	}
	r = newRig(t)
	rung = ok(func() {})
	rung.CheckOutput = bad
	r.start(Options{}, rung)
	r.queue(message(steps.EffectsNone))
	if f := r.fault(steps.InvalidOutput); f.Acted != steps.ActedMaybe {
		t.Errorf("%+v", f)
	}
}

func TestDrainFinishesAndHandsBack(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	began, finish := make(chan string, 10), make(chan struct{})
	rung := ladder.Rung{Executor: executor.Func(func(_ context.Context, q executor.Request) (executor.Result, error) {
		began <- q.Step
		<-finish
		return executor.Result{Output: json.RawMessage(`1`)}, nil
	})}
	stop := r.start(Options{Concurrency: 1}, rung)
	first, second := message(steps.EffectsNone), message(steps.EffectsNone)
	second.Attempt.Step = "waits"
	r.queue(first)
	<-began
	r.queue(second)
	stopped := make(chan struct{})
	go func() { stop(); close(stopped) }()
	close(finish)
	<-stopped
	all := r.until(isOutcome)
	if s := all[len(all)-1].(steps.Succeeded); s.Step != "s" {
		t.Fatalf("the executing attempt did not finish: %+v", s)
	}
	r.start(Options{Name: "later"}, rung) // what waited is there for others, at once
	if step := <-began; step != "waits" {
		t.Fatalf("%s was handed on", step)
	}
}

func TestDrainTimeoutHandsBackWhatIsSafe(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	began := make(chan struct{})
	stop := r.start(Options{DrainTimeout: 50 * time.Millisecond}, fails(func(ctx context.Context) error {
		close(began)
		<-ctx.Done()
		return ctx.Err()
	}))
	r.queue(message(steps.EffectsNone))
	<-began
	stop()
	done := make(chan struct{})
	r.start(Options{Name: "later"}, ok(func() { close(done) }))
	<-done
	all := r.until(isOutcome)
	if _, ok := all[len(all)-1].(steps.Succeeded); !ok {
		t.Fatalf("%+v", all[len(all)-1])
	}
}

func TestLimitPerTool(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var now, most atomic.Int64
	release := make(chan struct{})
	began := make(chan struct{}, 10)
	r.start(Options{Concurrency: 10, ToolConcurrency: map[string]int{"t": 2}}, ok(func() {
		most.Store(max(most.Load(), now.Add(1)))
		began <- struct{}{}
		<-release
		now.Add(-1)
	}))
	for _, id := range []string{"a", "b", "c", "d", "e"} {
		m := message(steps.EffectsNone)
		m.Attempt.Step = id
		r.queue(m)
	}
	<-began
	<-began
	close(release)
	r.drained()
	if most.Load() > 2 {
		t.Fatalf("%d at once", most.Load())
	}
}

func TestNothingToServe(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	if err := New(Options{Bus: r.Bus}).Run(t.Context()); err == nil {
		t.Fatal("a worker without tools runs")
	}
}

// BenchmarkWorker is an attempt through a worker: delivery, execution, outcome stored, acknowledged.
func BenchmarkWorker(b *testing.B) {
	r := newRig(b)
	var n atomic.Int64
	all := make(chan struct{})
	total := int64(b.N)
	if total < 1 {
		total = 1
	}
	r.start(Options{}, ok(func() {
		if n.Add(1) == total {
			close(all)
		}
	}))
	b.ResetTimer()
	for i := range b.N {
		m := message(steps.EffectsNone)
		m.Attempt.Try = i + 1
		r.Publish(r.Names().StepsStream(), bus.Message{Subject: r.Names().Step(m.Tool, m.RungName, m.Run, m.Attempt), Data: wire.EncodeStep(m)}, func(_ uint64, err error) {
			if err != nil {
				b.Error(err)
			}
		})
	}
	<-all
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "steps/s")
}
