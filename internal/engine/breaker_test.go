package engine

import (
	"context"
	"flag"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"belay/internal/breaker"
	"belay/internal/bus"
	"belay/internal/bus/embedded"
	"belay/internal/dispatch"
	"belay/internal/limits"
	"belay/internal/plan"
	"belay/internal/steps"
	"belay/internal/worker"
)

// held is how many calls wait when their breaker closes.
var held = flag.Int("breaker.held", 60, "calls that a breaker holds when their target comes back; the full proof is 5000")

const brokenTools = `tools:
  ship.order:
    effects: idempotent
    breaker: {min: 10, open: 1s}
    rungs:
      - {name: fast, http: {method: POST, url: "URL/ship"}, retry: {max_attempts: 1}}
      - {name: slow, static: {output: {by: post}}}
  ship.tell:
    effects: idempotent
    breaker: {min: 10, open: 1s}
    rungs: [{http: {method: POST, url: "URL/tell"}, retry: {max_attempts: 20, initial: 1ms, max: 1ms}}]
`

// flaky is a service that is down, and then up.
type flaky struct {
	mu    sync.Mutex
	up    bool
	calls map[string][]time.Time // by path
}

func (f *flaky) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls[req.URL.Path] = append(f.calls[req.URL.Path], time.Now())
	if !f.up {
		http.Error(w, "down", http.StatusServiceUnavailable)
		return
	}
	fmt.Fprint(w, `{"by":"drone"}`)
}

func (f *flaky) count(path string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.calls[path])
}

func (f *flaky) setUp() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.up = true
}

