package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"belay/internal/bus"
	"belay/internal/executor"
	"belay/internal/fleet"
	"belay/internal/plan"
	"belay/internal/runlog"
	"belay/internal/steps"
	"belay/internal/toolbox"
	"belay/internal/wire"
)

// Observer watches a worker. Calls come from many goroutines.
type Observer interface {
	// Began is called when an attempt starts to be executed; header is the message's. The context that it returns is
	// the executor's, so that a trace goes on.
	Began(ctx context.Context, m steps.StepMessage, header map[string][]string, deliveries uint64) context.Context
	// Ended is called with the outcome, [steps.Succeeded] or [steps.Failed], before it is stored.
	Ended(ctx context.Context, m steps.StepMessage, outcome steps.Event, took time.Duration)
	// Refused is called instead of both for a message that asks for what no person has approved.
	Refused(m steps.StepMessage, why steps.Fault)
}

// Options say how a [Worker] works. Bus and Tools are required.
type Options struct {
	Bus     *bus.Bus
	Runs    *runlog.Log // the logs of runs; default: read through Bus
	Tools   map[toolbox.Key]toolbox.Rung
	Name    string // in the log of runs; unique among workers
	Version string // that it announces

	Concurrency     int            // attempts executed at once; default 16 per core
	ToolConcurrency map[string]int // by tool; tools not named share Concurrency only
	AckWait         time.Duration  // how long a silent worker keeps a message; the same for all workers; default 30 s
	DrainTimeout    time.Duration  // how long a stop waits for executing attempts; default 30 s
	StopGrace       time.Duration  // how long an executor may take to obey its deadline, beside its own grace; default 5 s
	StartedAfter    time.Duration  // when the log is told of a long attempt; default 200 ms
	Keys            Keys           // whose approvals are genuine; default none: then nothing that needs approval is executed
	Observer        Observer
	Log             *slog.Logger
}

// Keys tell genuine approvals from others.
type Keys interface {
	Check(ctx context.Context, g steps.Grant) error
}

// noKeys trusts nobody.
type noKeys struct{}

func (noKeys) Check(context.Context, steps.Grant) error {
	return errors.New("this worker trusts no signing key")
}

