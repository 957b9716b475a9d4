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
	"testing"
	"time"

	"belay/internal/people"
	"belay/internal/plan"
	"belay/internal/steps"
)

// redone is how many runs that are done again wait for a limit.
var redone = flag.Int("limits.redone", 120, "runs that are done again and wait for a limit; the full proof is 500")

// inOrder is a service that notes who has called it.
type inOrder struct {
	mu    sync.Mutex
	calls []string // paths
	came  chan struct{}
}

func (o *inOrder) ServeHTTP(w http.ResponseWriter, req *http.Request) {
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
			shown, err := r.Desk.Card(t.Context(), asked)
			if err != nil {
				t.Fatal(err)
			}
			var wg sync.WaitGroup
			for n := range *redone {
				ids = append(ids, fmt.Sprint("again", n))
				wg.Go(func() { r.again(t, fmt.Sprint("again", n), of(fmt.Sprint("again", n), false)) })
			}
			wg.Wait()
			site.await(t, 5)
			r.submit(t, "new", of("new", false))
			if _, err := r.People.Act(t.Context(), people.Trusted("mia", "test"), asked, people.Act{Verb: "approve", Digest: shown.Dossier.Approval.Digest}); err != nil {
				t.Fatal(err)
			}
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
