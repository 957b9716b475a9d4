package conformance

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"belay/internal/steps"
	"belay/internal/wire"
)

// The rule before all probes, and those that each of them checks beside its own.
const (
	ruleServed   = "asks for work on the consumer of the tool and rung"
	ruleReadable = "writes only events that can be read, on the subject of their kind"
	ruleAttempt  = "names the attempt of the message, and a worker"
	ruleTool     = "speaks on the subjects of its own tool, or of all tools"
	ruleHeader   = "sends the header " + wire.HeaderRun + " with what it appends to a log"
	ruleOrder    = "acknowledges only after the outcome"
	ruleClass    = "reports only faults of the closed set"
	ruleTerm     = "never gives a message up (+TERM)"
)

var generalRules = []string{ruleReadable, ruleAttempt, ruleTool, ruleHeader, ruleOrder, ruleClass, ruleTerm}

// watch sees what a worker publishes.
type watch struct {
	Options
	nc      *nats.Conn
	js      jetstream.JetStream
	seen    chan *nats.Msg    // logs and acks, in the order in which the server got them
	general map[string]string // what is wrong, by rule
}

// seenEvent is something that the worker appended to the run's log.
type seenEvent struct {
	event  steps.Event
	header nats.Header
	at     time.Time
}

func (e seenEvent) name() string { return fmt.Sprintf("%T", e.event)[len("steps."):] }

// sight is what became of one message.
type sight struct {
	events []seenEvent
	acked  bool
}

func (s sight) outcome() steps.Event {
	for _, e := range s.events {
		if isOutcome(e.event) {
			return e.event
		}
	}
	return nil
}

func (s sight) outcomes() (n int) {
	for _, e := range s.events {
		if isOutcome(e.event) {
			n++
		}
	}
	return n
}

func isOutcome(e steps.Event) bool {
	switch e.(type) {
	case steps.Succeeded, steps.Failed, steps.Objected:
		return true
	}
	return false
}

func describe(e steps.Event) string {
	switch e := e.(type) {
	case nil:
		return "none"
	case steps.Failed:
		return "failed, " + string(e.Fault.Class)
	}
	return strings.ToLower(fmt.Sprintf("%T", e)[len("steps."):])
}

func workerOf(e steps.Event) string {
	_, worker := said(e)
	return worker
}

// said is the attempt that an event is about, and who says it.
func said(e steps.Event) (a steps.Attempt, worker string) {
	switch e := e.(type) {
	case steps.Started:
		return e.Attempt, e.Worker
	case steps.Progress:
		return e.Attempt, e.Worker
	case steps.Resumable:
		return e.Attempt, e.Worker
	case steps.Succeeded:
		return e.Attempt, e.Worker
	case steps.Failed:
		return e.Attempt, e.Worker
	case steps.Objected:
		return e.Attempt, e.Worker
	case steps.Claimed:
		return e.Attempt, e.Worker
	}
	return a, ""
}

// listen must come before the first message. Logs and acks go through one channel, so that their order is kept.
func (w *watch) listen() error {
	for _, subject := range []string{w.Names.Prefix + ".runs.>", "$JS.ACK.>"} {
		if _, err := w.nc.ChanSubscribe(subject, w.seen); err != nil {
			return fmt.Errorf("listen to %s: %w", subject, err)
		}
	}
	return w.nc.Flush()
}

