package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	crashBudget = 3
	rememberFor = time.Minute // a stop may arrive before the message that it is about
)

// step is the body of a step message.
type step struct {
	V   int    `json:"v"`
	Run string `json:"run"`
	attempt
	Workflow  string            `json:"workflow"`
	Tool      string            `json:"tool"`
	RungName  string            `json:"rung_name"`
	Effects   string            `json:"effects"`
	Key       string            `json:"key"`
	Timeout   float64           `json:"timeout"` // seconds
	NotBefore time.Time         `json:"not_before"`
	Deadline  time.Time         `json:"deadline"`
	Grants    []json.RawMessage `json:"grants"`
	Params    json.RawMessage   `json:"params"`
}

func (s step) unsafe() bool  { return s.Effects != "none" && s.Effects != "idempotent" }
func (s step) claimed() bool { return s.unsafe() || len(s.Grants) > 0 }

// fault is why an attempt failed.
type fault struct {
	Class      string  `json:"class"`
	Acted      string  `json:"acted,omitempty"`
	Message    string  `json:"message"`
	RetryAfter float64 `json:"retry_after,omitempty"`
	Final      bool    `json:"final,omitempty"`
}

func (f *fault) Error() string { return f.Class + ": " + f.Message }

type worker struct {
	nc         *nats.Conn
	js         jetstream.JetStream
	name       string
	partitions int
	ackWait    time.Duration // how long the server waits for a heartbeat or an ack; the same for all workers
	stopWords  *nats.Subscription
	connected  atomic.Int64 // when the connection was made, Unix nanoseconds

	mu      sync.Mutex
	stopped map[string]time.Time // when each attempt was stopped
	running map[string]func()    // ends an execution
	inHand  sync.WaitGroup       // messages in hand
}

func connect(ctx context.Context, server, name string, ackWait time.Duration) (*worker, error) {
	w := &worker{name: name, ackWait: ackWait, stopped: map[string]time.Time{}, running: map[string]func(){}}
	made := func(*nats.Conn) { w.connected.Store(time.Now().UnixNano()) }
	made(nil)
	var err error
	w.nc, err = nats.Connect(server, nats.Name(name), nats.MaxReconnects(-1), nats.ReconnectBufSize(-1),
		nats.PingInterval(2*time.Second), nats.MaxPingsOutstanding(2), nats.ReconnectHandler(made))
	if err != nil {
		return nil, err
	}
	if w.js, err = jetstream.New(w.nc); err != nil {
		return nil, err
	}
	first, err := w.js.Stream(ctx, logStream(0))
	if err != nil {
		return nil, err
	}
	w.partitions, err = strconv.Atoi(first.CachedInfo().Config.Metadata["belay-partitions"])
	if err != nil || w.partitions < 1 {
		return nil, fmt.Errorf("the stream %s does not say how many partitions there are: %w", logStream(0), err)
	}
	if w.stopWords, err = w.nc.Subscribe(stopPrefix+">", w.heardStop); err != nil {
		return nil, err
	}
	return w, w.stopWords.SetPendingLimits(-1, -1)
}

// heardStop remembers the stop of an attempt, and ends its execution.
func (w *worker) heardStop(m *nats.Msg) {
	key := m.Subject[len(stopPrefix):]
	w.mu.Lock()
	defer w.mu.Unlock()
	for k, at := range w.stopped {
		if time.Since(at) > rememberFor {
			delete(w.stopped, k)
		}
	}
	w.stopped[key] = time.Now()
	if end := w.running[key]; end != nil {
		end()
	}
}

func stopKey(s step) string { return s.Run + "." + s.Step + "." + s.token() }

// serve pulls the messages of one rung of a tool until ctx ends.
func (w *worker) serve(ctx context.Context, name, rung string, t tool) {
	for ctx.Err() == nil {
		if err := w.pull(ctx, name, rung, t); err != nil && ctx.Err() == nil {
			log.Printf("%s/%s: %v; trying again", name, rung, err)
			time.Sleep(time.Second)
		}
	}
}

func (w *worker) pull(ctx context.Context, name, rung string, t tool) error {
	consumer, err := w.js.CreateConsumer(ctx, stepsStream, jetstream.ConsumerConfig{
		Durable: stepConsumer(name, rung), FilterSubject: stepFilter(name, rung),
		AckPolicy: jetstream.AckExplicitPolicy, AckWait: w.ackWait, MaxDeliver: -1, MaxAckPending: -1, MaxWaiting: 4096,
	})
	if err != nil {
		return err
	}
	messages, err := consumer.Messages(jetstream.PullMaxMessages(4), jetstream.PullExpiry(5*time.Second), jetstream.PullHeartbeat(time.Second))
	if err != nil {
		return err
	}
	defer messages.Stop()
	defer context.AfterFunc(ctx, messages.Stop)()
	for {
		m, err := messages.Next()
		if err != nil {
			return err
		}
		w.inHand.Go(func() { w.handle(context.WithoutCancel(ctx), t, m) })
	}
}