// fleet starts two dispatchers and three workers on one server.
func fleet(t *testing.T, tools string) *rig {
	t.Helper()
	parsed, err := plan.ParseTools(filepath.Join(t.TempDir(), "tools.yaml"), []byte(tools))
	if err != nil {
		t.Fatal(err)
	}
	var server *embedded.Server
	var first *Engine
	for n := range 3 {
		o := Options{
			Partitions: 4, People: &PeopleOptions{Keys: t.TempDir()},
			Worker: &WorkerOptions{Options: worker.Options{Name: fmt.Sprintf("w%d", n)}, Tools: parsed},
		}
		if n < 2 {
			o.Dispatch = &dispatch.Options{Name: fmt.Sprintf("d%d", n)}
		}
		if n == 0 {
			o.Embedded = &embedded.Options{StoreDir: t.TempDir(), Durability: embedded.Interval}
		} else {
			o.Connect, o.People = bus.Options{InProcess: server}, nil
		}
		e, err := Start(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(e.Stop)
		if n == 0 {
			server, first = e.Server, e
		}
	}
	return &rig{first, parsed}
}

// breakerOf follows a tool's breaker until it is as wanted; nil: it is closed.
func (r *rig) breakerOf(t *testing.T, tool, what string, ok func(*breaker.Record) bool) *breaker.Record {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		list, err := breaker.List(ctx, r.Bus)
		if err != nil {
			t.Fatalf("the breaker of %s was never %s: %v", tool, what, err)
		}
		var rec *breaker.Record
		for i := range list {
			if list[i].Tool == tool {
				rec = &list[i]
			}
		}
		if ok(rec) {
			return rec
		}
		select {
		case <-ctx.Done():
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func isOpen(rec *breaker.Record) bool { return rec != nil && rec.State != breaker.Ramp }

// endAll waits until all runs of a name have ended.
func (r *rig) endAll(t *testing.T, name string, n int, want steps.RunState) (last *steps.State) {
	t.Helper()
	for i := range n {
		last = r.until(t, fmt.Sprintf("%s%d", name, i), "ended", func(s *steps.State) bool { return s.Closed() })
		if last.Status() != want {
			t.Errorf("%s: %s, want %s", last.Run, last.Status(), want)
		}
	}
	return last
}

// TestABreaker: while a service is down, no call reaches it but one probe at a time, from three workers and through two dispatchers; runs go
// on on the next rung at once, and those that have none are held. Once it is up, what was held goes as a ramp, and all runs end.
func TestABreaker(t *testing.T) {
	t.Parallel()
	f := &flaky{calls: map[string][]time.Time{}}
	srv := httptest.NewServer(f)
	t.Cleanup(srv.Close)
	r := fleet(t, strings.ReplaceAll(brokenTools, "URL", srv.URL))
	const ship, tell = `{name: p, steps: [{id: a, tool: ship.order}]}`, `{name: p, steps: [{id: a, tool: ship.tell}]}`
	const before, after = 30, 40
	held := *held
	for i := range before {
		r.submit(t, fmt.Sprintf("before%d", i), ship)
	}
	r.endAll(t, "before", before, steps.RunDegraded)
	was := r.breakerOf(t, "ship.order", "open", isOpen)
	calls := f.count("/ship")
	for i := range after {
		r.submit(t, fmt.Sprintf("after%d", i), ship)
	}
	last := r.endAll(t, "after", after, steps.RunDegraded)
	calls = f.count("/ship") - calls
	if is := r.breakerOf(t, "ship.order", "open", isOpen); calls > is.Probes-was.Probes+1 { // one may have been on its way
		t.Errorf("%d calls while the breaker was open, and %d probes", calls, is.Probes-was.Probes)
	}
	u := &last.Units[0] // it may have been the probe
	if first := u.Attempts[0].Fault; u.Degraded == nil || u.Degraded.Cause != first.Error() || first.Reason == steps.BreakerOpen && (first.MayHaveActed() || !strings.Contains(first.Message, "ship.order/fast 127.0.0.1")) {
		t.Errorf("the first rung: %+v, labelled %+v", first, u.Degraded)
	}

	for i := range held {
		r.submit(t, fmt.Sprintf("held%d", i), tell)
	}
	r.breakerOf(t, "ship.tell", "open", isOpen)
	for i := range held {
		seen := false // the state may go on after that: it may be the next probe
		r.until(t, fmt.Sprintf("held%d", i), "held by its breaker", func(s *steps.State) bool {
			seen = seen || s.Units[0].Broken()
			return seen
		})
	}
	down := f.count("/tell")
	f.setUp()
	rec := r.breakerOf(t, "ship.tell", "a ramp", func(rec *breaker.Record) bool { return rec != nil && rec.State == breaker.Ramp })
	r.endAll(t, "held", held, steps.RunSucceeded)
	f.checkRamp(t, rec, down)
}

// checkRamp: from when the service is known to be back, the calls that come in a second are twice as many every second.
func (f *flaky) checkRamp(t *testing.T, rec *breaker.Record, down int) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	const slack = 100 * time.Millisecond // of the clocks
	const perSecondAtFirst = limits.RampFrom / math.Ln2
	ramp, perSecond := 0, map[int]int{}
	for _, at := range f.calls["/tell"][down:] {
		if since := at.Sub(rec.From) + slack; since > 0 {
			ramp++
			perSecond[int(since/time.Second)]++
			if most := perSecondAtFirst*(math.Exp2(since.Seconds())-1) + 2; float64(ramp) > most {
				t.Fatalf("%d calls within %s of the ramp, at most %.1f may go", ramp, since, most)
			}
		}
	}
	t.Logf("%d calls while it was down, %d in the ramp; per second: %v", down, ramp, perSecond)
}

// TestABreakerUsesUpNoRate: of a tool that has a rate too, calls that wait for it go on on the next rung when the breaker opens, and later
// ones do not wait at all.
func TestABreakerUsesUpNoRate(t *testing.T) {
	t.Parallel()
	f := &flaky{calls: map[string][]time.Time{}}
	const tools = `tools:
  ship.order:
    effects: idempotent
    limits: {rate: 1/h}
    breaker: {min: 1, open: 1h}
    rungs:
      - {name: fast, http: {method: POST, url: "URL/ship"}, retry: {max_attempts: 1}}
      - {name: slow, static: {output: {by: post}}}
`
	r := stale(t, tools, tools, f.ServeHTTP)
	for _, name := range []string{"waits", "later"} {
		for i := range 4 {
			r.submit(t, fmt.Sprintf("%s%d", name, i), `{name: p, steps: [{id: a, tool: ship.order}]}`)
		}
		r.endAll(t, name, 4, steps.RunDegraded)
	}
	if n := f.count("/ship"); n != 1 {
		t.Errorf("%d calls, one may begin", n)
	}
}
