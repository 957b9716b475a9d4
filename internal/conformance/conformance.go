// Package conformance finds out whether a worker that was written elsewhere keeps the rules of docs/protocol.md. It queues
// step messages for the worker on a server where no dispatcher is, watches what the worker publishes, and compares.
//
// conformance.go has the probes in their order, watch.go what one of them sees.
package conformance

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"belay/internal/steps"
	"belay/internal/wire"
)

// Options say what is probed.
type Options struct {
	Names      wire.Names      // of the streams
	Partitions int             // of the log
	Tool, Rung string          // that the worker serves
	Params     json.RawMessage // what the tool is called with, an object
	Wait       time.Duration   // for the worker to come, and for each of its answers
	Found      func(Finding)   // is called with each finding once it is known; nil: nobody waits for them
	Waits      func(string)    // is called with what is waited for that takes longer than Wait; nil: nobody asks
}

// Finding is what became of one rule.
type Finding struct {
	Rule   string `json:"rule"`             // what the worker must do
	OK     bool   `json:"ok"`               // whether it does
	Detail string `json:"detail,omitempty"` // what it did instead
}

// probe is one message and what must become of it.
type probe struct {
	rule     string
	shape    func(m *steps.StepMessage)                // changes the message; nil: a safe call, first try
	log      func(m steps.StepMessage) []steps.Event   // what the run's log has already; nil: nothing
	requeued bool                                      // the message may have been queued before
	stop     bool                                      // a stop comes before the message
	check    func(m steps.StepMessage, s sight) string // says what is wrong
}

// Worker probes the worker that is connected to the same server as nc, and returns a finding for each rule.
func Worker(ctx context.Context, nc *nats.Conn, o Options) ([]Finding, error) {
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, err
	}
	w := &watch{Options: o, nc: nc, js: js, seen: make(chan *nats.Msg, 4096), general: map[string]string{}}
	if err := w.listen(); err != nil {
		return nil, err
	}
	var all []Finding
	found := func(rule, detail string) {
		all = append(all, Finding{rule, detail == "", detail})
		if o.Found != nil {
			o.Found(all[len(all)-1])
		}
	}
	if found(ruleServed, w.served(ctx)); !all[0].OK {
		return all, nil
	}
	for _, p := range probes {
		detail, err := w.try(ctx, p)
		if err != nil {
			return all, fmt.Errorf("%s: %w", p.rule, err)
		}
		found(p.rule, detail)
	}
	for _, rule := range generalRules {
		found(rule, w.general[rule])
	}
	return all, nil
}

func unsafe(m *steps.StepMessage) { m.Effects = steps.EffectsUnsafe }

var probes = []probe{
	{rule: "answers a call with an outcome, and acknowledges it", check: answered},
	{rule: "claims an unsafe attempt once, before its outcome and under the same name", shape: unsafe, check: claimed},
	{
		rule: "begins nothing before not_before", shape: func(m *steps.StepMessage) { m.NotBefore = time.Now().Add(2 * time.Second).UTC() },
		check: func(m steps.StepMessage, s sight) string {
			for _, e := range s.events {
				if e.at.Before(m.NotBefore.Add(-50 * time.Millisecond)) {
					return fmt.Sprintf("its log got %s %s early", e.name(), m.NotBefore.Sub(e.at).Round(time.Millisecond))
				}
			}
			return answered(m, s)
		},
	},
	{
		rule: "begins nothing after the deadline: deadline_exceeded, acted no", shape: func(m *steps.StepMessage) { m.Deadline = time.Now().Add(-time.Second).UTC() },
		check: failsAs(steps.DeadlineExceeded, steps.ActedNo),
	},
	{
		rule: "acknowledges a redelivery whose outcome is in the log, and adds nothing", requeued: true,
		log:   func(m steps.StepMessage) []steps.Event { return []steps.Event{succeeded(m)} },
		check: dropped,
	},
	{
		rule: "executes nothing that the dispatcher has claimed back", shape: unsafe,
		log:   func(m steps.StepMessage) []steps.Event { return []steps.Event{steps.Claimed{Attempt: m.Attempt}} },
		check: dropped,
	},
	{
		rule: "reports unknown for a redelivered unsafe attempt that somebody else has claimed", shape: unsafe, requeued: true,
		log: func(m steps.StepMessage) []steps.Event {
			return []steps.Event{steps.Claimed{Attempt: m.Attempt, Worker: "gone#1"}}
		},
		check: failsAs(steps.Unknown, steps.ActedMaybe),
	},
	{
		rule: "reports crashed after three starts that came to no end", requeued: true,
		log: func(m steps.StepMessage) (starts []steps.Event) {
			for n := range steps.CrashBudget {
				starts = append(starts, steps.Started{Attempt: m.Attempt, Worker: "gone", Delivery: fmt.Sprint(n)})
			}
			return starts
		},
		check: failsAs(steps.Crashed, steps.ActedMaybe),
	},
	{
		rule: "stores that a redelivered attempt starts before its outcome", requeued: true,
		check: func(m steps.StepMessage, s sight) string {
			if len(s.events) > 0 {
				if e, is := s.events[0].event.(steps.Started); is && e.Delivery != "" {
					return answered(m, s)
				}
			}
			return "no started with a delivery came first"
		},
	},
	{
		rule: "begins nothing of a cancelled run: says that it was never begun", requeued: true,
		log:   func(steps.StepMessage) []steps.Event { return []steps.Event{steps.Cancelled{By: "conformance"}} },
		check: failsAs(steps.Unavailable, steps.ActedNo),
	},
	{rule: "begins nothing that was stopped: says that it was never begun", stop: true, check: failsAs(steps.Unavailable, steps.ActedNo)},
	{
		rule: "executes nothing whose body names another tool than its subject", shape: func(m *steps.StepMessage) { m.Tool = "conformance.other" },
		check: func(_ steps.StepMessage, s sight) string {
			if o := s.outcome(); o != nil && !refused(o) {
				return "it did: " + describe(o)
			}
			return ""
		},
	},
}

