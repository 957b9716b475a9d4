// Package engine puts the parts together in one process: a connection (to a server that is there, or to an embedded
// one), a dispatcher, a worker. Commands, the public package and tests start what they need of it; it decides nothing.
package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/google/uuid"

	"belay/internal/approval"
	"belay/internal/audit"
	"belay/internal/bus"
	"belay/internal/dispatch"
	"belay/internal/dlq"
	"belay/internal/fleet"
	"belay/internal/handoff"
	"belay/internal/herald"
	"belay/internal/notify"
	"belay/internal/plan"
	"belay/internal/runlog"
	"belay/internal/toolbox"
	"belay/internal/wire"
	"belay/internal/worker"
)

// Options say what an [Engine] starts.
type Options struct {
	Connect    bus.Options // how to connect; ignored when Embedded is set, but for Name, Prefix, Timeout and Log
	Embedded   *bus.ServerOptions
	Partitions int               // when streams are made
	Setup      bool              // make the streams that are missing; without it they must be there
	Dispatch   *dispatch.Options // its Bus and Log are filled in; nil = no dispatcher
	Worker     *WorkerOptions    // nil = no worker
	People     *PeopleOptions    // nil = what people decide is carried out by another process
	Token      string            // what is shown to that process
	Log        *slog.Logger
}

// PeopleOptions say how this process carries out what people decide.
type PeopleOptions struct {
	Keys  string        // folder of the key that signs approvals; made where there is none
	LetIn handoff.LetIn // who may ask over NATS; nil = nobody may

	Checkpoints string // file in which checkpoints of the audit trail are kept outside the store; empty = none is kept

	Notify   *notify.Setup       // whom to tell that something waits for people; nil = nobody
	Notified func(notify.Report) // hears of every attempt to tell them; nil = nobody does
}

// Actor carries out what people want done about an escalation.
type Actor interface {
	Act(ctx context.Context, who handoff.Person, id string, a handoff.Act) (handoff.Done, error)
}

// WorkerOptions say what the worker serves.
type WorkerOptions struct {
	worker.Options // its Bus and Tools are filled in
	Tools          *plan.Tools
	Box            toolbox.Options // its Bus is filled in
	Trust          string          // file of the public keys that approvals are checked with; empty = those that dispatchers publish
}

// Engine is what was started.
type Engine struct {
	Bus    *bus.Bus
	Runs   *runlog.Log
	Server *bus.Server // nil unless embedded
	People Actor
	Desk   *handoff.Desk // nil where another process has it
	// Batches are carried out here; nil where another process has the desk.
	Batches *handoff.Batches
	// Recorder keeps the audit trail; nil where another process does.
	Recorder *audit.Recorder
	// Missing are the `go` rungs of the worker's tools file that have no handler in this binary.
	Missing []toolbox.Key

	log    *slog.Logger
	stops  []context.CancelFunc // in the order in which they are to be called
	dones  []chan struct{}
	mu     sync.Mutex
	failed error
	fail   chan struct{} // closed when a part ended by itself
}

// Start starts the parts in order: server, connection, streams, dispatcher, worker. When one fails, those before it are
// stopped again.
func Start(ctx context.Context, o Options) (*Engine, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	e := &Engine{log: o.Log, fail: make(chan struct{})}
	if err := e.start(ctx, o); err != nil {
		e.Stop()
		return nil, err
	}
	return e, nil
}

func (e *Engine) start(ctx context.Context, o Options) (err error) {
	if o.Embedded != nil {
		if e.Server, err = bus.StartServer(*o.Embedded); err != nil {
			return err
		}
		o.Connect.InProcess = e.Server
	}
	if e.Bus, err = bus.Connect(ctx, o.Connect); err != nil {
		return err
	}
	if err := e.Bus.Small(); err != nil && (o.Dispatch != nil || o.Worker != nil) {
		e.log.Warn("this NATS server takes smaller messages than Belay needs", "error", err)
	}
	if o.Setup || o.Embedded != nil {
		err = e.Bus.Setup(ctx, bus.SetupOptions{Partitions: o.Partitions, New: o.newPartitions()})
	} else {
		err = e.Bus.Open(ctx)
	}
	if err != nil {
		return err
	}
	e.Runs = runlog.New(e.Bus, plan.NewCache(256))
	if err := e.startPeople(ctx, o.People, o.Token); err != nil {
		return err
	}
	if o.Worker != nil { // before the dispatcher: its consumers are there when the first step is
		if err := e.startWorker(ctx, *o.Worker, o.Dispatch != nil); err != nil {
			return err
		}
	}
	if o.Dispatch != nil {
		e.startDispatcher(*o.Dispatch)
	}
	return nil
}

