package engine

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"belay/internal/bus/embedded"
	"belay/internal/dispatch"
	"belay/internal/plan"
	"belay/internal/steps"
	"belay/internal/steps/view"
	"belay/internal/worker"
)

// bench is one running engine with tools and plans of the test's own.
type rig struct {
	*Engine
	tools *plan.Tools
}

func startRig(t *testing.T, tools string) *rig {
	t.Helper()
	parsed, err := plan.ParseTools(filepath.Join(t.TempDir(), "tools.yaml"), []byte(tools))
	if err != nil {
		t.Fatal(err)
	}
	e, err := Start(t.Context(), Options{
		Embedded: &embedded.Options{StoreDir: t.TempDir(), Durability: embedded.Interval},
		Dispatch: &dispatch.Options{Name: "d1"}, People: &PeopleOptions{Keys: t.TempDir()},
		Worker: &WorkerOptions{Options: worker.Options{Name: "w1"}, Tools: parsed},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Stop)
	return &rig{e, parsed}
}

// submit submits a plan.
func (r *rig) submit(t *testing.T, id, text string) {
	t.Helper()
	doc, err := plan.ParsePlan("plan.yaml", []byte(text), r.tools)
	if err != nil {
		t.Fatal(err)
	}
	input, err := doc.CheckInput(nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Runs.Submit(t.Context(), id, steps.Submitted{Document: doc.JSON, Input: input}); err != nil {
		t.Fatal(err)
	}
}

// run submits a plan and follows it until it ends or waits for a person.
func (r *rig) run(t *testing.T, id, text string) view.Document {
	t.Helper()
	r.submit(t, id, text)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var last view.Document
	err := r.Runs.Follow(ctx, id, func(s *steps.State, _ steps.Record, _ []int) bool {
		last = view.Show(s)
		return s.Status() == steps.RunRunning
	})
	if err != nil {
		b, _ := json.MarshalIndent(last, "", " ")
		t.Fatalf("%v\n%s", err, b)
	}
	return last
}

func TestARunFailsRetriesFallsBackAndEnds(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if calls.Add(1) == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		if strings.HasPrefix(r.URL.Path, "/broken") {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		_, _ = w.Write([]byte(`{"n": 12345678901234567890}`))
	}))
	defer srv.Close()
	file := filepath.Join(t.TempDir(), "x.json")
	if err := os.WriteFile(file, []byte(`{"from":"file"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	r := startRig(t, strings.NewReplacer("URL", srv.URL, "FILE", file).Replace(`
tools:
  get:
    effects: none
    rungs:
      - {name: primary, http: {url: "URL/x"}, retry: {initial: 1ms}}
  broken:
    effects: none
    rungs:
      - {name: primary, http: {url: "URL/broken"}}
      - {name: readonly, command: {argv: [cat, FILE]}}
  pay:
    effects: unsafe
    rungs:
      - {name: primary, command: {argv: [cat]}}
`))
	doc := r.run(t, "one", `
name: p
steps:
  - {id: a, tool: get}
  - {id: b, tool: pay, with: {n: "${ steps.a.output.n }"}}
  - {id: c, tool: broken}
output: {n: "${ steps.b.output.n }", from: "${ steps.c.output.from }"}
`)
	if doc.State != steps.RunDegraded || string(doc.Output) != `{"from":"file","n":12345678901234567890}` {
		t.Fatalf("%s %s", doc.State, doc.Output)
	}
	if n := len(doc.Steps[0].Attempts); n != 2 || doc.Steps[0].Attempts[0].Class != steps.Unavailable {
		t.Errorf("step a: %+v", doc.Steps[0].Attempts)
	}
}
