package engine

import (
	"context"
	"flag"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"belay/internal/bus"
	"belay/internal/dispatch"
	"belay/internal/gates"
	"belay/internal/limits"
	"belay/internal/steps"
	"belay/internal/worker"
)

// storm is how many calls wait when their target takes calls again.
var storm = flag.Int("limits.storm", 40, "calls that wait for a target that has asked to wait; the full proof is 5000")

// askedToWait is a service that takes no calls for a while and then all.
type askedToWait struct {
	named time.Duration // for how long
	mu    sync.Mutex
	until time.Time   // set by the first call
	calls []time.Time // in the order of arrival
}

func (a *askedToWait) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	if a.until.IsZero() {
		a.until = now.Add(a.named)
	}
	if a.calls = append(a.calls, now); now.Before(a.until) {
		w.Header().Set("Retry-After", fmt.Sprint(a.named.Seconds()))
		w.WriteHeader(http.StatusTooManyRequests)
		return
	}
	fmt.Fprint(w, `{}`)
}

// TestARetryAfterHoldsEverybody: many runs of two tools call one host, which asks the first of them to wait. Beyond those that are
// under way nobody calls it before that, and afterwards they come in a ramp: at no time have there been more than its pace allows.
func TestARetryAfterHoldsEverybody(t *testing.T) {
	t.Parallel()
	site := &askedToWait{named: 2 * time.Second}
	r := stale(t, limitedTools, limitedTools, site.ServeHTTP)
	const first = "first"
	r.submit(t, first, `{name: p, steps: [{id: a, tool: one}]}`)
	r.until(t, first, "asked to wait", func(s *steps.State) bool { return s.Units[0].State() == steps.StepRetrying })
	var ids []string
	for n := range *storm {
		ids = append(ids, fmt.Sprint("run-", n))
		r.submit(t, ids[n], fmt.Sprintf(`{name: p, steps: [{id: a, tool: %s}]}`, []string{"one", "two"}[n%2]))
	}
	ended(t, r.Engine, append(ids, first)...)
	for _, id := range ids {
		s, err := r.Runs.Load(t.Context(), id)
		if err != nil || s.Status() != steps.RunSucceeded || len(s.Units[0].Attempts) != 1 {
			t.Fatalf("%s: %s after %d attempts, %v", id, s.Status(), len(s.Units[0].Attempts), err)
		}
	}
	site.mu.Lock()
	defer site.mu.Unlock()
	perTenth, after := map[int]int{}, 0
	for n, at := range site.calls {
		if at.Before(site.until) {
			if n > 0 {
				t.Errorf("call %d came %s before the time that the target had named", n, site.until.Sub(at))
			}
			continue
		}
		after++
		since := at.Sub(site.until).Seconds()
		perTenth[int(since*10)]++
		if most := 1 + limits.RampFrom*(math.Exp2(since+0.1)-1)/math.Ln2; float64(after) > most+1 {
			t.Errorf("%d calls %.2f s after that time; a ramp has at most %.1f", after, since, most)
		}
	}
	if after != *storm+1 {
		t.Errorf("%d calls, %d runs", after, *storm+1)
	}
	t.Logf("%d calls in %s; per 100 ms: %v", after, site.calls[len(site.calls)-1].Sub(site.until), perTenth)
}

const limitedTools = `tools:
  one: {effects: none, rungs: [{http: {method: GET, url: "URL/one"}, retry: {initial: 1ms}}]}
  two: {effects: none, rungs: [{http: {method: GET, url: "URL/two"}, retry: {initial: 1ms}}]}
`

// TestWhoCannotWaitGoesDownTheLadder: a call whose budget is over before its target takes calls again is not made, and not held back
// either: the next rung is tried at once, as if the target had said it to this call.
func TestWhoCannotWaitGoesDownTheLadder(t *testing.T) {
	t.Parallel()
	site := &askedToWait{named: 4 * time.Minute} // longer than this test takes on any machine
	tools := strings.Replace(limitedTools, "two: {effects: none, rungs: [", "two: {effects: none, timeout: 1m, rungs: [", 1)
	tools = strings.Replace(tools, `URL/two"}, retry: {initial: 1ms}}`, `URL/two"}, name: primary}, {name: fixed, static: {output: 7}}`, 1)
	r := stale(t, tools, tools, site.ServeHTTP)
	r.submit(t, "first", `{name: p, steps: [{id: a, tool: one}]}`)
	r.until(t, "first", "asked to wait", func(s *steps.State) bool { return s.Units[0].State() == steps.StepRetrying })
	doc := r.run(t, "second", `{name: p, steps: [{id: a, tool: two}]}`)
	if doc.State != steps.RunDegraded || len(doc.Steps[0].Attempts) != 2 || !strings.Contains(doc.Steps[0].Attempts[0].Message, "has asked all to wait until") {
		t.Errorf("%s: %+v", doc.State, doc.Steps[0].Attempts)
	}
}

