package engine

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"belay/internal/audit"
	"belay/internal/gates"
	"belay/internal/people"
	"belay/internal/steps"
	"belay/internal/steps/view"
)

const gatedTools = `tools:
  orders.lookup: {effects: none, rungs: [{http: {method: GET, url: "URL/lookup"}, retry: {initial: 1ms}}]}
  payments.charge: {effects: unsafe, rungs: [{http: {method: POST, url: "URL/charge"}}]}
`

var operator = people.Actor{Name: "mia", Role: people.Operator, Via: "cli"}

func (r *rig) closeGate(t *testing.T, c gates.Covers) gates.Gate {
	t.Helper()
	g, err := r.CloseGate(t.Context(), operator, gates.Gate{Covers: c, Reason: "wrong amounts"})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func (r *rig) openGate(t *testing.T, id string) {
	t.Helper()
	if _, err := r.OpenGate(t.Context(), operator, id, "mended"); err != nil {
		t.Fatal(err)
	}
}

// drained waits until nothing that a gate covers runs, or can begin.
func (r *rig) drained(t *testing.T, id string) (last gates.Progress) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err := gates.Of(r.Bus).Watch(ctx, id, func(p gates.Progress) bool {
		last = p
		return !p.Over()
	})
	if err != nil || !last.Over() {
		t.Fatalf("not drained: %+v, %v", last, err)
	}
	return last
}

// until follows a run until its state is as wanted.
func (r *rig) until(t *testing.T, run, what string, ok func(*steps.State) bool) *steps.State {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	var last *steps.State
	err := r.Runs.Follow(ctx, run, func(s *steps.State, _ steps.Record, _ []int) bool {
		last = s
		return !ok(s)
	})
	if err != nil || last == nil || !ok(last) {
		t.Fatalf("run %s: never %s: %v", run, what, err)
	}
	return last
}

func isHeldBack(s *steps.State) bool { return s.HeldBack() > 0 }

// TestAGateHoldsBackAndLetsGo: what it covers waits, for whom and why is shown; the rest goes on. Who closed and opened it is in the
// audit trail. A viewer may do neither.
func TestAGateHoldsBackAndLetsGo(t *testing.T) {
	t.Parallel()
	var charges atomic.Int64
	r := stale(t, gatedTools, gatedTools, func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/charge" {
			charges.Add(1)
		}
		fmt.Fprint(w, `{"ok":true}`)
	})
	if _, err := r.CloseGate(t.Context(), people.Actor{Name: "vic", Role: people.Viewer}, gates.Gate{Covers: gates.Covers{All: true}, Reason: "x"}); !errors.Is(err, gates.ErrDenied) {
		t.Errorf("a viewer: %v", err)
	}
	for _, wrong := range []gates.Gate{{Reason: "x"}, {Covers: gates.Covers{All: true}}, {Covers: gates.Covers{All: true, Tool: "t"}, Reason: "x"}} {
		if _, err := r.CloseGate(t.Context(), operator, wrong); !errors.Is(err, gates.ErrWrong) {
			t.Errorf("%+v: %v", wrong, err)
		}
	}
	g := r.closeGate(t, gates.Covers{Tool: "payments.*"})
	p := r.drained(t, g.ID)
	t.Logf("closed and drained after %s", p.Drained.Sub(p.Since))
	doc := r.run(t, "one", `{name: p, steps: [{id: a, tool: orders.lookup}, {id: b, tool: payments.charge}]}`)
	if h := doc.Steps[1].Held; doc.State != steps.RunWaiting || doc.Steps[0].State != steps.StepSucceeded || h == nil || h.Gate != g.ID || h.By != "mia" || h.Reason != "wrong amounts" || charges.Load() != 0 {
		t.Fatalf("%+v, %d charges", doc, charges.Load())
	}
	s, err := r.Runs.Load(t.Context(), "one")
	if err != nil {
		t.Fatal(err)
	}
	if w := view.WhyOf(s, view.Foresight{}); len(w.Waits) != 1 || w.Waits[0].For != view.ForGate || !strings.Contains(w.Waits[0].Text, "dispatcher gate open "+g.ID) {
		t.Errorf("%+v", w.Waits)
	}
	r.openGate(t, g.ID)
	ended(t, r.Engine, "one")
	s, err = r.Runs.Load(t.Context(), "one")
	if err != nil || s.Status() != steps.RunSucceeded || charges.Load() != 1 {
		t.Errorf("%s after %d charges, %v", s.Status(), charges.Load(), err)
	}
	if _, err := r.OpenGate(t.Context(), operator, g.ID, ""); !errors.Is(err, gates.ErrOpen) {
		t.Errorf("opened twice: %v", err)
	}
	if _, err := r.OpenGate(t.Context(), operator, "nosuch", ""); !errors.Is(err, gates.ErrNone) {
		t.Errorf("opened one that is not there: %v", err)
	}
	records, _, err := audit.New(r.Bus).Newest(t.Context(), 10, func(rec *audit.Record) bool { return rec.On == g.ID })
	if err != nil || len(records) != 2 || records[0].Action != "close gate" || records[1].Action != "open gate" || records[1].Reason != "mended" {
		t.Errorf("%+v, %v", records, err)
	}
}

