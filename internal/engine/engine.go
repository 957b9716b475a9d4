// Package engine puts the parts together in one process: a connection (to a server that is there, or to an embedded
// one), a dispatcher, a worker. Commands, the public package and tests start what they need of it; it decides nothing.
package engine

import (
	"cmp"
	"context"
	"log/slog"
	"runtime"
	"sync"
	"time"

	"belay/internal/approval"
	"belay/internal/audit"
	"belay/internal/breaker"
	"belay/internal/bus"
	"belay/internal/bus/embedded"
	"belay/internal/dispatch"
	"belay/internal/gates"
	"belay/internal/handoff"
	"belay/internal/ladder"
	"belay/internal/limits"
	"belay/internal/people"
	"belay/internal/plan"
	"belay/internal/requests"
	"belay/internal/runindex"
	"belay/internal/runlog"
	"belay/internal/schedules"
	"belay/internal/score"
	"belay/internal/steps"
	"belay/internal/steps/view"
	"belay/internal/tally"
	"belay/internal/wire"
	"belay/internal/worker"
)

// Options say what an [Engine] starts.
type Options struct {
	Connect    bus.Options // how to connect; ignored when Embedded is set, but for Name, Prefix, Timeout and Log
	Embedded   *embedded.Options
	Partitions int               // when streams are made
	Replicas   int               // when streams are made; 0 = as many as the log has, or else 3 in a cluster and 1 elsewhere
	MaxBytes   int64             // of a partition of the log, when streams are made; 0 = no limit
	Setup      bool              // make the streams that are missing; without it they must be there
	Dispatch   *dispatch.Options // its Bus and Log are filled in; nil = no dispatcher
	Worker     *WorkerOptions    // nil = no worker
	People     *PeopleOptions    // nil = what people decide is carried out by another process
	Token      string            // what is shown to that process
	Canary     string            // kind of this process: it writes now and then, to see that the server stores what it is given; empty = it does not
	Patience   time.Duration     // how long a server that is not there yet is waited for; 0 = not at all
	Version    string            // of the program, for those who ask; empty = that of its module
	Logger     *slog.Logger
}

// PeopleOptions say how this process carries out what people decide.
type PeopleOptions struct {
	Keys  string        // folder of the key that signs approvals; made where there is none
	LetIn handoff.LetIn // who may ask over NATS; nil = nobody may

	// Named gives the name of the plan of this server that makes a document; nil = there are none, and all are whole plans.
	Named func(document []byte) (name string, ok bool)

	Refused func(requests.Refusal) // is told of each request about runs over NATS that is refused; nil = nobody is

	EndedTokens schedules.Ended // finds the tokens with which nobody answers for a schedule any more; nil = nobody looks

	RequireProof bool // a rule not_submitter is not met by a run whose submitter nobody has proven

	Index string // folder of the index of runs; empty = it is in memory only, and is made anew at every start

	Tally string // folder outside the store in which it is kept what the log holds; empty = that is kept inside the store only

	Checkpoints string // file in which checkpoints of the audit trail are kept outside the store; empty = none is kept

	Places []*audit.Place // that get the checkpoints too

	Notifier Notifier // nil = this process notifies nobody, and does not know who was
}

// Notifier notifies people of what waits for them. Package notify has one, with all its channels; what needs none of
// them does not link it.
type Notifier interface {
	// Run notifies people until ctx ends, if no other dispatcher does.
	Run(ctx context.Context, b *bus.Bus, items func(context.Context) ([]handoff.Item, error), logger *slog.Logger) error
	// Notified gives what tells who got notices of an open escalation.
	Notified(b *bus.Bus) func(ctx context.Context, v view.Escalation) ([]handoff.TrailLine, error)
}

// Actor carries out what people want done about an escalation.
type Actor interface {
	Act(ctx context.Context, who people.Actor, id string, a people.Act) (handoff.Done, error)
}

// WorkerOptions say what the worker serves.
type WorkerOptions struct {
	worker.Options // its Bus and Tools are filled in
	Tools          *plan.Tools
	Box            ladder.Options // its Bus is filled in
	Trust          string         // the public keys that approvals are checked with, or a file of them; empty = those that it pins
	Passkeys       string         // file of the passkeys that it trusts; empty = those that were registered at this process, and without a desk none
	Pins           string         // file of the keys that it pins; empty = beside the signing key of this process, and without one none are pinned
}