// TestAnOpenedGateLetsGoInARamp: many runs of two tools that call one host are held back by a gate, by two dispatchers. Once it is open their
// calls come in a ramp, at no time more than its pace allows, and each is made once.
func TestAnOpenedGateLetsGoInARamp(t *testing.T) {
	t.Parallel()
	site := &askedToWait{until: time.Now()}
	srv := httptest.NewServer(site)
	t.Cleanup(srv.Close)
	r := fleet(t, strings.ReplaceAll(limitedTools, "URL", srv.URL))
	g := r.closeGate(t, gates.Covers{Plan: "p"})
	r.drained(t, g.ID) // both dispatchers have heard of it
	var ids []string
	for n := range *storm {
		ids = append(ids, fmt.Sprint("run-", n))
		r.submit(t, ids[n], fmt.Sprintf(`{name: p, steps: [{id: a, tool: %s}]}`, []string{"one", "two"}[n%2]))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	var p gates.Progress
	err := gates.Of(r.Bus).Watch(ctx, g.ID, func(now gates.Progress) bool {
		p = now
		return p.Held < *storm
	})
	if err != nil || p.Held != *storm {
		t.Fatalf("%d calls are held back, %v", p.Held, err)
	}
	opened, err := r.OpenGate(t.Context(), operator, g.ID, "mended")
	if err != nil {
		t.Fatal(err)
	}
	ended(t, r.Engine, ids...)
	for _, id := range ids {
		s, err := r.Runs.Load(t.Context(), id)
		if err != nil || s.Status() != steps.RunSucceeded || len(s.Units[0].Attempts) != 2 {
			t.Fatalf("%s: %s after %d attempts, %v", id, s.Status(), len(s.Units[0].Attempts), err)
		}
	}
	site.mu.Lock()
	defer site.mu.Unlock()
	perSecond := map[int]int{}
	for n, at := range site.calls {
		since := at.Sub(opened.Opened.At)
		perSecond[int(since/time.Second)]++
		most := 1 + limits.RampFrom*(math.Exp2((since+500*time.Millisecond).Seconds())-1)/math.Ln2 // the clocks may differ by as much
		if since < limits.RampFor-500*time.Millisecond && float64(n) > most {
			t.Fatalf("%d calls %s after the gate was opened; a ramp has at most %.1f", n+1, since, most)
		}
	}
	if len(site.calls) != *storm {
		t.Errorf("%d calls, %d runs", len(site.calls), *storm)
	}
	t.Logf("%d calls in %s; per second: %v", len(site.calls), site.calls[len(site.calls)-1].Sub(opened.Opened.At), perSecond)
}

// join starts one more process on the server of r: a worker, and a dispatcher if it is to have one.
func (r *rig) join(t *testing.T, name string, dispatches bool) {
	t.Helper()
	o := Options{Connect: bus.Options{InProcess: r.Server}, Worker: &WorkerOptions{Options: worker.Options{Name: "w-" + name}, Tools: r.tools}}
	if dispatches {
		o.Dispatch, o.People = &dispatch.Options{Name: "d-" + name}, &PeopleOptions{Keys: t.TempDir()}
	}
	e, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Stop)
}

// rated is how many calls the test of a rate makes.
var rated = flag.Int("limits.calls", 60, "calls that are made under a rate; the full proof is 500")