// TestAGateOpensByItself once its time is up.
func TestAGateOpensByItself(t *testing.T) {
	t.Parallel()
	r := stale(t, gatedTools, gatedTools, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{}`) })
	now := time.Now()
	if _, err := r.CloseGate(t.Context(), operator, gates.Gate{Covers: gates.Covers{Plan: "p"}, Reason: "a moment", Since: now, Until: now.Add(time.Second)}); err != nil {
		t.Fatal(err)
	}
	r.submit(t, "one", `{name: p, steps: [{id: a, tool: orders.lookup}]}`)
	ended(t, r.Engine, "one")
}

// TestARemovedGateStaysClosed: whoever removes the bucket of gates, or a gate in it, opens nothing; a new dispatcher makes it again
// from what the log of a run says.
func TestARemovedGateStaysClosed(t *testing.T) {
	t.Parallel()
	var charges atomic.Int64
	r := stale(t, gatedTools, gatedTools, func(w http.ResponseWriter, _ *http.Request) {
		charges.Add(1)
		fmt.Fprint(w, `{}`)
	})
	g := r.closeGate(t, gates.Covers{Labels: map[string]string{"team": "pay"}, Target: "*"})
	all := r.closeGate(t, gates.Covers{All: true})
	r.drained(t, all.ID)
	r.submit(t, "one", `{name: p, labels: {team: pay}, steps: [{id: b, tool: payments.charge}]}`)
	r.until(t, "one", "held", isHeldBack)
	js, err := jetstream.New(r.Bus.NATS())
	if err != nil {
		t.Fatal(err)
	}
	looks := r.hear(t, "$JS.API.STREAM.NAMES")
	for range 2 {
		next(t, looks, "nobody looks which streams are there")
	}
	back := r.hear(t, "$KV."+r.Bus.Names().GatesBucket()+".gate.>")
	if err := js.DeleteStream(t.Context(), "KV_"+r.Bus.Names().GatesBucket()); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		next(t, back, "a gate is not there again")
	}
	r.submit(t, "two", `{name: p, labels: {team: pay}, steps: [{id: b, tool: payments.charge}]}`)
	r.until(t, "two", "held", isHeldBack)
	r.openGate(t, all.ID)
	r.openGate(t, g.ID)
	ended(t, r.Engine, "one")
	ended(t, r.Engine, "two")
	if charges.Load() != 2 {
		t.Errorf("%d charges", charges.Load())
	}
}

// TestNothingBeginsBehindAClosedGate: a gate is closed and opened while a hundred runs are under way. From when it is said that it is
// drained until it is opened no call arrives at the service; no run is lost, none does anything twice, and no try is used up.
func TestNothingBeginsBehindAClosedGate(t *testing.T) {
	t.Parallel()
	const each, times = 4, 4
	runs := 100
	if testing.Short() {
		runs = 30
	}
	var shut atomic.Bool
	var calls, behind atomic.Int64
	var mu sync.Mutex
	charged := map[string]int{}
	called := make(chan struct{}, 2*runs*each)
	r := stale(t, gatedTools, gatedTools, func(w http.ResponseWriter, req *http.Request) {
		calls.Add(1)
		called <- struct{}{}
		if shut.Load() {
			behind.Add(1)
		}
		if req.URL.Path == "/charge" {
			mu.Lock()
			charged[req.Header.Get("Idempotency-Key")]++
			mu.Unlock()
		}
		time.Sleep(time.Duration(rand.IntN(3)) * time.Millisecond) // so that some are under way when the gate is closed
		fmt.Fprint(w, `{}`)
	})
	doc := "name: p\nsteps:\n"
	for i := range each {
		doc += fmt.Sprintf("  - {id: l%d, tool: orders.lookup}\n  - {id: c%d, tool: payments.charge}\n", i, i)
	}
	var submitted sync.WaitGroup
	submitted.Go(func() {
		for i := range runs {
			r.submit(t, fmt.Sprintf("run%d", i), doc)
		}
	})
	held := 0
	for n := range times {
		for len(called) > 0 {
			<-called // before it was opened again
		}
		for n := 0; n < 20 && calls.Load() < int64(runs*each*2); n++ {
			select {
			case <-called:
			case <-time.After(time.Minute):
				t.Fatal("no call is made")
			}
		}
		g := r.closeGate(t, []gates.Covers{{All: true}, {Tool: "*"}, {Plan: "p"}, {Target: "127.0.0.1:*"}}[n])
		p := r.drained(t, g.ID)
		shut.Store(true)
		submitted.Wait()
		if n == 0 {
			for i := range runs {
				r.until(t, fmt.Sprintf("run%d", i), "held or ended", func(s *steps.State) bool { return s.HeldBack() > 0 || s.Status().Ended() })
			}
		}
		t.Logf("drained after %s; %d of %d calls are made", p.Drained.Sub(p.Since), calls.Load(), runs*each*2)
		held += p.Held
		shut.Store(false)
		r.openGate(t, g.ID)
	}
	for i := range runs {
		s := r.until(t, fmt.Sprintf("run%d", i), "ended", func(s *steps.State) bool { return s.Closed() })
		if s.Status() != steps.RunSucceeded {
			t.Errorf("%s: %s", s.Run, s.Status())
		}
	}
	if behind.Load() > 0 || calls.Load() != int64(runs*each*2) {
		t.Errorf("%d calls, %d of them while the gate was closed; want %d and none", calls.Load(), behind.Load(), runs*each*2)
	}
	mu.Lock()
	defer mu.Unlock()
	for key, n := range charged {
		if n != 1 {
			t.Errorf("%s was charged %d times", key, n)
		}
	}
	if len(charged) != runs*each || held == 0 {
		t.Errorf("%d charges of %d; %d attempts were held back", len(charged), runs*each, held)
	}
}