func (o Options) withDefaults() Options {
	set := func(d *time.Duration, def time.Duration) {
		if *d <= 0 {
			*d = def
		}
	}
	set(&o.AckWait, 30*time.Second)
	set(&o.DrainTimeout, 30*time.Second)
	set(&o.StopGrace, 5*time.Second)
	set(&o.StartedAfter, 200*time.Millisecond)
	if o.Concurrency <= 0 {
		o.Concurrency = 16 * runtime.GOMAXPROCS(0)
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Observer == nil {
		o.Observer = nobody{}
	}
	if o.Runs == nil {
		o.Runs = runlog.New(o.Bus, plan.NewCache(64))
	}
	if o.Keys == nil {
		o.Keys = noKeys{}
	}
	return o
}

type nobody struct{}

func (nobody) Began(ctx context.Context, _ steps.StepMessage, _ map[string][]string, _ uint64) context.Context {
	return ctx
}
func (nobody) Refused(steps.StepMessage, steps.Fault)                               {}
func (nobody) Ended(context.Context, steps.StepMessage, steps.Event, time.Duration) {}

// Worker executes attempts until it is told to stop.
type Worker struct {
	Options
	names wire.Names
	slots chan struct{}            // one word per attempt being executed
	tools map[string]chan struct{} // the same, per tool with a limit
	hold  *holds
	stops *stops
	ears  *ears
	parks *parks
	// What it has read of runs' logs.
	journals *journals
	folds    *folds

	schemas toolbox.Schemas // that come with messages

	ready    chan struct{}   // closed when it takes attempts of all its tools
	stopping chan struct{}   // closed when nothing new is begun
	life     context.Context // of executions and publishes; ends at the drain timeout
	end      context.CancelCauseFunc
	hands    *hands // messages in hand
}

// New makes a worker.
func New(o Options) *Worker {
	o = o.withDefaults()
	w := &Worker{
		Options: o, names: o.Bus.Names(), slots: make(chan struct{}, o.Concurrency), tools: map[string]chan struct{}{},
		hold: newHolds(), hands: newHands(), stops: newStops(), parks: newParks(), journals: newJournals(), folds: newFolds(), ready: make(chan struct{}), stopping: make(chan struct{}),
	}
	for tool, n := range o.ToolConcurrency {
		if n > 0 {
			w.tools[tool] = make(chan struct{}, n)
		}
	}
	w.life, w.end = context.WithCancelCause(context.Background())
	return w
}

// Serves lists what this worker serves, sorted: tool/rung.
func (w *Worker) Serves() []string {
	var all []string
	for k := range w.Tools {
		all = append(all, k.String())
	}
	slices.Sort(all)
	return all
}

// Ready is closed when the worker takes attempts of all its tools.
func (w *Worker) Ready() <-chan struct{} { return w.ready }

// Run takes and executes attempts until ctx ends. Then it takes no more, hands back what it has not begun, finishes
// what it executes within the drain timeout, and returns. A Worker runs once.
func (w *Worker) Run(ctx context.Context) error {
	if len(w.Tools) == 0 {
		return errors.New("worker: no tool to serve: the tools file has none for this binary, or --only leaves none")
	}
	hearing, err := w.Bus.Listen(w.names.StopAll(), w.heardStop)
	if err != nil {
		return fmt.Errorf("worker: %w", err)
	}
	defer hearing.Stop()
	w.ears = &ears{hearing: hearing, born: time.Now()}
	beating, stopBeating := context.WithCancel(context.Background())
	defer stopBeating()
	go w.hold.beat(beating, w.AckWait)

	lost := make(chan toolbox.Key, len(w.Tools))
	consumptions, err := w.consumeAll(ctx, lost)
	if err != nil {
		_ = w.drain(consumptions)
		if ctx.Err() != nil {
			return nil // stopped before it had begun
		}
		return err
	}
	defer w.announce()()
	close(w.ready)
	w.Log.Info("worker takes steps", "worker", w.Name, "concurrency", w.Concurrency, "tools", strings.Join(w.Serves(), " "))
	w.mend(ctx, consumptions, lost)
	w.Log.Info("worker draining", "worker", w.Name, "executing", len(w.slots))
	return w.drain(consumptions)
}

// announce lets people see this worker.
func (w *Worker) announce() (gone func()) {
	gone, err := fleet.Announce(w.Bus, w.Version, w.state)
	if err != nil {
		w.Log.Warn("people do not see this worker in their lists; it works all the same", "error", err)
		return func() {}
	}
	return gone
}

func (w *Worker) state() fleet.Worker {
	s := fleet.Worker{Name: w.Name, Serves: w.Serves(), Concurrency: w.Concurrency, Executing: len(w.slots), InHand: w.hands.count()}
	select {
	case <-w.stopping:
		s.Draining = true
	default:
	}
	return s
}

// consumption of one rung, and how to start it again.
type consumptions struct {
	mu  sync.Mutex
	all map[toolbox.Key]bus.Consumption
}

func (w *Worker) consumeAll(ctx context.Context, lost chan<- toolbox.Key) (*consumptions, error) {
	cs := &consumptions{all: map[toolbox.Key]bus.Consumption{}}
	for k := range w.Tools {
		if err := w.consume(ctx, cs, k, lost); err != nil {
			return cs, fmt.Errorf("worker: %w", err)
		}
	}
	return cs, nil
}

func (w *Worker) consume(ctx context.Context, cs *consumptions, k toolbox.Key, lost chan<- toolbox.Key) error {
	rung := w.Tools[k]
	o := bus.StepsOptions{Prefetch: w.prefetch(k.Tool), AckWait: w.AckWait}
	c, err := w.Bus.ConsumeSteps(ctx, k.Tool, k.Rung, o, func(d bus.Delivery) { w.take(k, rung, d) })
	if err != nil {
		return err
	}
	cs.mu.Lock()
	cs.all[k] = c
	cs.mu.Unlock()
	go func() {
		<-c.Done()
		select {
		case lost <- k:
		case <-w.life.Done():
		}
	}()
	return nil
}

// prefetch is how many messages are in hand beside the slots: enough that a slot never waits for the server.
func (w *Worker) prefetch(tool string) int {
	n := w.Concurrency
	if c := w.tools[tool]; c != nil {
		n = min(n, cap(c))
	}
	return max(16, 3*n)
}

// mend starts consumers again that were deleted under the worker, until ctx ends.
func (w *Worker) mend(ctx context.Context, cs *consumptions, lost chan toolbox.Key) {
	for {
		select {
		case <-ctx.Done():
			return
		case k := <-lost:
			if ctx.Err() != nil {
				return
			}
			w.Log.Warn("the consumer of a rung ended; starting it again", "tool", k.Tool, "rung", k.Rung)
			if err := w.consume(ctx, cs, k, lost); err != nil {
				w.Log.Error("cannot consume; trying again", "tool", k.Tool, "rung", k.Rung, "error", err)
				time.AfterFunc(time.Second, func() { lost <- k })
			}
		}
	}
}

// longestGrace is how long some executor of this worker may take to end what it started.
func (w *Worker) longestGrace() time.Duration {
	var longest time.Duration
	for _, rung := range w.Tools {
		longest = max(longest, executor.GraceOf(rung.Executor))
	}
	return longest
}

var errDrained = errors.New("the worker is stopping and the drain timeout has passed")

// drain finishes what is in hand.
func (w *Worker) drain(cs *consumptions) error {
	close(w.stopping)
	cs.mu.Lock()
	for _, c := range cs.all {
		c.Stop()
	}
	cs.mu.Unlock()
	done := w.hands.stop()
	timeout := time.NewTimer(w.DrainTimeout)
	defer timeout.Stop()
	select {
	case <-done:
		w.end(nil)
		return nil
	case <-timeout.C:
	}
	w.Log.Warn("the drain timeout has passed; stopping what still executes", "worker", w.Name, "executing", len(w.slots))
	w.end(errDrained)
	select {
	case <-done:
	case <-time.After(w.StopGrace + w.longestGrace() + 2*time.Second):
		w.Log.Error("left with attempts that did not stop; they will be delivered again", "worker", w.Name)
	}
	return nil
}