// TestARateIsKeptByAll: two dispatchers and three workers share 20 calls a second for each tenant. No more have come at any time
// since the first could; tenants do not wait for each other.
func TestARateIsKeptByAll(t *testing.T) {
	t.Parallel()
	const rate = 20
	var mu sync.Mutex
	calls := map[string][]time.Time{}
	tools := `tools: {one: {effects: none, limits: {rate: 20/s, per: params.tenant}, rungs: [{http: {method: GET, url: "URL/${ params.tenant }"}}]}}`
	r := stale(t, tools, tools, func(w http.ResponseWriter, req *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		calls[req.URL.Path] = append(calls[req.URL.Path], time.Now())
		fmt.Fprint(w, `{}`)
	})
	r.join(t, "second", true)
	r.join(t, "third", false)
	began := time.Now()
	var ids []string
	for n := range *rated / 5 {
		for _, tenant := range []string{"acme", "zoo"} {
			ids = append(ids, fmt.Sprint(tenant, n))
			r.submit(t, ids[len(ids)-1], fmt.Sprintf(`{name: p, steps: [{id: a, tool: one, for_each: "[1, 2, 3, 4, 5]", with: {tenant: %s}}]}`, tenant))
		}
	}
	ended(t, r.Engine, ids...)
	mu.Lock()
	defer mu.Unlock()
	for path, at := range calls {
		for n, at := range at {
			if early := time.Duration(n)*time.Second/rate - at.Sub(began); early > 50*time.Millisecond { // however slow this machine is
				t.Errorf("%s: call %d came %s earlier than the rate allows", path, n, early)
			}
		}
		took := at[len(at)-1].Sub(at[0]).Seconds()
		t.Logf("%s: %d calls in %.2f s, %.2f a second", path, len(at), took, float64(len(at)-1)/took)
		if len(at) != *rated/5*5 {
			t.Errorf("%s: %d calls", path, len(at))
		}
	}
	if len(calls) != 2 {
		t.Errorf("%d tenants", len(calls))
	}
}

// busy counts the calls that it has at once.
type busy struct {
	mu              sync.Mutex
	now, most, done int
	paths           map[string]int
	begun           chan struct{} // gets a value when a call has begun
	hold            chan struct{} // a call ends when it gets a value
}

func (b *busy) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	b.mu.Lock()
	b.now++
	b.most = max(b.most, b.now)
	b.paths[req.URL.Path]++
	b.mu.Unlock()
	b.begun <- struct{}{}
	select {
	case <-b.hold:
	case <-req.Context().Done():
	}
	b.mu.Lock()
	b.now--
	b.done++
	b.mu.Unlock()
	fmt.Fprint(w, `{}`)
}

// TestSlotsAreKeptByAll: two dispatchers and three workers share three slots of a target among two tools. Never are more calls in hand,
// at times as many are, and items of a for_each count like steps. What waits for people has no slot.
func TestSlotsAreKeptByAll(t *testing.T) {
	t.Parallel()
	const slots = 3
	site := &busy{paths: map[string]int{}, hold: make(chan struct{}), begun: make(chan struct{}, 10**rated)}
	tools := `
targets: {HOST: {limits: {concurrency: 3}}}
tools:
  one: {effects: none, rungs: [{http: {method: GET, url: "URL/one"}}]}
  two: {effects: idempotent, approval: always, rungs: [{http: {method: POST, url: "URL/two"}}]}
`
	r := stale(t, tools, tools, site.ServeHTTP)
	r.join(t, "second", true)
	r.join(t, "third", false)
	var ids []string
	for n := range *rated / 5 {
		ids = append(ids, fmt.Sprint("run-", n))
		r.submit(t, ids[n], `{name: p, steps: [{id: a, tool: one, for_each: "[1, 2, 3, 4, 5]"}]}`)
		asks := fmt.Sprint("asks-", n)
		r.submit(t, asks, `{name: p, steps: [{id: a, tool: two}]}`)
	}
	for range slots {
		select {
		case <-site.begun:
		case <-time.After(30 * time.Second):
			t.Fatal("not all slots are taken")
		}
	}
	for range len(ids) * 5 {
		select {
		case site.hold <- struct{}{}:
		case <-time.After(30 * time.Second):
			t.Fatal("no more calls come")
		}
	}
	ended(t, r.Engine, ids...)
	site.mu.Lock()
	defer site.mu.Unlock()
	if site.most != slots || site.paths["/two"] != 0 || site.done != len(ids)*5 {
		t.Errorf("%d calls were in hand at once, %d in all; %v", site.most, site.done, site.paths)
	}
}
