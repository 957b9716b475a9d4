package worker

import (
	"context"
	"encoding/json"
	"runtime"
	"strings"
	"testing"
	"time"

	"belay/internal/bus"
	"belay/internal/executor"
	"belay/internal/steps"
)

// TestNobodysMessagePaysNothing: what the run's log does not want is not executed, however well the message is made, and
// people hear of it through the log that it names.
func TestNobodysMessagePaysNothing(t *testing.T) {
	t.Parallel()
	real := message(steps.EffectsUnsafe)
	change := func(f func(*steps.StepMessage)) steps.StepMessage { m := real; f(&m); return m }
	for _, tt := range []struct {
		name   string
		m      steps.StepMessage
		submit bool
	}{
		{"no such run", real, false},
		{"a run that says idempotent", change(func(m *steps.StepMessage) { m.Effects = steps.EffectsIdempotent }), false},
		{"another try", change(func(m *steps.StepMessage) { m.Try = 2 }), true},
		{"another round", change(func(m *steps.StepMessage) { m.Round = 1 }), true},
		{"a step that the plan has not", change(func(m *steps.StepMessage) { m.Step = "other" }), true},
		{"other parameters", change(func(m *steps.StepMessage) { m.Params = json.RawMessage(`{"amount":1}`) }), true},
		{"another key", change(func(m *steps.StepMessage) { m.Key = "r/s/1" }), true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			if tt.submit {
				r.submit(steps.EffectsUnsafe)
			}
			rung := ok(func() { t.Error("executed") })
			rung.Effects = steps.EffectsUnsafe // the worker's own tools file says so
			r.start(Options{}, rung)
			r.queue(tt.m)
			if f := r.fault(steps.PolicyDenied); f.Acted != steps.ActedNo || !strings.Contains(f.Message, "never wanted") {
				t.Errorf("%+v", f)
			}
			r.drained()
		})
	}
}

// TestWhatTheLogWantsIsExecuted, with parameters that are written in another order, too.
func TestWhatTheLogWantsIsExecuted(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.submit(steps.EffectsUnsafe)
	m := message(steps.EffectsUnsafe)
	m.Params = json.RawMessage(` { } `)
	rung := ok(func() {})
	rung.Effects = steps.EffectsUnsafe
	r.start(Options{}, rung)
	r.queue(m)
	all := r.until(isOutcome)
	if _, ok := all[len(all)-1].(steps.Succeeded); !ok {
		t.Fatalf("%+v", all)
	}
	r.drained()
	// Once it is over, the same message is only taken out of the queue.
	r.queue(m)
	r.drained()
	if n := len(r.entries()); n != 3 { // submitted, claimed, succeeded
		t.Errorf("%d entries in the log", n)
	}
}

// entries are all of the run's log.
func (r *rig) entries() []bus.Entry {
	r.t.Helper()
	all, err := r.ReadLog(r.t.(*testing.T).Context(), "r", 0)
	if err != nil {
		r.t.Fatal(err)
	}
	return all
}

// TestWaitingInHandHearsStops, for its time, for a slot, for a rest after a crash, or not yet in hand at all.
func TestWaitingInHandHearsStops(t *testing.T) {
	t.Parallel()
	busy := make(chan struct{})
	t.Cleanup(func() { close(busy) })
	for _, tt := range []struct {
		name string
		do   func(r *rig, m *steps.StepMessage)
	}{
		{"for its time", func(_ *rig, m *steps.StepMessage) { m.NotBefore = time.Now().Add(900 * time.Millisecond) }},
		{"for a slot", func(r *rig, m *steps.StepMessage) {
			other := *m
			other.Step = "busy"
			r.queue(other)
			r.until(func(e steps.Event) bool { s, is := e.(steps.Started); return is && s.Step == "busy" })
		}},
		{"for a rest", func(r *rig, m *steps.StepMessage) {
			r.queue(*m)
			r.takeSilently()
			r.log(steps.Started{Attempt: m.Attempt, Worker: "dead"})
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			m := message(steps.EffectsNone)
			run := fails(nil)
			run.Executor = blocking(busy)
			started := func() {
				r.start(Options{Concurrency: 1, StartedAfter: time.Millisecond, StopGrace: time.Millisecond, DrainTimeout: time.Millisecond}, run)
			}
			if tt.name == "for a rest" {
				tt.do(r, &m)
				started()
			} else {
				started()
				tt.do(r, &m)
				r.queue(m)
			}
			r.waitsInHand()
			if err := r.Tell(r.Names().Stop(m.Run, m.Attempt), nil); err != nil {
				t.Fatal(err)
			}
			all := r.until(func(e steps.Event) bool { f, is := e.(steps.Failed); return is && f.Step == "s" })
			if f := all[len(all)-1].(steps.Failed); !f.Stopped || f.Fault.Acted != steps.ActedNo {
				t.Errorf("%+v", f)
			}
		})
	}
}