// served waits until somebody asks for the tool, and says what is wrong with how.
func (w *watch) served(ctx context.Context) string {
	name, filter := w.Names.StepConsumer(w.Tool, w.Rung), w.Names.StepFilter(w.Tool, w.Rung)
	ctx, cancel := context.WithTimeout(ctx, w.Wait)
	defer cancel()
	for {
		c, err := w.js.Consumer(ctx, w.Names.StepsStream(), name)
		if err == nil && c.CachedInfo().NumWaiting > 0 {
			cfg := c.CachedInfo().Config
			if cfg.FilterSubject != filter || cfg.AckPolicy != jetstream.AckExplicitPolicy || cfg.MaxDeliver != -1 || cfg.MaxAckPending != -1 {
				return fmt.Sprintf("the consumer %s must have the filter %s, explicit acks, and no limit of deliveries (-1) and acks pending (-1)", name, filter)
			}
			return ""
		}
		select {
		case <-ctx.Done():
			return fmt.Sprintf("nobody pulls from the consumer %s on %s within %s", name, w.Names.StepsStream(), w.Wait)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// try sends one probe and says what is wrong with what becomes of it.
func (w *watch) try(ctx context.Context, p probe) (string, error) {
	m := w.message()
	subject := w.Names.Step(w.Tool, w.Rung, m.Run, m.Attempt)
	if p.shape != nil {
		p.shape(&m)
	}
	submitted, err := w.submitted(m)
	if err != nil {
		return "", err
	}
	log := []steps.Event{submitted}
	if p.log != nil {
		log = append(log, p.log(m)...)
	}
	for _, e := range log {
		if err := w.append(ctx, m, e); err != nil {
			return "", err
		}
	}
	if p.stop {
		if err := errors.Join(w.nc.Publish(w.Names.Stop(m.Run, m.Attempt), nil), w.nc.Flush()); err != nil {
			return "", err
		}
	}
	out := &nats.Msg{Subject: subject, Data: wire.EncodeStep(m), Header: nats.Header{wire.HeaderRun: {m.Run}}}
	if p.requeued {
		out.Header[wire.HeaderRepeated] = []string{"1"}
	}
	ack, err := w.js.PublishMsg(ctx, out)
	if err != nil {
		return "", err
	}
	s := w.collect(ctx, m, ack.Sequence)
	stream, err := w.js.Stream(ctx, w.Names.StepsStream())
	if err == nil {
		err = stream.Purge(ctx, jetstream.WithPurgeSubject(subject))
	}
	return p.check(m, s), err
}

// submitted is the submission of a run that wants exactly this call: a worker may look, before it acts, whether the run does.
func (w *watch) submitted(m steps.StepMessage) (steps.Submitted, error) {
	template := bytes.ReplaceAll(m.Params, []byte("${"), []byte("$${"))
	rung := steps.Rung{Name: w.Rung, Executor: "command", Timeout: m.Timeout, Retry: steps.RetryPolicy{MaxAttempts: 1, Factor: 2}}
	doc, err := json.Marshal(steps.Definition{
		Plan:  steps.Plan{Name: m.Workflow, Steps: []steps.Step{{ID: m.Step, Tool: w.Tool, With: template, OnFailure: steps.OnFailureEscalate}}},
		Tools: map[string]steps.Tool{w.Tool: {Name: w.Tool, Effects: m.Effects, Rungs: []steps.Rung{rung}}},
	})
	return steps.Submitted{Epoch: steps.Epoch, Document: doc, Input: json.RawMessage(`{}`), By: "conformance"}, err
}

func (w *watch) append(ctx context.Context, m steps.StepMessage, e steps.Event) error {
	kind, body, err := wire.EncodeEvent(e)
	if err != nil {
		return err
	}
	p := wire.Partition(m.Run, w.Partitions)
	subject := w.Names.Log(p, m.Run, kind)
	if kind == wire.KindClaim {
		subject = w.Names.Claim(p, m.Run, m.Attempt)
	}
	_, err = w.js.PublishMsg(ctx, &nats.Msg{Subject: subject, Data: body, Header: nats.Header{wire.HeaderRun: {m.Run}}})
	return err
}

// after is for how long something may still come once a message is acknowledged.
const after = 200 * time.Millisecond

// collect sees what becomes of a message until it is acknowledged, or nothing more is waited for. A worker may hand a message back for a while,
// once: until whoever had claimed it has been silent for an ack wait, for example.
func (w *watch) collect(ctx context.Context, m steps.StepMessage, seq uint64) (s sight) {
	end := time.NewTimer(w.Wait + max(0, time.Until(m.NotBefore)))
	defer end.Stop()
	for handedBack := false; ; {
		select {
		case <-ctx.Done():
			return s
		case <-end.C:
			return s
		case msg := <-w.seen:
			switch delay := nakDelay(msg.Data); {
			case !strings.HasPrefix(msg.Subject, "$JS.ACK."):
				w.note(m, msg, &s)
			case ackedSeq(msg.Subject) != seq:
			case w.acknowledges(string(msg.Data)):
				s.acked = true
				end.Reset(after)
			case delay > 0 && !handedBack && !s.acked:
				handedBack = true
				end.Reset(delay + w.Wait)
				w.waits(delay)
			}
		}
	}
}

func (w *watch) waits(delay time.Duration) {
	if w.Waits != nil && delay > time.Second {
		w.Waits(fmt.Sprintf("the worker has handed the message back for %s; what it does then is waited for", delay.Round(100*time.Millisecond)))
	}
}

// nakDelay is for how long a word about a message hands it back; 0 for every other word.
func nakDelay(word []byte) time.Duration {
	rest, is := bytes.CutPrefix(word, []byte("-NAK "))
	var nak struct{ Delay time.Duration }
	if !is || json.Unmarshal(rest, &nak) != nil {
		return 0
	}
	return nak.Delay
}

// acknowledges reports whether a word about the message is its ack.
func (w *watch) acknowledges(word string) bool {
	if strings.HasPrefix(word, "+TERM") {
		w.wrong(ruleTerm, "a message got "+word)
	}
	return word == "" || strings.HasPrefix(word, "+ACK")
}

// ackedSeq is the stream sequence in the subject of an ack, which has two forms.
func ackedSeq(subject string) uint64 {
	t := strings.Split(subject, ".")
	i := 5 // $JS.ACK.<stream>.<consumer>.<delivered>.<stream seq>...
	if len(t) > 9 {
		i = 7 // $JS.ACK.<domain>.<account>.<stream>...
	}
	if len(t) <= i {
		return 0
	}
	seq, err := strconv.ParseUint(t[i], 10, 64)
	if err != nil {
		return 0
	}
	return seq
}

func (w *watch) wrong(rule, detail string) {
	if w.general[rule] == "" {
		w.general[rule] = detail
	}
}

// note keeps an event of the run, and checks what holds for all.
func (w *watch) note(m steps.StepMessage, msg *nats.Msg, s *sight) {
	p, run, kind, ok := w.Names.ParseLog(msg.Subject)
	if !ok || run != m.Run {
		return
	}
	e, err := wire.DecodeEvent(kind, msg.Data)
	if err != nil || p != wire.Partition(run, w.Partitions) || kind != wire.KindOutcome && kind != wire.KindClaim {
		w.wrong(ruleReadable, fmt.Sprintf("%s got %.200s: %v", msg.Subject, msg.Data, err))
		return
	}
	tool, ok := w.Names.LogTool(msg.Subject)
	if !ok || tool != "" && tool != w.Tool {
		w.wrong(ruleTool, fmt.Sprintf("%s got what is about a step of %s", msg.Subject, w.Tool))
	}
	a, worker := said(e)
	claims := kind != wire.KindClaim || msg.Subject == w.Names.Claim(p, run, a) || msg.Subject == w.Names.ToolClaim(p, run, tool, a)
	if a != m.Attempt || worker == "" || !claims {
		w.wrong(ruleAttempt, fmt.Sprintf("%s got %.200s", msg.Subject, msg.Data))
	}
	if msg.Header.Get(wire.HeaderRun) != run {
		w.wrong(ruleHeader, fmt.Sprintf("%s by %q has it not", describe(e), workerOf(e)))
	}
	if f, is := e.(steps.Failed); is && !f.Fault.Class.Known() {
		w.wrong(ruleClass, fmt.Sprintf("%q is none", f.Fault.Class))
	}
	if s.acked && isOutcome(e) {
		w.wrong(ruleOrder, describe(e)+" came after the ack")
	}
	s.events = append(s.events, seenEvent{e, msg.Header, time.Now()})
}
