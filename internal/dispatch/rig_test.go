package dispatch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"belay/internal/bus"
	"belay/internal/bus/embedded"
	"belay/internal/dlq"
	"belay/internal/plan"
	"belay/internal/runlog"
	"belay/internal/steps"
	"belay/internal/steps/view"
	"belay/internal/wire"
)

// rig is a real server with the product's streams on it, and hands to submit, work and look.
type rig struct {
	testing.TB
	server *embedded.Server
	bus    *bus.Bus
	log    *runlog.Log
	box    *dlq.Queue
}

const testPartitions = 2

func newRig(t testing.TB) *rig {
	t.Helper()
	return newRigWith(t, "interval")
}

func newRigWith(t testing.TB, durability string) *rig {
	t.Helper()
	server, err := embedded.Start(embedded.Options{StoreDir: t.TempDir(), Durability: durability})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Shutdown)
	r := &rig{TB: t, server: server}
	r.bus = r.connect()
	if err := r.bus.Setup(t.Context(), bus.SetupOptions{Partitions: testPartitions, Replicas: 1}); err != nil {
		t.Fatal(err)
	}
	r.log = runlog.New(r.bus, plan.NewCache(16))
	r.box = dlq.New(r.bus)
	return r
}

// connect opens one more connection, so that a part of a test can lose its own.
func (r *rig) connect() *bus.Bus {
	r.Helper()
	b, err := bus.Connect(r.Context(), bus.Options{InProcess: r.server, Timeout: 20 * time.Second})
	if err != nil {
		r.Fatal(err)
	}
	r.Cleanup(b.Close)
	return b
}

func (r *rig) opened() *bus.Bus {
	r.Helper()
	b := r.connect()
	if err := b.Open(r.Context()); err != nil {
		r.Fatal(err)
	}
	return b
}

// dispatcher starts one on a connection of its own.
func (r *rig) dispatcher(change func(*Options)) *running {
	r.Helper()
	b := r.opened()
	o := Options{Bus: b, Log: runlog.New(b, plan.NewCache(16)), Name: "d", Logger: slog.New(slog.NewTextHandler(r.Output(), nil)), QueueEvery: time.Hour, UnservedAfter: time.Hour}
	if change != nil {
		change(&o)
	}
	ctx, cancel := context.WithCancel(r.Context())
	d := &running{rig: r, bus: b, d: New(o), cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(d.done)
		if err := d.d.Run(ctx); err != nil {
			r.Errorf("dispatcher: %v", err)
		}
	}()
	r.Cleanup(d.stop)
	return d
}

type running struct {
	*rig
	bus    *bus.Bus
	d      *Dispatcher
	cancel func()
	done   chan struct{}
}

func (d *running) stop() {
	d.cancel()
	<-d.done
}

// kill takes the dispatcher's connection away first, so that it can neither finish nor hand back anything.
func (d *running) kill() {
	d.bus.Close()
	d.cancel()
	go func() { <-d.done }()
}

// eventually waits for a condition that nothing signals.
func (r *rig) eventually(what string, ok func() bool) {
	r.Helper()
	ctx, cancel := context.WithTimeout(r.Context(), time.Minute)
	defer cancel()
	for !ok() {
		pause(ctx, 5*time.Millisecond)
		if ctx.Err() != nil {
			r.Fatalf("never happened: %s", what)
		}
	}
}

// end follows a run to its end.
func (r *rig) end(run string) *steps.State {
	r.Helper()
	return r.until(run, "ended", func(s *steps.State) bool { return s.Closed() })
}

// until follows a run until its state is as wanted.
func (r *rig) until(run, what string, ok func(*steps.State) bool) *steps.State {
	r.Helper()
	ctx, cancel := context.WithTimeout(r.Context(), time.Minute)
	defer cancel()
	var last *steps.State
	err := r.log.Follow(ctx, run, func(s *steps.State, _ steps.Record, _ []int) bool {
		last = s
		return !ok(s)
	})
	if err != nil || !ok(last) {
		shown := ""
		if last != nil {
			raw, _ := json.Marshal(view.Show(last))
			shown = string(raw)
		}
		r.Fatalf("run %s: never %s: %v\n%s", run, what, err, shown)
	}
	return last
}

// chain is a plan of n steps, one after the other, of the tool `t`.
func chain(n int, change func(*steps.Definition)) json.RawMessage {
	d := steps.Definition{
		Plan: steps.Plan{Name: "chain"},
		Tools: map[string]steps.Tool{"t": {
			Name: "t", Effects: steps.EffectsIdempotent,
			Rungs: []steps.Rung{{Name: "primary", Executor: "go", Retry: steps.RetryPolicy{MaxAttempts: 1, Factor: 2}}},
		}},
	}
	for i := range n {
		s := steps.Step{ID: fmt.Sprintf("s%d", i), Tool: "t", OnFailure: steps.OnFailureEscalate}
		if i > 0 {
			s.Needs = []string{fmt.Sprintf("s%d", i-1)}
		}
		d.Plan.Steps = append(d.Plan.Steps, s)
	}
	if change != nil {
		change(&d)
	}
	raw, err := json.Marshal(d)
	if err != nil {
		panic(err)
	}
	return raw
}

