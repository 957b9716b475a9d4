package dispatch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"belay/internal/breaker"
	"belay/internal/bus"
	"belay/internal/dlq"
	"belay/internal/gates"
	"belay/internal/limits"
	"belay/internal/runlog"
	"belay/internal/steps"
	"belay/internal/wire"
)

// Observer is called with every record that was applied for the first time: logs, metrics and progress derive from it.
// Calls come from several goroutines, for one run in the order of its log. After a failed publish or a take-over there may
// be two calls for a record. The state goes on changing after the call; keep nothing of it.
type Observer interface {
	Applied(state *steps.State, r steps.Record, touched []int)
}

// Options say how a [Dispatcher] works. Bus and Log are required; zero durations mean the defaults.
type Options struct {
	Bus      *bus.Bus     // connected, with its streams set up
	Log      *runlog.Log  // of all runs, on the same bus
	Name     string       // in logs; unique among dispatchers
	Observer Observer     // called for every event that was applied; default none
	Logger   *slog.Logger // default: nothing is logged

	// OpenRuns lists the runs of a partition that have not ended; one that has may be among them. By default the server is
	// asked, which takes longer the more runs are kept.
	OpenRuns func(ctx context.Context, partition int) ([]string, error)

	// Guard says whether the log is what it was; nil = it always is.
	Guard Guard

	// Gates are what people have closed; nil = nobody can close any. It must be running.
	Gates *gates.Keeper

	// Limits are what all dispatchers share about calls that may not begin yet; nil = all may. It must be running.
	Limits *limits.Keeper

	// Breakers know which targets are left alone; nil = none ever is. It must be running.
	Breakers *breaker.Keeper

	// TenantLabel is the label by whose value runs are told apart that get turns; default `tenant`. Runs without it share one.
	TenantLabel string

	// Score counts what comes of calls; nil = nobody does.
	Score Score

	// Remade is called with the names of streams that were removed behind Belay's back and made again; of a bucket with KV_ before
	// it. Default none.
	Remade func(streams []string)

	// Received is called with every entry of the log that is received, some more than once; it must not block. Default none.
	Received func(partition int, e bus.Entry)

	// Crashed is the id of the process that had the embedded store before and did not close it; empty = there was none.
	Crashed string

	SayAfter      time.Duration // how long a limit holds an attempt back before that is put on its run's log; default 5 s
	TimerDelay    time.Duration // how long a run stays open before its timer is made durable; default 30 s
	SweepEvery    time.Duration // how often every open run is folded anew; default 10 min
	QueueEvery    time.Duration // how often the step queue is compared with what is wanted; default 30 s
	UnservedAfter time.Duration // how long a queued step may wait without any worker for its tool; default 60 s
	Retention     time.Duration // how long an ended run is kept; default 30 days, negative = for ever
	DrainTimeout  time.Duration // how long a stop waits for what is on its way; default 10 s
}

