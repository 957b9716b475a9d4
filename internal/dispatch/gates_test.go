package dispatch

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"belay/internal/gates"
	"belay/internal/limits"
	"belay/internal/steps"
)

// gatedDispatcher starts a dispatcher that follows the gates.
func (r *rig) gatedDispatcher() *running {
	r.Helper()
	ctx, cancel := context.WithCancel(r.Context())
	r.Cleanup(cancel)
	return r.dispatcher(func(o *Options) {
		o.Gates = gates.NewKeeper(o.Bus, slog.New(slog.NewTextHandler(r.Output(), nil)))
		go o.Gates.Run(ctx)
	})
}

func (r *rig) closeGate(g gates.Gate) gates.Gate {
	r.Helper()
	g.ID, g.By, g.Reason, g.Since = "g1", "mia", "so", time.Now().UTC()
	if err := gates.Of(r.bus).Close(r.Context(), g); err != nil {
		r.Fatal(err)
	}
	return g
}

// confirmed waits until nothing that a gate covers can begin.
func (r *rig) confirmed(id string) (last gates.Progress) {
	r.Helper()
	ctx, cancel := context.WithTimeout(r.Context(), 60*time.Second)
	defer cancel()
	err := gates.Of(r.bus).Watch(ctx, id, func(p gates.Progress) bool {
		last = p
		return !p.Over()
	})
	if err != nil || !last.Over() {
		r.Fatalf("%+v, %v", last, err)
	}
	return last
}

// TestADispatcherDiesWhileAGateIsClosed: it is killed when some of a hundred queued runs are held back and others are not. Its
// successor goes on, the gate is confirmed, and after it is opened each run makes its call once, as if nothing had been.
func TestADispatcherDiesWhileAGateIsClosed(t *testing.T) {
	t.Parallel()
	const runs = 100
	r := newRig(t)
	first := r.gatedDispatcher()
	for i := range runs {
		r.submit(fmt.Sprintf("run%d", i), chain(1, nil))
	}
	for i := range runs {
		r.until(fmt.Sprintf("run%d", i), "queued", func(s *steps.State) bool { return s.Units[0].State() == steps.StepQueued })
	}
	g := r.closeGate(gates.Gate{Covers: gates.Covers{All: true}})
	r.until("run7", "taken back", func(s *steps.State) bool { return s.Units[0].ToBeHeld() || s.HeldBack() > 0 })
	first.kill()
	second := r.gatedDispatcher()
	if p := r.confirmed(g.ID); p.Held != runs {
		t.Errorf("%d attempts are held back", p.Held)
	}
	if n := second.d.BehindGates(); n != runs {
		t.Errorf("the metric says %d", n)
	}
	w := r.worker(nil)
	if _, err := gates.Of(r.bus).Open(t.Context(), g.ID, gates.Opening{By: "mia", At: time.Now()}); err != nil {
		t.Fatal(err)
	}
	for i := range runs {
		s := r.end(fmt.Sprintf("run%d", i))
		if got := s.Units[0].Attempts; s.Status() != steps.RunSucceeded || len(got) != 2 || got[0].State != steps.AttemptWithdrawn || got[1].State != steps.AttemptSucceeded {
			t.Errorf("%s: %s after %+v", s.Run, s.Status(), got)
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for name, n := range w.count {
		if n != 1 {
			t.Errorf("%s was executed %d times", name, n)
		}
	}
	if len(w.count) != runs {
		t.Errorf("%d attempts were executed", len(w.count))
	}
}

// TestADispatcherDiesWhileCallsWaitBehindAnOpenedGate: it is killed when the calls that a gate has held back begin to go. Its successor lets
// the others go, each once, and counts them until then.
func TestADispatcherDiesWhileCallsWaitBehindAnOpenedGate(t *testing.T) {
	t.Parallel()
	const runs = 20
	r := newRig(t)
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	both := func() *running {
		return r.dispatcher(func(o *Options) {
			logger := slog.New(slog.NewTextHandler(r.Output(), nil))
			o.Gates, o.Limits = gates.NewKeeper(o.Bus, logger), limits.NewKeeper(o.Bus, logger)
			go o.Gates.Run(ctx)
			go o.Limits.Run(ctx)
		})
	}
	first := both()
	g := r.closeGate(gates.Gate{Covers: gates.Covers{All: true}})
	for i := range runs {
		r.submit(fmt.Sprintf("run%d", i), chain(1, nil))
	}
	for i := range runs {
		r.until(fmt.Sprintf("run%d", i), "held back", func(s *steps.State) bool { return s.HeldBack() > 0 })
	}
	if _, err := gates.Of(r.bus).Open(t.Context(), g.ID, gates.Opening{By: "mia", At: first.bus.Now()}); err != nil {
		t.Fatal(err)
	}
	goes := func() (n int) {
		for i := range runs {
			if f, err := r.log.Read(t.Context(), fmt.Sprintf("run%d", i), nil); err == nil && f.State.HeldBack() == 0 {
				n++
			}
		}
		return n
	}
	r.eventually("a call goes", func() bool { return goes() > 0 })
	first.kill() // on a slow machine after the last one
	second := both()
	w := r.worker(nil)
	for i := range runs {
		if s := r.end(fmt.Sprintf("run%d", i)); s.Status() != steps.RunSucceeded || len(s.Units[0].Attempts) != 2 {
			t.Errorf("%s: %s after %+v", s.Run, s.Status(), s.Units[0].Attempts)
		}
	}
	w.onlyOnce(runs)
	r.eventually("nothing waits behind a gate", func() bool { return second.d.BehindGates() == 0 })
}

// TestAnIdlePartitionAnswers: where nothing has ever happened no dispatcher has the partition, and yet a gate is confirmed.
func TestAnIdlePartitionAnswers(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.gatedDispatcher()
	g := r.closeGate(gates.Gate{Covers: gates.Covers{Tool: "t"}})
	r.confirmed(g.ID)
}
