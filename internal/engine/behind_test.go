package engine

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"belay/internal/bus"
	"belay/internal/bus/embedded"
	"belay/internal/dispatch"
	"belay/internal/people"
	"belay/internal/plan"
	"belay/internal/steps"
	"belay/internal/worker"
)

// counter is a service that most calls fail at, and that knows when the last call of each run came.
type counter struct {
	mu   sync.Mutex
	last map[string]time.Time
	n    int
}

func (c *counter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	run, _, _ := strings.Cut(r.Header.Get("Idempotency-Key"), "/")
	c.mu.Lock()
	c.last[run] = time.Now()
	c.n++
	c.mu.Unlock()
	switch r.URL.Path {
	case "/slow":
		select {
		case <-r.Context().Done():
		case <-time.After(time.Duration(50+rand.IntN(300)) * time.Millisecond):
		}
		_, _ = w.Write([]byte(`{}`))
	case "/bad":
		w.WriteHeader(http.StatusBadRequest)
	default:
		w.WriteHeader(http.StatusServiceUnavailable)
	}
}

const behindTools = `
tools:
  flaky: {effects: idempotent, rungs: [{name: primary, http: {method: POST, url: "URL/flaky"}, retry: {max_attempts: 50, initial: 300ms, factor: 2, max: 2500ms}}]}
  slow: {effects: idempotent, rungs: [{name: primary, http: {method: POST, url: "URL/slow"}}]}
  bad: {effects: none, rungs: [{name: primary, http: {url: "URL/bad"}}]}
  brief: {effects: idempotent, timeout: 900ms, rungs: [{name: primary, http: {method: POST, url: "URL/flaky"}, retry: {max_attempts: 50, initial: 300ms, factor: 2, max: 2500ms}}]}
`

// behind is an engine with two workers that have few slots, so that messages wait in hand.
type behind struct {
	*rig
	*counter
}

func startBehind(t *testing.T) *behind {
	t.Helper()
	c := &counter{last: map[string]time.Time{}}
	srv := httptest.NewServer(c)
	t.Cleanup(srv.Close)
	tools, err := plan.ParseTools(filepath.Join(t.TempDir(), "tools.yaml"), []byte(strings.ReplaceAll(behindTools, "URL", srv.URL)))
	if err != nil {
		t.Fatal(err)
	}
	o := Options{
		Embedded: &embedded.Options{StoreDir: t.TempDir(), Durability: embedded.Interval}, Dispatch: &dispatch.Options{Name: "d1"},
		People: &PeopleOptions{Keys: t.TempDir()}, Worker: &WorkerOptions{Options: worker.Options{Name: "w1", Concurrency: 6}, Tools: tools},
	}
	e, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Stop)
	second, err := Start(t.Context(), Options{
		Connect: bus.Options{InProcess: e.Server}, Worker: &WorkerOptions{Options: worker.Options{Name: "w2", Concurrency: 6}, Tools: tools},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(second.Stop)
	return &behind{&rig{e, tools}, c}
}

// submit starts a run.
func (b *behind) submit(t *testing.T, id, text string) {
	doc, err := plan.ParsePlan("plan.yaml", []byte(text), b.tools)
	if err == nil {
		_, err = b.Runs.Submit(t.Context(), id, steps.Submitted{Document: doc.JSON, Input: []byte(`{}`)})
	}
	if err != nil {
		t.Error(err)
	}
}

// seen follows a run until it is as asked, and says when that was to be seen.
func (b *behind) seen(t *testing.T, id string, ok func(*steps.State) bool) (at time.Time) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err := b.Runs.Follow(ctx, id, func(s *steps.State, _ steps.Record, _ []int) bool {
		if ok(s) {
			at = time.Now()
		}
		return at.IsZero()
	})
	if at.IsZero() {
		t.Errorf("%s never came to its end: %v", id, err)
	}
	return at
}

const mixed = `{name: p, steps: [{id: a, tool: flaky, needs: [], for_each: "${ [1, 2, 3] }"}, {id: b, tool: slow, needs: []}, {id: c, tool: slow}, {id: d, tool: flaky, needs: []}]}`