func (o Options) withDefaults() Options {
	set := func(d *time.Duration, def time.Duration) {
		if *d == 0 {
			*d = def
		}
	}
	set(&o.SayAfter, 5*time.Second)
	set(&o.TimerDelay, 30*time.Second)
	set(&o.SweepEvery, 10*time.Minute)
	set(&o.QueueEvery, 30*time.Second)
	set(&o.UnservedAfter, time.Minute)
	set(&o.Retention, 30*24*time.Hour)
	set(&o.DrainTimeout, 10*time.Second)
	if o.OpenRuns == nil {
		o.OpenRuns = o.Bus.OpenRuns
	}
	if o.Received == nil {
		o.Received = func(int, bus.Entry) {}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Name != "" {
		o.Logger = o.Logger.With("dispatcher", o.Name)
	}
	if o.Observer == nil {
		o.Observer = nobody{}
	}
	if o.Score == nil {
		o.Score = noScore{}
	}
	if o.TenantLabel == "" {
		o.TenantLabel = "tenant"
	}
	return o
}

type nobody struct{}

func (nobody) Applied(*steps.State, steps.Record, []int) {}

// Score counts what comes of calls. It is told which partitions are this dispatcher's, which entries of their logs are in hand and
// which are done, and every record that is folded: each at least once before its entry is done, some more than once.
type Score interface {
	Took(partition int)
	Lost(partition int)
	InHand(partition int, seq uint64)
	Done(partition int, seq uint64)
	Applied(partition int, s *steps.State, r steps.Record, touched []int)
}

type noScore struct{}

func (noScore) Took(int)                                       {}
func (noScore) Lost(int)                                       {}
func (noScore) InHand(int, uint64)                             {}
func (noScore) Done(int, uint64)                               {}
func (noScore) Applied(int, *steps.State, steps.Record, []int) {}

// Dispatcher moves runs on, in all partitions that are pinned to it. Several can run at the same time; each partition's
// events go to one of them at a time.
type Dispatcher struct {
	Options
	names       wire.Names
	escalations *dlq.Queue
	routes      *routes
	missing     *missing
	passages    passages
	crews       crews
	outside     sync.Map // of *outside, by route
	lines       lines
	purges      chan struct{} // a slot per purge under way
	drifts      drifts
	left        left
	parts       []*partition
}

// New makes a Dispatcher. The bus must be set up or open.
func New(o Options) *Dispatcher {
	d := &Dispatcher{Options: o.withDefaults(), names: o.Bus.Names(), escalations: dlq.New(o.Bus), routes: newRoutes(), missing: newMissing(), passages: passages{of: make(map[route]*steps.Passage)}, purges: make(chan struct{}, maxPurges), left: left{swept: make(map[int]bool)}}
	d.lines.d = d
	for p := range o.Bus.Partitions() {
		d.parts = append(d.parts, newPartition(d, p))
	}
	if d.Limits != nil {
		d.Limits.WhenGiven(func(partition int, t limits.Use) {
			p := d.parts[partition]
			p.box.call(func() { p.slotGiven(t) })
		})
	}
	return d
}

const maxPurges = 8

// Run dispatches until ctx ends. Then it accepts no more events, waits for publishes in flight (at most DrainTimeout), and
// returns nil; the dispatcher that takes over does what was not stored by then.
func (d *Dispatcher) Run(ctx context.Context) error {
	if len(d.parts) == 0 {
		return errors.New("dispatch: the bus has no partitions: set it up or open it first")
	}
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	timers := d.newTimers(work)
	consuming, err := d.Bus.ConsumeTimers(ctx, timers.due)
	if err != nil && ctx.Err() != nil {
		return nil
	}
	if err != nil {
		return fmt.Errorf("dispatch: consume timers: %w", err)
	}
	streams := &remaker{Dispatcher: d}
	if err := streams.look(ctx); err != nil && ctx.Err() == nil {
		d.Logger.Warn("could not look whether the streams are there; trying again later", "error", err)
	}
	d.knowLimits(ctx)
	var wg sync.WaitGroup
	for _, p := range d.parts {
		wg.Go(func() { p.run(ctx, work) })
		wg.Go(func() { p.sweeper(ctx) })
		wg.Go(func() { p.waker(ctx) })
	}
	wg.Go(func() {
		d.every(ctx, d.QueueEvery, "compare the step queue", func(ctx context.Context) error { return d.sweepQueue(ctx, d.QueueEvery/6) })
	})
	wg.Go(func() {
		d.every(ctx, d.QueueEvery/6, "see whether this dispatcher still has its partitions", d.checkPins)
	})
	wg.Go(func() {
		d.every(ctx, d.QueueEvery, "look for what belongs to no run", (&strays{Dispatcher: d}).sweep)
	})
	wg.Go(func() { d.refillQueue(ctx) })
	wg.Go(func() { d.guard(ctx) })
	wg.Go(func() { d.followGates(ctx) })
	wg.Go(func() { d.followBreakers(ctx) })
	wg.Go(func() { d.every(ctx, remakeEvery, "look whether the streams are there", streams.look) })
	wg.Go(func() { d.every(ctx, driftEvery, "compare the settings of the streams", d.lookForDrift) })
	wg.Go(func() { d.watchServed(ctx) })
	wg.Go(func() { d.janitor(ctx) })
	<-ctx.Done()
	consuming.Stop()
	wg.Wait()
	stop()
	timers.wait()
	return nil
}

// every calls f once per pause until ctx ends. A failure is logged; the next call is the retry.
func (d *Dispatcher) every(ctx context.Context, pause time.Duration, what string, f func(context.Context) error) {
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := f(ctx); err != nil && ctx.Err() == nil {
			d.Logger.Warn("could not "+what+"; trying again later", "error", err)
		}
	}
}
