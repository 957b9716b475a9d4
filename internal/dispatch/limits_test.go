package dispatch

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"belay/internal/breaker"
	"belay/internal/limits"
	"belay/internal/steps"
)

// limitedDispatcher starts a dispatcher that shares limits and breakers with others.
func (r *rig) limitedDispatcher() *running {
	r.Helper()
	ctx, cancel := context.WithCancel(r.Context())
	r.Cleanup(cancel)
	return r.dispatcher(func(o *Options) {
		o.SayAfter = 50 * time.Millisecond
		logger := slog.New(slog.NewTextHandler(r.Output(), nil))
		o.Limits, o.Breakers = limits.NewKeeper(o.Bus, logger), breaker.NewKeeper(o.Bus, rand.Text(), logger)
		go o.Limits.Run(ctx)
		go o.Breakers.Run(ctx)
	})
}

// TestADispatcherDiesWhileCallsWait for a target that has asked to wait: the log says of each that it is held back, and why. The
// dispatcher that takes over lets them go on when the time has come, each once and under its name, and the log says so before.
func TestADispatcherDiesWhileCallsWait(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	first := r.limitedDispatcher()
	const runs = 5
	until := time.Now().Add(10 * time.Second)
	<-first.d.Limits.Ready()
	first.d.Limits.Ask(t.Context(), limits.Wait{Target: "t/primary", Since: time.Now(), Until: until, Run: "r", Tool: "t"})
	for n := range runs {
		r.submit(fmt.Sprint("run", n), chain(1, nil))
	}
	for n := range runs {
		s := r.until(fmt.Sprint("run", n), "held back", func(s *steps.State) bool { return s.Limited() > 0 })
		if h, _ := s.Units[0].HeldBack(); h.Why != steps.HoldRetryAfter || h.Covers != "t/primary" || s.Status() != steps.RunRunning {
			t.Fatalf("%+v, %s", h, s.Status())
		}
	}
	first.kill()
	r.limitedDispatcher()
	w := r.worker(func(m steps.StepMessage) steps.Event {
		if now := time.Now(); now.Before(until) {
			t.Errorf("%s came %s too early", m.Run, until.Sub(now))
		}
		if f, err := r.log.Read(r.Context(), m.Run, nil); err != nil || f.State.Limited() > 0 {
			t.Errorf("%s is in the queue, and by its log held back (%v)", m.Run, err)
		}
		return succeed(m)
	})
	for n := range runs {
		if s := r.end(fmt.Sprint("run", n)); len(s.Units[0].Attempts) != 1 || !strings.HasPrefix(s.Units[0].Attempts[0].Note, "was held back because t/primary") {
			t.Errorf("%s: %+v", s.Run, s.Units[0].Attempts)
		}
	}
	w.onlyOnce(runs)
}

// TestPeopleGoFirstAfterATakeOver: many runs that are done again wait for a rate when their dispatcher dies. A person decides about another one
// meanwhile: with the next dispatcher that one goes before them.
func TestPeopleGoFirstAfterATakeOver(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	first := r.limitedDispatcher()
	document := chain(1, tool(func(t *steps.Tool) { t.Limits = &steps.Limits{Rate: 4, Text: "4/s"} }))
	var mu sync.Mutex
	var order []string
	r.worker(func(m steps.StepMessage) steps.Event {
		mu.Lock()
		defer mu.Unlock()
		if m.Run == "asks" && m.Round == 0 {
			return steps.Failed{Attempt: m.Attempt, Worker: "w", Fault: steps.Fault{Class: steps.ToolError, Acted: steps.ActedNo, Message: "no"}}
		}
		order = append(order, m.Run)
		return succeed(m)
	})
	r.submit("asks", document)
	s := r.until("asks", "asking", func(s *steps.State) bool { return len(s.Escalations) > 0 })
	const many = 24
	ids := []string{"asks"}
	for n := range many {
		ids = append(ids, fmt.Sprint("again", n))
		if _, err := r.log.Submit(t.Context(), ids[n+1], steps.Submitted{Document: document, Input: json.RawMessage(`{}`), RetryOf: "asks"}); err != nil {
			t.Fatal(err)
		}
	}
	r.eventually("some have gone", func() bool { mu.Lock(); defer mu.Unlock(); return len(order) >= 2 })
	first.kill()
	if _, err := r.log.Append(t.Context(), "asks", steps.Decided{Escalation: s.Escalations[0].ID, Verb: steps.VerbRetry, By: "mia"}); err != nil {
		t.Fatal(err)
	}
	r.limitedDispatcher()
	for _, id := range ids {
		r.end(id)
	}
	mu.Lock()
	defer mu.Unlock()
	at := slices.Index(order, "asks")
	t.Logf("of %d it was number %d", len(order), at+1)
	if at < 0 || at > many*3/4 || len(order) != many+1 { // however slow this machine is
		t.Errorf("of %d it was number %d", len(order), at+1)
	}
}

