package engine

import (
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"belay/internal/people"
	"belay/internal/plan"
	"belay/internal/steps"
)

// redone is how many runs that are done again wait for a limit.
var redone = flag.Int("limits.redone", 120, "runs that are done again and wait for a limit; the full proof is 500")

// inOrder is a service that notes who has called it, while it is not down.
type inOrder struct {
	down  atomic.Bool
	mu    sync.Mutex
	calls []string // paths
	came  chan struct{}
}

func (o *inOrder) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if o.down.Load() {
		http.Error(w, "down", http.StatusServiceUnavailable)
		return
	}
	o.mu.Lock()
	o.calls = append(o.calls, strings.TrimPrefix(req.URL.Path, "/"))
	o.mu.Unlock()
	o.came <- struct{}{}
	fmt.Fprint(w, `{}`)
}

// await waits until so many more calls have come.
func (o *inOrder) await(t *testing.T, n int) {
	t.Helper()
	for range n {
		select {
		case <-o.came:
		case <-time.After(time.Minute):
			t.Fatal("no more calls come")
		}
	}
}

// at is how many calls came before a run's; -1: that has not come.
func (o *inOrder) at(run string) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Index(o.calls, run)
}

// again submits a run that is done again.
func (r *rig) again(t *testing.T, id, text string) {
	t.Helper()
	doc, err := plan.ParsePlan("plan.yaml", []byte(text), r.tools)
	if err != nil {
		t.Error(err)
		return
	}
	if _, err := r.Runs.Submit(t.Context(), id, steps.Submitted{Document: doc.JSON, Input: json.RawMessage(`{}`), RetryOf: "before"}); err != nil {
		t.Error(err)
	}
}

// approve has a person approve what an escalation asks about.
func (r *rig) approve(t *testing.T, escalation string) {
	t.Helper()
	shown, err := r.Desk.Card(t.Context(), escalation)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.People.Act(t.Context(), people.Trusted("mia", "test"), escalation, people.Act{Verb: "approve", Digest: shown.Dossier.Approval.Digest}); err != nil {
		t.Fatal(err)
	}
}

// TestAnApprovalGoesBeforeRedrives: two dispatchers and three workers share a limit, for which many runs wait that are done again. A person
// approves a call: it goes next. So does what is new, before what is done again; and that goes on meanwhile.
func TestAnApprovalGoesBeforeRedrives(t *testing.T) {
	t.Parallel()
	for name, limit := range map[string]string{"rate": "rate: 10/s", "concurrency": "concurrency: 2"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			site := &inOrder{came: make(chan struct{}, 2**redone+100)}
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				if name == "concurrency" {
					<-time.After(50 * time.Millisecond) // a call that takes its time
				}
				site.ServeHTTP(w, req)
			}))
			t.Cleanup(srv.Close)
			r := fleet(t, strings.ReplaceAll(`
tools:
  pay: {effects: idempotent, approval: {when: params.asks}, limits: {`+limit+`}, rungs: [{http: {method: POST, url: "URL/${ params.run }"}}]}
`, "URL", srv.URL))
			of := func(run string, asks bool) string {
				return fmt.Sprintf(`{name: p, steps: [{id: a, tool: pay, with: {run: %s, asks: %v}}]}`, run, asks)
			}
			r.submit(t, "asks", of("asks", true))
			asked := r.until(t, "asks", "asked about", func(s *steps.State) bool { return len(s.Escalations) > 0 }).Escalations[0].ID
			ids := []string{"asks", "new"}
			var wg sync.WaitGroup
			for n := range *redone {
				ids = append(ids, fmt.Sprint("again", n))
				wg.Go(func() { r.again(t, fmt.Sprint("again", n), of(fmt.Sprint("again", n), false)) })
			}
			wg.Wait()
			site.await(t, 5)
			r.submit(t, "new", of("new", false))
			r.approve(t, asked)
			site.mu.Lock()
			before := len(site.calls)
			site.mu.Unlock()
			ended(t, r.Engine, ids...)
			if before > *redone*3/4 {
				t.Skipf("%d of %d calls had come before anything was approved: this machine is too slow for the limit", before, len(ids))
			}
			t.Logf("%d calls had come; of %d what was approved is number %d, and what is new number %d", before, len(ids), site.at("asks")+1, site.at("new")+1)
			for _, run := range []string{"asks", "new"} {
				if n := site.at(run); n-before > (len(ids)-before)/2 { // however slow this machine is
					t.Errorf("%s is number %d of %d, and %d had come before", run, n+1, len(ids), before)
				}
			}
			if len(site.calls) != len(ids) {
				t.Errorf("%d calls, %d runs", len(site.calls), len(ids))
			}
		})
	}
}

// TestAnApprovalGoesBeforeRedrivesInARamp: the same of a service that was down, and is back: its breaker lets few calls go at first.
func TestAnApprovalGoesBeforeRedrivesInARamp(t *testing.T) {
	t.Parallel()
	site := &inOrder{came: make(chan struct{}, *redone+100)}
	srv := httptest.NewServer(site)
	t.Cleanup(srv.Close)
	r := fleet(t, strings.ReplaceAll(`
tools:
  pay:
    effects: idempotent
    approval: {when: params.asks}
    breaker: {min: 10, open: 1s}
    rungs: [{http: {method: POST, url: "URL/${ params.run }"}, retry: {max_attempts: 1000, initial: 1ms, max: 1ms}}]
`, "URL", srv.URL))
	of := func(run string, asks bool) string {
		return fmt.Sprintf(`{name: p, steps: [{id: a, tool: pay, with: {run: %s, asks: %v}}]}`, run, asks)
	}
	r.submit(t, "asks", of("asks", true))
	asked := r.until(t, "asks", "asked about", func(s *steps.State) bool { return len(s.Escalations) > 0 }).Escalations[0].ID
	site.down.Store(true)
	ids := []string{"asks", "new"}
	for n := range *redone {
		ids = append(ids, fmt.Sprint("again", n))
		r.again(t, ids[n+2], of(ids[n+2], false))
	}
	r.breakerOf(t, "pay", "open", isOpen)
	r.submit(t, "new", of("new", false))
	r.approve(t, asked)
	for _, id := range ids {
		seen := false // the state may go on after that: it may be the next probe
		r.until(t, id, "held by its breaker", func(s *steps.State) bool {
			seen = seen || s.Units[0].Broken()
			return seen
		})
	}
	site.down.Store(false)
	ended(t, r.Engine, ids...)
	t.Logf("of %d what was approved is number %d, and what is new number %d", len(ids), site.at("asks")+1, site.at("new")+1)
	for _, run := range []string{"asks", "new"} {
		if n := site.at(run); n > *redone/2 { // however slow this machine is
			t.Errorf("%s is number %d of %d", run, n+1, len(ids))
		}
	}
	if len(site.calls) != len(ids) {
		t.Errorf("%d calls, %d runs", len(site.calls), len(ids))
	}
}
