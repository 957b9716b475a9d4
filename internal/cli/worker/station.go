package worker

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"belay/internal/approval"
	"belay/internal/audit"
	"belay/internal/bus"
	"belay/internal/ladder"
	"belay/internal/plan"
	"belay/internal/rights"
	"belay/internal/runlog"
	"belay/internal/worker"
)

// station is a worker and its connection.
type station struct {
	bus     *bus.Bus
	worker  *worker.Worker
	reached atomic.Pointer[bus.Bus] // bus, once it is connected
	canary  *bus.Canary
	pins    atomic.Pointer[approval.Pins] // nil where the keys were given, and before it is connected
	witness atomic.Pointer[audit.Witness] // of checkpoints of the audit trail; nil before it is connected, and where it trusts no keys, or has no place on disk
	state   atomic.Pointer[error]         // why it pulls no steps; nil = it does while connected
	done    chan struct{}                 // closed when Run has returned
	err     error                         // what it returned, once done is closed
	logger  *slog.Logger                  // set by open
	stop    context.CancelFunc            // tells Run to drain; nil before it runs
}

var (
	errStarting = errors.New("starting")
	errDraining = errors.New("draining")
)

func newStation() *station {
	s := &station{done: make(chan struct{})}
	s.state.Store(&errStarting)
	return s
}

// ready is nil while the worker pulls steps, or says why it does not.
func (s *station) ready() error {
	if why := s.state.Load(); why != nil {
		return *why
	}
	return s.canary.Ready()
}

// open connects, and makes a worker that serves the tools file.
func (s *station) open(ctx context.Context, conn bus.Options, patience time.Duration, trusted trust, o worker.Options, file *plan.Tools, box ladder.Options) (err error) {
	if err := bus.Await(ctx, o.Logger, patience, func(ctx context.Context) error { return s.join(ctx, conn) }); err != nil {
		return err
	}
	s.reached.Store(s.bus)
	s.logger = o.Logger
	if err := s.bus.Small(); err != nil {
		o.Logger.Warn("this NATS server accepts only smaller messages than Belay needs", "error", err)
	}
	rights.Warn(o.Logger, s.bus, rights.Worker)
	if o.Injector != nil {
		o.Injector.GoBy(s.bus.Now)
	}
	o.Bus, o.Runs = s.bus, runlog.New(s.bus, plan.NewCache(256))
	if o.Keys, err = trusted.keys(s, o.Logger); err != nil {
		return err
	}
	if o.Checkpoints, err = trusted.keep(s, o.Logger); err != nil {
		return err
	}
	if o.Passkeys, err = trusted.keysOfPeople(s, o.Logger); err != nil {
		return err
	}
	s.canary = bus.NewCanary(s.bus, bus.CanaryOptions{Kind: "worker", Rare: true, Logger: o.Logger})
	s.worker, _, err = worker.Open(ctx, o, file, box)
	return err
}

// join connects, and looks whether the streams are there. Where that fails the connection is closed.
func (s *station) join(ctx context.Context, conn bus.Options) (err error) {
	if s.bus, err = bus.Connect(ctx, conn); err != nil {
		return err
	}
	if err = s.bus.Open(ctx); err != nil {
		s.bus.Close()
		s.bus = nil
	}
	return err
}

// run starts the worker and returns when it pulls steps of all its tools.
func (s *station) run(ctx context.Context) error {
	life, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stop = stop
	go func() { _ = s.canary.Run(life) }()
	if p := s.pins.Load(); p != nil {
		go func() { _ = p.Run(life) }()
	}
	if h := s.witness.Load(); h != nil {
		go func() { s.keeps(life, h) }()
	}
	go func() {
		s.err = s.worker.Run(life)
		close(s.done)
	}()
	select {
	case <-s.worker.Ready():
		s.state.Store(nil)
		return nil
	case <-s.done:
		return s.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// wait returns nil when ctx ends, or the error of a worker that ended by itself.
func (s *station) wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-s.done:
		return s.err
	}
}

// close lets the worker finish what it executes and closes the connection.
func (s *station) close() {
	s.state.Store(&errDraining)
	if s.stop != nil {
		s.stop()
		<-s.done
	}
	if s.bus != nil {
		s.bus.Close()
	}
}