// Engine is what was started.
type Engine struct {
	Bus    *bus.Bus
	Runs   *runlog.Log
	Server *embedded.Server // nil unless embedded
	People Actor
	Desk   *handoff.Desk // nil where another process has it
	// Redrives are carried out here; nil where another process has the desk.
	Redrives *handoff.Redrives
	// Recorder keeps the audit trail; nil where another process does.
	Recorder *audit.Recorder
	// Prove signs that the token of whoever submits a run was shown; nil where another process has the desk.
	Prove func(run string, s *steps.Submitted) error
	// Tally knows whether the log is what it was; nil where another process does.
	Tally *tally.Keeper
	// Gates knows which gates are closed; nil where another process dispatches.
	Gates *gates.Keeper
	// Limits knows which targets have asked to wait; nil likewise.
	Limits *limits.Keeper
	// Breakers knows which targets are left alone; nil where another process dispatches.
	Breakers *breaker.Keeper
	// Schedules starts runs when their time has come; nil where another process does.
	Schedules *schedules.Keeper
	// Score knows how it goes; nil likewise.
	Score *score.Watch
	// Index knows which runs are kept; nil where another process has it.
	Index *runindex.Index
	// Canary knows whether the server stores what it is given; nil where nobody looks.
	Canary *bus.Canary
	// Missing are the `go` rungs of the worker's tools file that have no handler in this binary.
	Missing []ladder.Key

	kept        func() (checkpoints []string, contradiction string) // by the worker of this process; nil where it keeps none
	behindGates func() int                                          // attempts that gates hold back; nil where another process dispatches

	limitedCalls func() map[dispatch.Limited]int // calls that limits hold back; nil likewise
	outside      func() []dispatch.Outside

	endedTokens schedules.Ended // see [PeopleOptions]

	signer *approval.Signer     // nil where another process has the desk
	moves  *dispatch.Dispatcher // nil where another process dispatches
	about  struct{ version, sync string }
	logger *slog.Logger
	stops  []context.CancelFunc // in the order in which they are to be called
	dones  []chan struct{}
	mu     sync.Mutex
	failed error
	fail   chan struct{} // closed when a part ended by itself
}

// Start starts the parts in order: server, connection, streams, dispatcher, worker. When one fails, those before it are
// stopped again.
func Start(ctx context.Context, o Options) (*Engine, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	e := &Engine{logger: o.Logger, fail: make(chan struct{})}
	if err := e.start(ctx, o); err != nil {
		e.Stop()
		return nil, err
	}
	return e, nil
}

func (e *Engine) start(ctx context.Context, o Options) (err error) {
	e.about.version = o.Version
	if o.Embedded != nil {
		e.about.sync = cmp.Or(o.Embedded.Durability, embedded.Fsync)
		if e.Server, err = embedded.Start(*o.Embedded); err != nil {
			return err
		}
		o.Connect.InProcess, o.Connect.Opening = e.Server, e.Server.Opening()
	}
	if err := bus.Await(ctx, e.logger, o.Patience, func(ctx context.Context) error { return e.join(ctx, o) }); err != nil {
		return err
	}
	if err := e.Bus.Small(); err != nil && (o.Dispatch != nil || o.Worker != nil) {
		e.logger.Warn("this NATS server accepts only smaller messages than Belay needs", "error", err)
	}
	if e.Server != nil {
		if err := e.Server.StageInMemory(); err != nil {
			e.logger.Warn("batches are staged on disk, which takes longer", "error", err)
		}
		e.part(func(ctx context.Context) error { return e.Server.Tend(ctx, e.reopened) })
	}
	e.Runs = runlog.New(e.Bus, plan.NewCache(256))
	e.startCanary(o)
	if err := e.startPeople(ctx, o.People, o.Token, o.Embedded != nil && o.Embedded.Durability == embedded.Interval); err != nil {
		return err
	}
	if o.Worker != nil { // before the dispatcher: its consumers are there when the first step is
		if err := e.startWorker(ctx, *o.Worker, o.Dispatch != nil); err != nil {
			return err
		}
	}
	if o.Dispatch != nil {
		e.startDispatcher(*o.Dispatch)
		if o.People != nil && o.People.LetIn != nil { // else it leaves again as soon as the run is done that it was started for
			e.part(func(ctx context.Context) error {
				e.Schedules.Run(ctx)
				return nil
			})
		}
	}
	if e.Server != nil {
		if err := e.Server.SyncLayout(); err != nil {
			e.logger.Warn("a power cut in the next seconds may lose more than the last one", "error", err)
		}
	}
	return nil
}