// newPartitions is how many partitions the log of a new store gets. An embedded server has one disk, and every
// partition its own syncs on it: with few cores they slow one another down (measured on 2 cores with full sync, 64 runs
// in flight: 5,200 steps/s with one partition, 3,600 with four).
func (o Options) newPartitions() int {
	if o.Embedded == nil {
		return wire.DefaultPartitions
	}
	return max(1, min(wire.DefaultPartitions, runtime.GOMAXPROCS(0)/2))
}

// startPeople makes the desk at which people decide; without options it is another process's.
func (e *Engine) startPeople(ctx context.Context, o *PeopleOptions, token string) error {
	if o == nil {
		e.People = handoff.Remote{Bus: e.Bus, Token: token}
		return nil
	}
	signer, err := approval.Open(o.Keys)
	if err != nil {
		return err
	}
	if _, err := signer.PublishTo(ctx, approval.NewPublished(e.Bus)); err != nil {
		return err
	}
	claims := handoff.NewClaims(e.Bus)
	if err := claims.Prepare(ctx); err != nil {
		return err
	}
	e.Desk = handoff.NewDesk(e.Runs, dlq.New(e.Bus), claims, signer)
	e.Desk.Told = herald.Told(e.Bus)
	e.Batches = handoff.NewBatches(e.Bus, e.Desk)
	e.part(e.Batches.Run)
	e.People = e.Desk
	e.startAudit(signer, o.Checkpoints)
	if o.Notify != nil {
		e.startHerald(o)
	}
	if o.LetIn == nil {
		return nil
	}
	ready := make(chan struct{})
	e.part(func(ctx context.Context) error {
		return handoff.Serve(ctx, e.Bus, e.Desk, o.LetIn, func() { close(ready) })
	})
	select {
	case <-ready:
		return nil
	case <-e.fail:
		return e.Err()
	}
}

// startAudit records what people do. Decisions are recorded as they stand in the logs, by one dispatcher; what decides
// nothing, by the desk where it is done.
func (e *Engine) startAudit(signer *approval.Signer, file string) {
	trail := audit.New(e.Bus)
	e.Desk.Acted = func(ctx context.Context, who handoff.Person, a handoff.Act, d handoff.Done) {
		if a.Verb.Decides() && !d.Discarded { // the recorder finds it in the run's log
			return
		}
		if err := trail.Append(ctx, actRecord(who, a, d)); err != nil {
			e.log.Warn("an act is not in the audit trail", "act", string(a.Verb), "escalation_id", d.ID, "by", who.Name, "error", err)
		}
	}
	e.Recorder = audit.NewRecorder(e.Bus, e.Runs, trail)
	e.Recorder.Key, e.Recorder.File, e.Recorder.Say = signer.Key, file, e.log
	e.part(e.Recorder.Run)
}

func actRecord(who handoff.Person, a handoff.Act, d handoff.Done) audit.Record {
	after, err := json.Marshal(struct {
		To    string    `json:"to,omitempty"`
		Until time.Time `json:"until,omitzero"`
		Text  string    `json:"text,omitempty"`
	}{a.To, a.Until, a.Text})
	if err != nil || string(after) == "{}" {
		after = nil
	}
	run, _ := handoff.RunOf(d.ID)
	return audit.Record{
		ID: "act/" + uuid.NewString(), At: d.At, Who: who.Name, Via: who.Via, Action: string(a.Verb), On: d.ID, Run: run, Reason: a.Reason, After: after, Effect: d.Effect,
	}
}

// startHerald tells people what waits for them, if no other dispatcher does.
func (e *Engine) startHerald(o *PeopleOptions) {
	s := o.Notify
	e.part(func(ctx context.Context) error {
		return herald.Run(ctx, herald.Options{
			Bus: e.Bus, Items: e.Desk.Items, Policy: s.Policy, Log: e.log,
			Sender: func(reports func(notify.Report)) herald.Sender {
				return notify.NewSender(s.Channels, both(reports, o.Notified), e.log)
			},
		})
	})
}

// both tell two of a report; the second one may be nil.
func both(a, b func(notify.Report)) func(notify.Report) {
	if b == nil {
		return a
	}
	return func(r notify.Report) {
		a(r)
		b(r)
	}
}