func tool(change func(*steps.Tool)) func(*steps.Definition) {
	return func(d *steps.Definition) {
		t := d.Tools["t"]
		change(&t)
		d.Tools["t"] = t
	}
}

func (r *rig) submit(run string, document json.RawMessage) {
	r.Helper()
	created, err := r.log.Submit(r.Context(), run, steps.Submitted{Document: document, Input: json.RawMessage(`{}`)})
	if err != nil || !created {
		r.Fatalf("submit %s: created %v, %v", run, created, err)
	}
}

// worker executes steps of the tool `t`: do gives the outcome, nil means that none is reported and the step is not
// acknowledged. It counts how often each attempt was executed.
type worker struct {
	rig   *rig
	do    func(steps.StepMessage) steps.Event
	mu    sync.Mutex
	count map[string]int
}

func (r *rig) worker(do func(steps.StepMessage) steps.Event) *worker {
	r.Helper()
	if do == nil {
		do = succeed
	}
	w := &worker{rig: r, do: do, count: make(map[string]int)}
	c, err := r.bus.ConsumeSteps(r.Context(), "t", "primary", bus.StepsOptions{Prefetch: 256, AckWait: 30 * time.Second}, w.work)
	if err != nil {
		r.Fatal(err)
	}
	r.Cleanup(c.Stop)
	return w
}

func succeed(m steps.StepMessage) steps.Event {
	return steps.Succeeded{Attempt: m.Attempt, Worker: "w", Output: json.RawMessage(`{"ok":true}`)}
}

func (w *worker) work(d bus.Delivery) {
	m, err := wire.DecodeStep(d.Data)
	if err != nil {
		w.rig.Errorf("step message: %v", err)
		return
	}
	w.mu.Lock()
	w.count[steps.AttemptName(m.Run, m.Attempt)]++
	w.mu.Unlock()
	e := w.do(m)
	if e == nil {
		return
	}
	msg, stream, err := w.rig.log.Message(m.Run, e)
	if err != nil {
		w.rig.Errorf("outcome: %v", err)
		return
	}
	w.rig.bus.Publish(stream, msg, func(_ uint64, err error) {
		if err == nil {
			err = d.Ack()
		}
		if err != nil && !errors.Is(err, context.Canceled) {
			w.rig.Logf("outcome of %s: %v", m.Run, err)
		}
	})
}

// handedOver checks that each attempt was executed, and hardly any twice: where one dispatcher takes over from another,
// an attempt can be done between the moment that the second reads the log and the moment that it queues what is wanted.
// What must not happen twice has its claim for that.
func (w *worker) handedOver(attempts int) {
	w.rig.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	twice := 0
	for name, n := range w.count {
		if twice += n - 1; n > 2 {
			w.rig.Errorf("%s was executed %d times", name, n)
		}
	}
	if len(w.count) != attempts || twice > attempts/4 {
		w.rig.Errorf("%d attempts were executed, %d of them twice; want %d", len(w.count), twice, attempts)
	}
}

// onlyOnce checks that each attempt was executed once, and so many attempts in all.
func (w *worker) onlyOnce(attempts int) {
	w.rig.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	for name, n := range w.count {
		if n != 1 {
			w.rig.Errorf("%s was executed %d times", name, n)
		}
	}
	if len(w.count) != attempts {
		w.rig.Errorf("%d attempts were executed, want %d", len(w.count), attempts)
	}
}

func (r *rig) subjects(stream, filter string) []string {
	r.Helper()
	list, err := r.bus.Subjects(r.Context(), stream, filter)
	if err != nil {
		r.Fatal(err)
	}
	return list
}

func (r *rig) queuedSteps() []string {
	return r.subjects(r.bus.Names().StepsStream(), r.bus.Names().StepsSubjects())
}

// unacked is how many events of the log nobody has acknowledged yet.
func (r *rig) unacked() int {
	r.Helper()
	n := 0
	for p := range testPartitions {
		c, err := r.bus.JetStream().Consumer(r.Context(), r.bus.Names().RunsStream(p), wire.DispatcherConsumer)
		if err != nil {
			r.Fatal(err)
		}
		info, err := c.Info(r.Context())
		if err != nil {
			r.Fatal(err)
		}
		n += info.NumAckPending + int(info.NumPending)
	}
	return n
}