// join connects, and makes the streams or looks whether they are there. Where that fails the connection is closed.
func (e *Engine) join(ctx context.Context, o Options) (err error) {
	if e.Bus, err = bus.Connect(ctx, o.Connect); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			e.Bus.Close()
			e.Bus = nil
		}
	}()
	if o.Setup || o.Embedded != nil {
		setup := bus.SetupOptions{Partitions: o.Partitions, New: e.newPartitions(), Replicas: o.Replicas, MaxBytes: o.MaxBytes}
		if e.Server != nil {
			setup.Mend = e.Server.Forget
		}
		err = e.Bus.Setup(ctx, setup)
	} else {
		err = e.Bus.Open(ctx)
	}
	return err
}

// newPartitions is how many partitions the log of a new store gets. A server on this machine has the same few cores, and
// every partition its own syncs: they slow one another down (measured on 2 cores with full sync, 64 runs in flight, embedded:
// 5,200 steps/s with one partition, 3,600 with four).
func (e *Engine) newPartitions() int {
	if e.Server == nil && !e.Bus.OnThisMachine() {
		return wire.DefaultPartitions
	}
	return max(1, min(wire.DefaultPartitions, runtime.GOMAXPROCS(0)/2))
}

func (e *Engine) startDispatcher(o dispatch.Options) {
	o.Bus, o.Log = e.Bus, e.Runs
	if e.Index != nil {
		o.OpenRuns = e.Index.OpenRuns
	}
	if e.Server != nil {
		o.Crashed = e.Server.Crashed()
	}
	if e.Tally != nil {
		o.Received, o.Guard, o.Remade = e.Tally.Note, e.Tally, e.remade
	}
	e.Gates = e.startGates()
	o.Gates, o.Limits, o.Breakers = e.Gates, e.startLimits(), e.startBreakers()
	if e.Recorder != nil {
		o.Observer = actsHeard{o.Observer, e.Recorder.Nudge}
	}
	if o.Logger == nil {
		o.Logger = e.logger
	}
	counting := score.NewKeeper(e.Bus, e.Runs, e.logger)
	o.Score = counting
	d := dispatch.New(o)
	e.behindGates, e.limitedCalls, e.outside = d.BehindGates, d.LimitedCalls, d.Outside
	e.moves = d
	e.part(func(ctx context.Context) error {
		defer e.announce(d)()
		return d.Run(ctx)
	})
	e.startScore(counting)
	if e.Tally != nil {
		e.part(e.Tally.Run) // it ends after the dispatcher, whose last entries it notes
	}
}

// announce lets commands ask a dispatcher what it sees. One that may not be asked works all the same.
func (e *Engine) announce(d *dispatch.Dispatcher) (gone func()) {
	gone, err := bus.AnnounceDispatcher(e.Bus, e.about.version, func() bus.Dispatcher {
		state := bus.Dispatcher{Name: d.Name, Sync: e.about.sync, Unserved: []bus.Unserved{}}
		for _, u := range d.Unserved() {
			state.Unserved = append(state.Unserved, bus.Unserved(u))
		}
		state.Store = e.storeTrouble()
		return state
	})
	if err != nil {
		e.logger.Debug("commands cannot ask this dispatcher what no worker serves", "error", err)
		return func() {}
	}
	return gone
}

func (e *Engine) startWorker(ctx context.Context, o WorkerOptions, dispatches bool) (err error) {
	o.Options.Bus, o.Options.Runs = e.Bus, e.Runs
	if o.Logger == nil {
		o.Logger = e.logger
	}
	if o.Options.Keys, err = e.trusted(&o); err != nil {
		return err
	}
	if o.Options.Passkeys, err = e.passkeys(o); err != nil {
		return err
	}
	if o.Injector != nil {
		o.Injector.GoBy(e.Bus.Now)
	}
	w, missing, err := worker.Open(ctx, o.Options, o.Tools, o.Box)
	if err != nil {
		return err
	}
	e.Missing = missing
	if len(w.Tools) == 0 && dispatches {
		return nil // runs can be submitted and looked at; people were told what is missing
	}
	e.part(w.Run)
	select {
	case <-w.Ready():
		return nil
	case <-e.fail:
		return e.Err()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