// onItsWay is how long a call that was sent before the end may take to be counted, where the machine is not busy.
const onItsWay = 50 * time.Millisecond

// heldUp looks, until the test ends, how late this machine does what is due, and says how late at worst.
func heldUp(t *testing.T) (worst func() time.Duration) {
	var late atomic.Int64
	go func() {
		for t.Context().Err() == nil {
			const pause = 5 * time.Millisecond
			began := time.Now()
			<-time.After(pause)
			late.Store(max(late.Load(), int64(time.Since(began)-pause)))
		}
	}()
	return func() time.Duration { return time.Duration(late.Load()) }
}

// TestNothingBeginsBehindTheEnd ends runs at random moments in every way there is: what they do is in the queue, parked,
// in hand and early, waiting for a slot, executing, or between two of these. Once an end is to be seen, no call follows.
func TestNothingBeginsBehindTheEnd(t *testing.T) {
	b, late := startBehind(t), heldUp(t)
	person := people.Trusted("mia", "test")
	ended := func(s *steps.State) bool { return s.Status().Ended() }
	rested := func(s *steps.State) bool { return s.Units[0].State() == steps.StepEscalated }
	asked := func(s *steps.State) bool { return len(s.Escalations) > 0 }
	ways := []struct {
		name, plan string
		times      int
		from       func(*steps.State) bool              // when the moments begin; nil = at once
		act        func(t *testing.T, run string) error // at a random moment; nil where the run ends by itself
		end        func(*steps.State) bool
	}{
		{"cancel", mixed, 200, nil, func(t *testing.T, run string) error {
			_, err := b.Runs.Cancel(t.Context(), run, steps.Cancelled{By: "mia"})
			return err
		}, ended},
		{"deadline", strings.Replace(mixed, "name: p", "name: p, deadline: 1300ms, on_deadline: fail", 1), 25, nil, nil, ended},
		{"sibling", strings.Replace(mixed, "steps: [", "steps: [{id: w, tool: slow, needs: []}, {id: x, tool: bad, on_failure: fail}, ", 1), 25, nil, nil, ended},
		{"budget", `{name: p, steps: [{id: s, tool: brief}]}`, 25, nil, nil, rested},
		{"abort", strings.Replace(mixed, "steps: [", "steps: [{id: x, tool: bad, needs: []}, ", 1), 25, asked, func(t *testing.T, run string) error {
			_, err := b.Desk.Act(t.Context(), person, run+"-1", people.Act{Verb: "abort", Reason: "so"})
			return err
		}, ended},
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	ends := map[string]time.Time{}
	atOnce, part := 40, 1
	if testing.Short() {
		atOnce, part = 10, 4 // what is slower tenfold must still get its answers in time
	}
	slots := make(chan struct{}, atOnce)
	for _, way := range ways {
		for n := range way.times / part {
			run := fmt.Sprintf("%s-%d", way.name, n)
			wg.Go(func() {
				slots <- struct{}{}
				defer func() { <-slots }()
				b.submit(t, run, way.plan)
				if way.from != nil {
					b.seen(t, run, way.from)
				}
				if way.act != nil {
					// In real time, at a random moment: servers and workers have clocks of their own.
					<-time.After(300*time.Millisecond + time.Duration(rand.IntN(2_500_000))*time.Microsecond)
					if err := way.act(t, run); err != nil {
						t.Errorf("%s: %v", run, err)
					}
				}
				at := b.seen(t, run, way.end)
				mu.Lock()
				defer mu.Unlock()
				ends[run] = at
			})
		}
	}
	wg.Wait()
	<-time.After(3 * time.Second) // in real time, longer than any backoff: nothing signals that a call is never made
	b.mu.Lock()
	defer b.mu.Unlock()
	most := onItsWay + 4*late() // the worker, the connection, the service and its lock, each held up
	for run, at := range ends {
		if behind := b.last[run].Sub(at); behind > most {
			t.Errorf("%s: a call came %v behind its end", run, behind)
		}
	}
	t.Logf("%d runs, %d calls; one may be counted %s late", len(ends), b.n, most)
}
