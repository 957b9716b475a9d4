package engine

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"belay/internal/plan"
	"belay/internal/steps"
)

// TestALongAgent: a turn costs the same, however many there were before.
func TestALongAgent(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	longAgent(t, "keep_turns: 20")
}

// TestALongAgentWithSummaries: so does a summary.
func TestALongAgentWithSummaries(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	longAgent(t, "keep_turns: 20, summary: {model: small}")
}

func longAgent(t *testing.T, keys string) {
	t.Helper()
	const turns = 1000
	var mu sync.Mutex
	var at []time.Time // when the model was asked
	var sizes []int64  // of what it was asked
	var summed []int64 // of what was to be summarised
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/look" {
			_, _ = io.WriteString(w, `{"found":true}`)
			return
		}
		n, _ := io.Copy(io.Discard, r.Body)
		mu.Lock()
		defer mu.Unlock()
		if r.URL.Path == "/sum" {
			summed = append(summed, n)
			_, _ = io.WriteString(w, `{"text":"All that was looked at is in order."}`)
			return
		}
		at, sizes = append(at, time.Now()), append(sizes, n)
		if len(at) == turns {
			_, _ = io.WriteString(w, `{"text":"done"}`)
			return
		}
		fmt.Fprintf(w, `{"text":"I look at %d.","calls":[{"id":"x","name":"look","arguments":{"n":%d}}]}`, len(at), len(at))
	}))
	t.Cleanup(srv.Close)
	r := startRig(t, strings.ReplaceAll(`tools:
  model: {effects: none, rungs: [{http: {method: POST, url: "URL/chat"}}]}
  small: {effects: none, rungs: [{http: {method: POST, url: "URL/sum"}}]}
  look: {effects: none, rungs: [{http: {method: POST, url: "URL/look"}}]}
`, "URL", srv.URL))
	doc, err := plan.ParsePlan("plan.yaml", []byte(`
name: long
steps: [{id: a, agent: {model: model, prompt: go on, tools: [look], `+keys+`, limits: {turns: 2000, calls: 2000}}}]
`), r.tools)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Runs.Submit(t.Context(), "r", steps.Submitted{Document: doc.JSON, Input: json.RawMessage(`{}`)}); err != nil {
		t.Fatal(err)
	}
	var s *steps.State
	if err := r.Runs.Follow(t.Context(), "r", func(now *steps.State, _ steps.Record, _ []int) bool { s = now; return now.Status() == steps.RunRunning }); err != nil {
		t.Fatal(err)
	}
	if s.Status() != steps.RunSucceeded {
		t.Fatal(s.Status(), s.Reason)
	}
	median := func(from, to int) time.Duration {
		var took []time.Duration
		for n := from; n < to; n++ {
			took = append(took, at[n+1].Sub(at[n]))
		}
		slices.Sort(took)
		return took[len(took)/2]
	}
	early, late := median(5, 105), median(turns-101, turns-1)
	if late > 5*early { // 1.2 times where nothing else is at work; ten times where all that was before is read again
		t.Errorf("a turn takes %v at first and %v at the end", early, late)
	}
	if early, late := slices.Max(sizes[40:100]), slices.Max(sizes[turns-60:]); late > early+1000 {
		t.Errorf("the model is told %d bytes after 50 turns and %d at the end", early, late)
	}
	if n := len(summed); strings.Contains(keys, "summary") && (n != turns/20-2 || summed[n-1] > summed[1]+200) {
		t.Errorf("%d summaries, of %d bytes", n, summed)
	}
	if len(summed) > 0 {
		t.Logf("%d summaries, of %d bytes at first and %d at the end", len(summed), summed[1], summed[len(summed)-1])
	}
	t.Logf("a turn takes %v at first and %v at the end, the conversation has %d and %d bytes", early, late, sizes[10], sizes[turns-1])
}