func refused(o steps.Event) bool {
	f, is := o.(steps.Failed)
	return is && f.Fault.Acted == steps.ActedNo
}

func succeeded(m steps.StepMessage) steps.Event {
	return steps.Succeeded{Attempt: m.Attempt, Worker: "gone", Output: json.RawMessage(`null`)}
}

func answered(_ steps.StepMessage, s sight) string {
	switch {
	case s.outcome() == nil:
		return "no outcome came"
	case !s.acked:
		return "the message was not acknowledged"
	case s.outcomes() > 1:
		return fmt.Sprintf("%d outcomes came", s.outcomes())
	}
	return ""
}

func claimed(m steps.StepMessage, s sight) string {
	claims, by := 0, ""
	for _, e := range s.events {
		switch ev := e.event.(type) {
		case steps.Claimed:
			claims, by = claims+1, ev.Worker
			if e.header.Get("Nats-Expected-Last-Subject-Sequence") != "0" {
				return "the claim has no header Nats-Expected-Last-Subject-Sequence: 0, so two workers may have it"
			}
		case steps.Succeeded, steps.Failed:
			if claims == 0 {
				return "an outcome came without a claim"
			}
			if workerOf(ev) != by {
				return fmt.Sprintf("claimed as %q, and the outcome is by %q", by, workerOf(ev))
			}
		}
	}
	if claims != 1 {
		return fmt.Sprintf("%d claims came", claims)
	}
	return answered(m, s)
}

func failsAs(class steps.Class, acted steps.Acted) func(steps.StepMessage, sight) string {
	return func(m steps.StepMessage, s sight) string {
		f, is := s.outcome().(steps.Failed)
		if !is {
			return "the outcome is " + describe(s.outcome())
		}
		if f.Fault.Class != class || f.Fault.MayHaveActed() != (acted != steps.ActedNo) {
			return fmt.Sprintf("the outcome is %s, acted %q", f.Fault.Class, f.Fault.Acted)
		}
		return answered(m, s)
	}
}

func dropped(_ steps.StepMessage, s sight) string {
	switch {
	case s.outcome() != nil:
		return "an outcome came: " + describe(s.outcome())
	case !s.acked:
		return "the message was not acknowledged"
	}
	return ""
}

// message is a call of the tool in a run of its own.
func (w *watch) message() steps.StepMessage {
	run := "conformance-" + rand.Text()[:12]
	return steps.StepMessage{
		Run: run, Attempt: steps.Attempt{Step: "probe", Try: 1}, Workflow: "conformance", Tool: w.Tool, RungName: w.Rung,
		Effects: steps.EffectsNone, Params: w.Params, Key: run + "/probe/0", Timeout: steps.Duration(w.Wait),
	}
}