// job is one message in hand.
type job struct {
	*worker
	jetstream.Msg
	step
	server string       // the server process that delivered it
	owned  atomic.Int64 // when the server last heard of it, Unix nanoseconds
	as     string       // the worker's name in events
	start  string       // the name of the stored start; empty if there is none
}

func (w *worker) handle(ctx context.Context, t tool, m jetstream.Msg) {
	j := &job{worker: w, Msg: m, server: w.nc.ConnectedServerId(), as: w.name}
	j.owned.Store(time.Now().UnixNano())
	keeping, done := context.WithCancel(context.Background())
	defer done()
	go j.keep(keeping)
	if err := json.Unmarshal(m.Data(), &j.step); err != nil || j.V != 1 || m.Subject() != stepSubject(j.step) {
		log.Printf("message on %s cannot be read: %v", m.Subject(), err)
		_ = m.NakWithDelay(time.Minute) // another worker may be able to read it
		return
	}
	if wait := time.Until(j.NotBefore); wait > 0 {
		_ = m.NakWithDelay(wait)
		return
	}
	redelivered := j.mayBeRedelivered()
	if redelivered && !j.mayGoOn(ctx, redelivered) {
		return
	}
	if j.step.claimed() && !j.claim(ctx, redelivered) {
		return
	}
	if outcome := j.execute(ctx, t); outcome != nil {
		j.report(ctx, outcome)
	} else {
		j.later(time.Second)
	}
}

// keep sends heartbeats while the message is in hand.
func (j *job) keep(ctx context.Context) {
	every := time.NewTicker(j.ackWait / 3)
	defer every.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-every.C:
			if j.sameServer() && j.InProgress() == nil {
				j.owned.Store(time.Now().UnixNano())
			}
		}
	}
}

// sameServer reports whether the queue that the message came from still exists: it is in the server's memory, and a new one
// counts from 1 again.
func (j *job) sameServer() bool { return j.nc.ConnectedServerId() == j.server }

func (j *job) ack() {
	if j.sameServer() {
		_ = j.Ack() // if it is lost the message is redelivered, and finds its outcome
	}
}

func (j *job) later(pause time.Duration) {
	if j.sameServer() {
		_ = j.NakWithDelay(pause)
	}
}

// mayBeRedelivered reports whether another worker may have had the message before.
func (j *job) mayBeRedelivered() bool {
	meta, err := j.Metadata()
	return err != nil || meta.NumDelivered > 1 || j.Headers().Get("Belay-Again") != "" || meta.Timestamp.UnixNano() < j.connected.Load()
}

// mayGoOn reads the log of the run. If it returns false, the message has been handled.
func (j *job) mayGoOn(ctx context.Context, redelivered bool) bool {
	events, err := j.history(ctx, j.Run)
	if err != nil {
		j.later(time.Second)
		return false
	}
	v, pause := judge(events, j.step, redelivered)
	switch v {
	case drop:
		j.ack()
	case decline:
		j.report(ctx, j.neverBegun())
	case later:
		j.later(j.ackWait)
	case reportUnknown:
		j.report(ctx, j.failed(&fault{Class: "unknown", Acted: "maybe", Message: "the worker that had claimed it is silent: it may have happened"}))
	case reportCrashed:
		j.report(ctx, j.failed(&fault{Class: "crashed", Acted: "maybe", Message: "its worker crashed too often while executing it"}))
	case execute:
		time.Sleep(pause)
		return j.step.claimed() || j.started(ctx)
	}
	return false
}

// started stores that the attempt starts once more; this counts crashes.
func (j *job) started(ctx context.Context) bool {
	start := nats.NewInbox()
	if err := j.store(ctx, outcomeKind(j.Tool), j.event("started", "delivery", start)); err != nil {
		j.later(time.Second)
		return false
	}
	j.start = start
	return true
}

// claim acquires the right to execute. Only a claim that the server has confirmed counts.
func (j *job) claim(ctx context.Context, redelivered bool) bool {
	own := nats.NewInbox()
	j.as = j.name + "#" + own[len(own)-8:] // two deliveries to one process are two claimants
	err := j.store(ctx, "claim."+j.Step+"."+j.token(), j.event("claimed"), jetstream.WithExpectLastSequencePerSubject(0))
	if err == nil {
		return true
	}
	var refused *jetstream.APIError
	if errors.As(err, &refused) && refused.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence {
		j.mayGoOn(ctx, redelivered) // somebody has claimed it
		return false
	}
	j.later(time.Second)
	return false
}