// TestAStopThatComesFirstIsRemembered: the message may be behind the word.
func TestAStopThatComesFirstIsRemembered(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.start(Options{}, ok(func() {}))
	first, m := message(steps.EffectsNone), message(steps.EffectsNone)
	first.Step = "first"
	r.queue(first)
	r.until(isOutcome) // it listens
	if err := r.Tell(r.Names().Stop(m.Run, m.Attempt), nil); err != nil {
		t.Fatal(err)
	}
	for !r.newest.stops.knows(attempt{m.Run, m.Attempt}) { // it and the message may be handled side by side
		runtime.Gosched()
	}
	r.queue(m)
	all := r.until(func(e steps.Event) bool { _, is := e.(steps.Failed); return is })
	if f := all[len(all)-1].(steps.Failed); !f.Stopped || f.Step != m.Step { // a slow machine may say that the first has started
		t.Errorf("%+v", f)
	}
	r.drained()
}

// TestCancelledInTheLogIsPutDown: a message that comes again finds the cancel in the log, and whoever waits hears so.
func TestCancelledInTheLogIsPutDown(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.queue(message(steps.EffectsNone))
	r.takeSilently()
	r.log(steps.Cancelled{By: "ann"})
	r.start(Options{}, ok(func() { t.Error("executed") }))
	if f := r.until(isOutcome)[1].(steps.Failed); !f.Stopped {
		t.Errorf("%+v", f)
	}
	r.drained()
}

// TestParkedHereIsNoRedelivery: a retry that waited for its time here is executed without a word to the log before.
func TestParkedHereIsNoRedelivery(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.start(Options{}, ok(func() {}))
	m := message(steps.EffectsNone)
	m.NotBefore = time.Now().Add(1500 * time.Millisecond)
	r.queue(m)
	if all := r.until(isOutcome); len(all) != 1 {
		t.Errorf("the log has %+v, not its outcome alone", all)
	}
}

// TestClaimedByOneWhoEndedIsUnknownInTime, also where the queue was lost with the server and this is the first delivery:
// after one ack wait the message counts as delivered again.
func TestClaimedByOneWhoEndedIsUnknownInTime(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.submit(steps.EffectsUnsafe)
	r.log(steps.Claimed{Attempt: message("").Attempt, Worker: "dead"})
	r.start(Options{}, ok(func() { t.Error("executed") }))
	r.queue(message(steps.EffectsUnsafe))
	r.fault(steps.Unknown)
}

// TestLeaseThatRanOutBeginsNothing: what the server has not heard of for the ack wait may be in another hand.
func TestLeaseThatRanOutBeginsNothing(t *testing.T) {
	t.Parallel()
	h := newKeeper()
	m := h.keep(bus.Delivery{})
	if !m.ours(time.Minute) {
		t.Fatal("a message just taken is not ours")
	}
	m.renewed = time.Now().Add(-2 * time.Minute) // as after a process that was frozen goes on
	h.renew(m, time.Minute)
	if m.ours(time.Minute) {
		t.Error("a beat that came too late has renewed the lease")
	}
}

// TestJournalReadsOn: what is read of a log is read once, and outputs are not kept.
func TestJournalReadsOn(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	w := New(Options{Bus: r.Bus})
	m := message(steps.EffectsNone)
	j := &job{Worker: w, m: &m}
	r.log(steps.Succeeded{Attempt: steps.Attempt{Step: "other", Try: 1}, Output: json.RawMessage(`"big"`)})
	r.log(steps.Started{Attempt: j.m.Attempt, Worker: "w1", Delivery: "d1"})
	for n := 1; n <= 2; n++ {
		log, err := j.readLog()
		if err != nil || len(log) != n {
			t.Fatalf("%d: %+v, %v", n, log, err)
		}
		r.log(steps.Cancelled{})
	}
	if s := w.journals.of("r").history.About("other", "t")[0].Event.(steps.Succeeded); s.Output != nil {
		t.Error("an output is kept")
	}
}

// blocking executes until its context ends or done is closed.
func blocking(done chan struct{}) executor.Executor {
	return executor.Func(func(ctx context.Context, _ executor.Request) (executor.Result, error) {
		select {
		case <-ctx.Done():
		case <-done:
		}
		return executor.Result{}, context.Cause(ctx)
	})
}

// waitsInHand waits until the newest worker has what is in the queue. The server alone cannot tell: to it a message is also
// in flight with a worker that has died.
func (r *rig) waitsInHand() {
	r.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
		all, err := r.Backlogs(context.Background())
		if err == nil && len(all) == 1 && all[0].Pending == 0 && all[0].InFlight > 0 && r.newest.pending.count() >= int(all[0].InFlight) {
			return
		}
	}
	r.t.Fatal("no worker takes it")
}

// knows reports whether a word about an attempt was heard.
func (s *stops) knows(name attempt) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, is := s.past[0][name]
	return is
}