func (e *Engine) startDispatcher(o dispatch.Options) {
	o.Bus, o.Log = e.Bus, e.Runs
	if e.Recorder != nil {
		o.Observer = actsHeard{o.Observer, e.Recorder.Nudge}
	}
	if o.Logger == nil {
		o.Logger = e.log
	}
	d := dispatch.New(o)
	e.part(func(ctx context.Context) error {
		defer e.announce(d)()
		return d.Run(ctx)
	})
}

// announce lets commands ask a dispatcher what it sees. One that may not be asked works all the same.
func (e *Engine) announce(d *dispatch.Dispatcher) (gone func()) {
	gone, err := fleet.AnnounceDispatcher(e.Bus, "", func() fleet.Dispatcher {
		state := fleet.Dispatcher{Name: d.Name, Unserved: []fleet.Unserved{}}
		for _, u := range d.Unserved() {
			state.Unserved = append(state.Unserved, fleet.Unserved(u))
		}
		return state
	})
	if err != nil {
		e.log.Debug("commands cannot ask this dispatcher what no worker serves", "error", err)
		return func() {}
	}
	return gone
}

func (e *Engine) startWorker(ctx context.Context, o WorkerOptions, dispatches bool) error {
	o.Box.Bus, o.Box.Log = e.Bus, e.log
	tools, missing, err := toolbox.Build(ctx, o.Tools, o.Box)
	if err != nil {
		return err
	}
	e.Missing = missing
	for _, k := range missing {
		e.log.Info("this worker does not serve a rung: no Go handler is registered for it in this binary", "tool", k.Tool, "rung", k.Rung)
	}
	if len(tools) == 0 && dispatches {
		return nil // runs can be submitted and looked at; people were told what is missing
	}
	o.Options.Bus, o.Options.Runs, o.Options.Tools = e.Bus, e.Runs, tools
	if o.Options.Keys, err = e.trusted(o.Trust); err != nil {
		return err
	}
	if o.Log == nil {
		o.Log = e.log
	}
	w := worker.New(o.Options)
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

func (e *Engine) trusted(file string) (worker.Keys, error) {
	if file != "" {
		return approval.Pinned(file)
	}
	return approval.NewPublished(e.Bus), nil
}

// part runs one long-lived part. One that ends by itself ends the engine.
func (e *Engine) part(run func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	// Workers stop first: their last outcomes still find a dispatcher.
	e.stops, e.dones = append(e.stops, cancel), append(e.dones, done)
	go func() {
		defer close(done)
		if err := run(ctx); err != nil && ctx.Err() == nil {
			e.end(err)
		}
	}()
}

func (e *Engine) end(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.failed == nil {
		e.failed = err
		close(e.fail)
	}
}

// Failed is closed when a part has ended by itself; Err says why.
func (e *Engine) Failed() <-chan struct{} { return e.fail }

// Err is why a part ended by itself.
func (e *Engine) Err() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.failed
}

// Wait blocks until ctx ends or a part ends by itself.
func (e *Engine) Wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-e.fail:
		return e.Err()
	}
}

// Ready is nil while everything that was started works; else it says what does not.
func (e *Engine) Ready() error {
	if err := e.Err(); err != nil {
		return err
	}
	return e.Bus.Ready()
}

// Stop drains all parts, one after the other, and gives everything back.
func (e *Engine) Stop() {
	for i, stop := range e.stops {
		stop()
		<-e.dones[i]
	}
	if e.Bus != nil {
		e.Bus.Close()
	}
	if e.Server != nil {
		e.Server.Shutdown()
	}
}

// ErrNoServer says that no running server was found through the state directory.
var ErrNoServer = errors.New("no running dispatcher is noted in the state directory")

// The note by which commands find a running `dev` or `serve`: its server's URL, in the state directory.
const noteName = "server.url"

// Leave notes where this engine's server is; the returned function takes the note back.
func Leave(dir, url string) (remove func(), err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("state directory: %w", err)
	}
	path := filepath.Join(dir, noteName)
	if err := os.WriteFile(path, []byte(url), 0o600); err != nil {
		return nil, fmt.Errorf("note where the server is: %w", err)
	}
	return func() { _ = os.Remove(path) }, nil
}

// Find is the URL of a server that is noted in dir. The process may be gone; connecting tells.
func Find(dir string) (string, error) {
	b, err := os.ReadFile(filepath.Join(dir, noteName))
	if errors.Is(err, os.ErrNotExist) || err == nil && len(b) == 0 {
		return "", ErrNoServer
	}
	if err != nil {
		return "", fmt.Errorf("read where the server is: %w", err)
	}
	return string(b), nil
}
