package dispatch

import (
	"context"
	"testing"
	"time"

	"belay/internal/bus"
	"belay/internal/handoff"
	"belay/internal/people"
	"belay/internal/steps"
	"belay/internal/wire"
)

const shortAckWait = time.Second

// taker is a worker that takes one message of the tool `t` and asks for no more until it is told to.
type taker struct {
	bus    *bus.Bus
	demand *bus.Demand
	took   chan bus.Delivery
}

func (r *rig) taker() *taker {
	r.Helper()
	w := &taker{bus: r.opened(), demand: bus.NewDemand(), took: make(chan bus.Delivery, 16)}
	w.demand.Set(1)
	_, err := w.bus.ConsumeSteps(r.Context(), "t", "primary", bus.StepsOptions{AckWait: shortAckWait, Demand: w.demand}, func(d bus.Delivery) {
		w.demand.Set(0)
		w.took <- d
	})
	if err != nil {
		r.Fatal(err)
	}
	return w
}

// die takes its connection away: it neither reports nor hands anything back.
func (w *taker) die() { w.bus.Close() }

// beat gives signs of life of who executes d until stop is called.
func beat(t *testing.T, d bus.Delivery) (stop func()) {
	beating, stop := context.WithCancel(t.Context())
	go func() {
		for beating.Err() == nil {
			_ = d.InProgress()
			pause(beating, shortAckWait/8)
		}
	}()
	return stop
}

// TestADeadWorkersStepReachesAPerson: the last worker of a tool dies with a step in hand. For the server the step stays
// in flight until somebody asks for it, and nobody does.
func TestADeadWorkersStepReachesAPerson(t *testing.T) {
	t.Parallel()
	a := steps.Attempt{Step: "s0", Try: 1}
	for name, tt := range map[string]struct {
		effects steps.Effects
		begins  steps.Event
		want    steps.Class
	}{
		"not begun":            {steps.EffectsIdempotent, nil, steps.NoWorker},
		"begun":                {steps.EffectsIdempotent, steps.Started{Attempt: a, Worker: "w1"}, steps.NoWorker},
		"unsafe and not begun": {steps.EffectsUnsafe, nil, steps.NoWorker},
		"unsafe and begun":     {steps.EffectsUnsafe, steps.Claimed{Attempt: a, Worker: "w1#1"}, steps.Unknown},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			w := r.taker()
			r.dispatcher(func(o *Options) { o.UnservedAfter = 2 * shortAckWait })
			r.submit("run", chain(1, tool(func(t *steps.Tool) { t.Effects = tt.effects })))
			stop := beat(t, <-w.took) // until the log has what it did
			if tt.begins != nil {
				if _, err := r.log.Append(t.Context(), "run", tt.begins); err != nil {
					t.Fatal(err)
				}
			}
			stop()
			w.die()

			s := r.until("run", "waiting for a person", func(s *steps.State) bool { return len(s.Escalations) > 0 })
			if got := s.Escalations[0].Fault.Class; got != tt.want {
				t.Errorf("class %s, want %s: %s", got, tt.want, s.Escalations[0].Fault.Message)
			}
			if got := s.Units[0].Attempts[0].Worker; tt.begins != nil && got != "w1" && got != "w1#1" {
				t.Errorf("the attempt is shown as that of %q", got)
			}
			r.eventually("its message is out of the queue", func() bool { return len(r.queuedSteps()) == 0 })

			next := r.opened()
			back := &worker{rig: r, do: succeed, count: make(map[string]int)}
			if _, err := next.ConsumeSteps(t.Context(), "t", "primary", bus.StepsOptions{AckWait: shortAckWait}, back.work); err != nil {
				t.Fatal(err)
			}
			desk := handoff.NewDesk(r.log, r.box, handoff.NewClaims(r.bus), nil)
			if _, err := desk.Act(t.Context(), people.Trusted("mia", ""), "run-1", people.Act{Verb: "retry", Reason: "a worker is there again"}); err != nil {
				t.Fatal(err)
			}
			if s := r.end("run"); s.Status() != steps.RunSucceeded {
				t.Errorf("the run is %s", s.Status())
			}
			back.onlyOnce(1)
		})
	}
}

// TestWhatABusyWorkerKeepsIsItsOwn: one worker executes for long and asks for nothing meanwhile, and another one has died.
// Only what the dead one had is a person's.
func TestWhatABusyWorkerKeepsIsItsOwn(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.dispatcher(func(o *Options) { o.UnservedAfter = 2 * shortAckWait })
	busy := r.taker()
	r.submit("busy", chain(1, nil))
	d := <-busy.took
	start := func(run string) {
		t.Helper()
		if _, err := r.log.Append(t.Context(), run, steps.Started{Attempt: steps.Attempt{Step: "s0", Try: 1}, Worker: "w"}); err != nil {
			t.Fatal(err)
		}
	}
	start("busy")
	defer beat(t, d)()
	dead := r.taker()
	r.submit("dead", chain(1, nil))
	<-dead.took
	start("dead")
	dead.die()

	s := r.until("dead", "waiting for a person", func(s *steps.State) bool { return len(s.Escalations) > 0 })
	if got := s.Escalations[0].Fault.Class; got != steps.NoWorker {
		t.Errorf("class %s, want no_worker", got)
	}
	if s, err := r.log.Load(t.Context(), "busy"); err != nil || len(s.Escalations) > 0 {
		t.Errorf("people are asked about what a worker executes: %v", err)
	}
	m, err := wire.DecodeStep(d.Data)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.log.Append(t.Context(), "busy", succeed(m)); err != nil {
		t.Fatal(err)
	}
	if err := d.Ack(); err != nil {
		t.Fatal(err)
	}
	r.end("busy")
}

// TestAWorkerThatAnnouncesItselfIsThere, although it asks for nothing now: it takes what was left behind when it can.
func TestAWorkerThatAnnouncesItselfIsThere(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	serves := bus.Worker{Name: "w2", Serves: []string{"t/primary"}}
	gone, err := bus.AnnounceWorker(r.bus, "1.0.0", func() bus.Worker { return serves })
	if err != nil {
		t.Fatal(err)
	}
	d := r.dispatcher(func(o *Options) { o.UnservedAfter = shortAckWait })
	w := r.taker()
	r.submit("run", chain(1, nil))
	<-w.took
	w.die()
	pause(t.Context(), 4*shortAckWait) // nothing shows that nothing happens
	if list := d.d.Unserved(); len(list) > 0 {
		t.Errorf("%+v", list)
	}
	gone()
	s := r.until("run", "waiting for a person", func(s *steps.State) bool { return len(s.Escalations) > 0 })
	if got := s.Escalations[0].Fault.Class; got != steps.NoWorker {
		t.Errorf("class %s, want no_worker", got)
	}
}
