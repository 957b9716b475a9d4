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
	"belay/internal/injection"
	"belay/internal/ladder"
	"belay/internal/plan"
	"belay/internal/runlog"
	"belay/internal/steps"
	"belay/internal/wire"
)

// Observer watches a worker. Calls come from many goroutines.
type Observer interface {
	// Began is called when an attempt starts to execute; header is the message's. The executor gets the returned context, so
	// that a trace continues.
	Began(ctx context.Context, m steps.StepMessage, header map[string][]string, deliveries uint64) context.Context
	// Ended is called with the outcome, [steps.Succeeded] or [steps.Failed], before it is stored.
	Ended(ctx context.Context, m steps.StepMessage, outcome steps.Event, took time.Duration)
	// Refused is called instead of both for a message whose call no person has approved.
	Refused(m steps.StepMessage, why steps.Fault)
	// Injected is called between both for an attempt that gets a fault on purpose; what is its class, or slow, kill or
	// partition.
	Injected(m steps.StepMessage, what string)
}

// Options say how a [Worker] works. Bus and Tools are required.
type Options struct {
	Bus     *bus.Bus                   // where steps come from
	Runs    *runlog.Log                // the logs of runs; default: read through Bus
	Tools   map[ladder.Key]ladder.Rung // the rungs that it serves
	Name    string                     // in the log of runs; unique among workers
	Version string                     // that it announces

	Concurrency     int            // attempts executed at once; default 16 per core
	ToolConcurrency map[string]int // by tool; tools not named share Concurrency only
	AckWait         time.Duration  // how long a silent worker keeps a message; the same for all workers; default 30 s
	DrainTimeout    time.Duration  // how long a stop waits for executing attempts; default 30 s
	StopGrace       time.Duration  // how long an executor may take to obey its deadline, beside its own grace; default 5 s
	StartedAfter    time.Duration  // after how long Started is appended for a long attempt; default 200 ms
	Keys            Keys           // check approvals; default none: then nothing that needs approval is executed
	Passkeys        Passkeys       // check what approvers' passkeys have signed; default none: then nothing that asks for one is executed

	// Checkpoints gives those of the audit trail that this worker keeps, and what of the trail contradicts them. Nil = it keeps none.
	Checkpoints func() (kept []string, contradiction string)
	Observer    Observer     // called for every attempt; nil = not called
	Logger      *slog.Logger // default: nothing is logged

	Injector *injection.Injector // of faults on purpose; nil = there are none, and nothing is read about them
}

// Keys check that approvals are genuine.
type Keys interface {
	Check(ctx context.Context, g steps.Grant) error
}

// Passkeys check that a passkey of the approver has signed the challenge of an approval.
type Passkeys interface {
	Check(ctx context.Context, g steps.Grant, challenge []byte) error
}

// Pins are [Keys] that also say which they are.
type Pins interface {
	Keys
	// Pins are the ids of those that are trusted, and the published keys that are not.
	Pins() (pinned []string, foreign []bus.ForeignKey)
}

// noKeys trusts no key.
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
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
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
func (nobody) Injected(steps.StepMessage, string)                                   {}
func (nobody) Ended(context.Context, steps.StepMessage, steps.Event, time.Duration) {}

// Worker executes attempts until it is told to stop.
type Worker struct {
	Options
	names    wire.Names
	slots    chan struct{} // one value per attempt being executed
	lane     lane
	tools    map[string]chan struct{} // the same, per tool with a limit
	keeper   *keeper
	stops    *stops
	listener *listener
	parks    *parks
	asked    askedWaits
	clock    func() bus.Clock // the server's time, which is that of the times in messages
	// What was read of runs' logs.
	journals *journals
	folds    *folds

	schemas ladder.Schemas // of schemas in messages
	labels  runLabels      // for faults on purpose

	ready    chan struct{}   // closed when it pulls steps of all its tools
	stopping chan struct{}   // closed when nothing new is begun
	life     context.Context // of executions and publishes; ends at the drain timeout
	end      context.CancelCauseFunc
	pending  *pending // messages in hand
}

