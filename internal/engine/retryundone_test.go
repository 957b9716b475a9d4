package engine

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"belay/internal/plan"
	"belay/internal/runlog"
	"belay/internal/steps"
)

// TestARetryPaysAgainWhatWasUndone: the service takes a call whose key it knows for a repetition. What a run has undone is paid
// once more by its retry, and undone once more; what it has not undone is not.
func TestARetryPaysAgainWhatWasUndone(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	seen, paid, top := map[string]bool{}, 0, 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		key := r.Header.Get("Idempotency-Key")
		switch known := seen[key]; {
		case r.URL.Path == "/ship":
			w.WriteHeader(http.StatusUnprocessableEntity)
			return
		case known:
		case r.URL.Path == "/pay":
			paid++
			top = max(top, paid)
		case r.URL.Path == "/void":
			paid--
		}
		seen[key] = true
		_, _ = io.WriteString(w, `{}`)
	}))
	t.Cleanup(srv.Close)
	r := startRig(t, strings.ReplaceAll(`tools:
  pay: {effects: unsafe, rungs: [{http: {method: POST, url: "URL/pay"}}]}
  void: {effects: unsafe, rungs: [{http: {method: POST, url: "URL/void"}}]}
  ship: {effects: unsafe, rungs: [{http: {method: POST, url: "URL/ship"}}]}
`, "URL", srv.URL))
	doc, err := plan.ParsePlan("plan.yaml", []byte(`name: order
steps:
  - {id: pay, tool: pay, compensate: {tool: void}}
  - {id: each, tool: pay, for_each: "[1, 2]", compensate: {tool: void}}
  - {id: ship, tool: ship, on_failure: fail}
`), r.tools)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Runs.Submit(t.Context(), "r", steps.Submitted{Document: doc.JSON, Input: json.RawMessage(`{}`)}); err != nil {
		t.Fatal(err)
	}
	var tops []int
	for run := "r"; len(tops) < 3; {
		err := r.Runs.Follow(t.Context(), run, func(s *steps.State, _ steps.Record, _ []int) bool { return s.Status() == steps.RunRunning })
		if err != nil {
			t.Fatal(err)
		}
		mu.Lock()
		tops, top = append(tops, top), 0
		mu.Unlock()
		if run, err = r.Runs.Retry(t.Context(), run, "", runlog.Retried{By: "mia"}); err != nil {
			t.Fatal(err)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if !slices.Equal(tops, []int{3, 3, 3}) {
		t.Errorf("paid at most %v at a time in each run, with the keys %v", tops, seen)
	}
}