// TestPeopleGoFirstInARamp: many runs that are done again wait because their target is down, and so do some about which a person has decided. When
// it is back these go first, also with a dispatcher that has taken over meanwhile.
func TestPeopleGoFirstInARamp(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	first := r.limitedDispatcher()
	document := chain(1, tool(func(t *steps.Tool) {
		t.Breaker = &steps.Breaker{Failures: 0.1, Min: 1, Window: steps.Duration(time.Minute), Open: steps.Duration(time.Second), MaxHold: steps.Duration(time.Hour), Retries: 1}
		t.Rungs[0].Retry.MaxAttempts = 1000
	}))
	var mu sync.Mutex
	var order []string
	fails := steps.Fault{Class: steps.ToolError, Acted: steps.ActedNo, Message: "no"} // nothing of it speaks against the target
	r.worker(func(m steps.StepMessage) steps.Event {
		mu.Lock()
		defer mu.Unlock()
		if fails.Class != "" {
			return steps.Failed{Attempt: m.Attempt, Worker: "w", Fault: fails}
		}
		order = append(order, m.Run)
		return succeed(m)
	})
	become := func(f steps.Fault) { mu.Lock(); defer mu.Unlock(); fails = f }
	const many, few = 60, 5
	asked := map[string]string{}
	for n := range few {
		id := fmt.Sprint("asks", n)
		r.submit(id, document)
		asked[id] = r.until(id, "asking", func(s *steps.State) bool { return len(s.Escalations) > 0 }).Escalations[0].ID
	}
	become(steps.Fault{Class: steps.Unavailable, Acted: steps.ActedNo, Message: "down"})
	var ids []string
	for n := range many {
		ids = append(ids, fmt.Sprint("again", n))
		if _, err := r.log.Submit(t.Context(), ids[n], steps.Submitted{Document: document, Input: json.RawMessage(`{}`), RetryOf: "asks0"}); err != nil {
			t.Fatal(err)
		}
	}
	held := func(s *steps.State) bool { return s.Units[0].Broken() }
	for _, id := range ids {
		r.until(id, "held back", held)
	}
	for id, escalation := range asked {
		ids = append(ids, id)
		if _, err := r.log.Append(t.Context(), id, steps.Decided{Escalation: escalation, Verb: steps.VerbRetry, By: "mia"}); err != nil {
			t.Fatal(err)
		}
		r.until(id, "held back", held)
	}
	first.kill()
	become(steps.Fault{})
	r.limitedDispatcher()
	for _, id := range ids {
		r.end(id)
	}
	mu.Lock()
	defer mu.Unlock()
	var at []int
	for id := range asked {
		at = append(at, slices.Index(order, id)+1)
	}
	t.Logf("of %d these were numbers %v", len(order), at)
	if slices.Max(at) > many/2 || len(order) != many+few { // however slow this machine is
		t.Errorf("of %d these were numbers %v", len(order), at)
	}
}