// New makes a worker.
func New(o Options) *Worker {
	o = o.withDefaults()
	w := &Worker{
		Options: o, names: o.Bus.Names(), slots: make(chan struct{}, o.Concurrency), tools: map[string]chan struct{}{},
		clock: o.Bus.Clock, keeper: newKeeper(), pending: newPending(), stops: newStops(), parks: newParks(), journals: newJournals(), folds: newFolds(), ready: make(chan struct{}), stopping: make(chan struct{}),
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
	return sorted(all)
}

func sorted(names []string) []string {
	slices.Sort(names)
	return names
}

// Ready is closed when the worker pulls steps of all its tools.
func (w *Worker) Ready() <-chan struct{} { return w.ready }

// Run executes attempts until ctx ends. Then it accepts no more, hands back what it has not begun, gives executing attempts
// the drain timeout to finish, and returns. A Worker runs once.
func (w *Worker) Run(ctx context.Context) error {
	if len(w.Tools) == 0 {
		return errors.New("worker: no tool to serve: the tools file has none for this binary, or --only leaves none")
	}
	defer ladder.Close(w.Tools) // when no attempt needs it any more
	hearing, err := w.Bus.Listen(w.names.StopAll(), w.heardStop)
	if err != nil {
		return fmt.Errorf("worker: %w", err)
	}
	defer hearing.Stop()
	w.listener = &listener{hearing: hearing, born: time.Now()}
	beating, stopBeating := context.WithCancel(context.Background())
	defer stopBeating()
	go w.keeper.beat(beating, w.AckWait)
	if w.Injector != nil {
		go w.followOrders(beating)
		defer w.showOwn(ctx)()
	}

	lost := make(chan ladder.Key, len(w.Tools))
	_, asked := w.Bus.AskTime(ctx)
	consumptions, err := w.consumeAll(ctx, lost)
	if err == nil && asked != nil {
		err = fmt.Errorf("worker: %w", asked)
	}
	if err != nil {
		_ = w.drain(consumptions)
		if ctx.Err() != nil {
			return nil // stopped before it began
		}
		return err
	}
	defer w.announce()()
	close(w.ready)
	w.Logger.Info("worker takes steps", "worker", w.Name, "concurrency", w.Concurrency, "tools", strings.Join(w.Serves(), " "))
	w.mend(ctx, consumptions, lost)
	w.Logger.Info("worker draining", "worker", w.Name, "executing", len(w.slots))
	return w.drain(consumptions)
}

// announce makes this worker visible to people.
func (w *Worker) announce() (gone func()) {
	gone, err := bus.AnnounceWorker(w.Bus, w.Version, w.state)
	if err != nil {
		w.Logger.Warn("cannot announce this worker: lists do not show it, but it works", "error", err)
		return func() {}
	}
	return gone
}

func (w *Worker) state() bus.Worker {
	s := bus.Worker{Name: w.Name, Serves: sorted(w.served()), Concurrency: w.Concurrency, Executing: len(w.slots), InHand: w.pending.count(), Faults: w.faults()}
	if p, ok := w.Keys.(Pins); ok {
		s.Pinned, s.Foreign = p.Pins()
	}
	if w.Checkpoints != nil {
		s.Checkpoints, s.Contradicted = w.Checkpoints()
	}
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
	all map[ladder.Key]bus.Consumption
}

func (w *Worker) consumeAll(ctx context.Context, lost chan<- ladder.Key) (*consumptions, error) {
	cs := &consumptions{all: map[ladder.Key]bus.Consumption{}}
	for k := range w.Tools {
		if err := w.consume(ctx, cs, k, lost); err != nil {
			return cs, fmt.Errorf("worker: %w", err)
		}
	}
	return cs, nil
}

func (w *Worker) consume(ctx context.Context, cs *consumptions, k ladder.Key, lost chan<- ladder.Key) error {
	rung := w.Tools[k]
	o := bus.StepsOptions{Prefetch: w.prefetch(k.Tool), AckWait: w.AckWait}
	receive := func(d bus.Delivery) { w.receive(k, &job{rung: rung}, d) }
	from, polled := rung.Executor.(executor.Polled)
	if polled {
		o.Demand = bus.NewDemand()
		receive = func(d bus.Delivery) { w.receiveFor(k, rung, from, d) }
	}
	c, err := w.Bus.ConsumeSteps(ctx, k.Tool, k.Rung, o, receive)
	if err != nil {
		return err
	}
	if polled {
		c = attended{c, from.Demand(o.Demand.Set)}
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

// prefetch is how many messages are in hand besides the slots: enough that a slot never waits for the server.
func (w *Worker) prefetch(tool string) int {
	n := w.Concurrency
	if c := w.tools[tool]; c != nil {
		n = min(n, cap(c))
	}
	return max(16, 3*n)
}

// mend restarts consumers that were deleted, until ctx ends.
func (w *Worker) mend(ctx context.Context, cs *consumptions, lost chan ladder.Key) {
	for {
		select {
		case <-ctx.Done():
			return
		case k := <-lost:
			if ctx.Err() != nil {
				return
			}
			w.Logger.Warn("the consumer of a rung ended; starting it again", "tool", k.Tool, "rung", k.Rung)
			if err := w.consume(ctx, cs, k, lost); err != nil {
				w.Logger.Error("cannot consume; trying again", "tool", k.Tool, "rung", k.Rung, "error", err)
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
	done := w.pending.stop()
	timeout := time.NewTimer(w.DrainTimeout)
	defer timeout.Stop()
	select {
	case <-done:
		w.end(nil)
		return nil
	case <-timeout.C:
	}
	w.Logger.Warn("the drain timeout has passed; stopping what still executes", "worker", w.Name, "executing", len(w.slots))
	w.end(errDrained)
	select {
	case <-done:
	case <-time.After(w.StopGrace + w.longestGrace() + 2*time.Second):
		w.Logger.Error("stopped with attempts that did not end; they are redelivered", "worker", w.Name)
	}
	return nil
}
