package dispatch

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"belay/internal/limits"
	"belay/internal/steps"
)

// limitedDispatcher starts a dispatcher that shares limits with others.
func (r *rig) limitedDispatcher() *running {
	r.Helper()
	ctx, cancel := context.WithCancel(r.Context())
	r.Cleanup(cancel)
	return r.dispatcher(func(o *Options) {
		o.SayAfter = 50 * time.Millisecond
		o.Limits = limits.NewKeeper(o.Bus, slog.New(slog.NewTextHandler(r.Output(), nil)))
		go o.Limits.Run(ctx)
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