// event begins the body of an event about the attempt.
func (j *job) event(kind string, more ...any) map[string]any {
	e := map[string]any{"v": 1, "type": kind, "step": j.Step, "round": j.Round, "rung": j.Rung, "try": j.Try, "worker": j.as}
	for i := 0; i < len(more); i += 2 {
		e[more[i].(string)] = more[i+1]
	}
	return e
}

func (j *job) failed(f *fault) map[string]any { return j.event("failed", "fault", f) }

func (j *job) neverBegun() map[string]any {
	e := j.failed(&fault{Class: "unavailable", Acted: "no", Message: "never begun, because the run is ending or has given this attempt up"})
	e["stopped"] = !j.step.claimed()
	if j.start != "" {
		e["start"] = j.start
	}
	return e
}

// store appends an event to the log of the run, and waits until the server has confirmed it.
func (j *job) store(ctx context.Context, kind string, e map[string]any, opts ...jetstream.PublishOpt) error {
	body, err := json.Marshal(e)
	if err != nil {
		return err
	}
	m := &nats.Msg{Subject: j.worker.subject(j.Run, kind), Data: body, Header: nats.Header{"Belay-Run-Id": {j.Run}}}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	_, err = j.js.PublishMsg(ctx, m, opts...)
	return err
}

// report stores the outcome, and acknowledges the message only then.
func (j *job) report(ctx context.Context, outcome map[string]any) {
	for j.store(ctx, outcomeKind(j.Tool), outcome) != nil {
		time.Sleep(time.Second)
	}
	j.ack()
}

// begin is the last check: every stop up to now has been heard, and the message is still ours. A later stop ends the
// execution, and is answered at once: an outcome will follow.
func (j *job) begin(cancel func()) (ok, stopped bool) {
	if j.nc.FlushTimeout(5*time.Second) != nil {
		return false, false
	}
	for {
		if n, _, err := j.stopWords.Pending(); err != nil {
			return false, false
		} else if n == 0 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if _, stopped = j.stopped[stopKey(j.step)]; stopped {
		return false, true
	}
	if !j.sameServer() || time.Now().UnixNano()-j.owned.Load() > int64(j.ackWait) {
		return false, false
	}
	j.running[stopKey(j.step)] = func() {
		cancel()
		if !j.step.claimed() {
			go func() { _ = j.store(context.Background(), outcomeKind(j.Tool), j.event("started")) }()
		}
	}
	return true, false
}

// limits ends an attempt at its timeout, or at the end of the step's budget.
func (j *job) limits(ctx context.Context) (context.Context, context.CancelFunc) {
	end := j.Deadline
	if timeout := time.Now().Add(time.Duration(j.Timeout * float64(time.Second))); j.Timeout > 0 && (end.IsZero() || timeout.Before(end)) {
		end = timeout
	}
	if end.IsZero() {
		return context.WithCancel(ctx)
	}
	return context.WithDeadline(ctx, end)
}

// execute calls the tool and returns the outcome; nil if it was not begun and may be redelivered.
func (j *job) execute(ctx context.Context, t tool) map[string]any {
	if !j.Deadline.IsZero() && !time.Now().Before(j.Deadline) {
		return j.failed(&fault{Class: "deadline_exceeded", Acted: "no", Message: "the step's budget was used up before the attempt could start"})
	}
	ctx, cancel := j.limits(ctx)
	defer cancel()
	if ok, stopped := j.begin(cancel); stopped || !ok && j.step.claimed() {
		return j.neverBegun() // nobody else can begin a claimed attempt
	} else if !ok {
		return nil
	}
	defer func() {
		j.mu.Lock()
		delete(j.running, stopKey(j.step))
		j.mu.Unlock()
	}()
	began := time.Now()
	output, err := t(ctx, j.step)
	var f *fault
	switch {
	case err == nil:
		return j.event("succeeded", "output", output, "started", began.UTC(), "took", time.Since(began).Seconds())
	case errors.As(err, &f):
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		f = &fault{Class: "timeout", Acted: "maybe", Message: err.Error()}
	case ctx.Err() != nil:
		f = &fault{Class: "unavailable", Acted: "maybe", Message: "stopped, because the run is ending or has given this attempt up"}
	default:
		f = &fault{Class: "tool_error", Acted: "maybe", Message: err.Error()}
	}
	return j.failed(f)
}
