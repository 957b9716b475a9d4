package engine

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"belay/internal/plan"
	"belay/internal/steps"
)

// stale is a rig whose runs are submitted with a stale tools file, beside the worker's own.
func stale(t *testing.T, workers, submitters string, handler http.HandlerFunc) *rig {
	t.Helper()
	srv := httptest.NewServer(handler)
	t.Cleanup(srv.Close)
	fill := strings.NewReplacer("URL", srv.URL, "HOST", strings.TrimPrefix(srv.URL, "http://")).Replace
	r := startRig(t, fill(workers))
	lax, err := plan.ParseTools(filepath.Join(t.TempDir(), "stale.yaml"), []byte(fill(submitters)))
	if err != nil {
		t.Fatal(err)
	}
	r.tools = lax
	return r
}

// TestTheStricterToolsFileCounts: what a stale file says of a tool makes nothing happen that the worker's own forbids.
func TestTheStricterToolsFileCounts(t *testing.T) {
	const lax = `tools: {charge: {effects: none, rungs: [{http: {method: POST, url: "URL/charge"}, retry: {initial: 1ms}}]}}`
	for name, c := range map[string]struct {
		workers string
		answer  string // of the charge; empty: 503
		calls   int64
		kind    steps.EscalationKind
		changes string
	}{
		"unsafe: not repeated": {
			`tools: {charge: {effects: unsafe, rungs: [{http: {method: POST, url: "URL/charge"}, retry: {initial: 1ms}}]}}`,
			"", 1, steps.KindUnknown, "effects",
		},
		"approval: held": {
			`tools: {charge: {effects: none, approval: always, rungs: [{http: {method: POST, url: "URL/charge"}}]}}`,
			"", 0, steps.KindApproval, "approval, definition",
		},
		"probe: the worker's looks": {
			`tools: {charge: {effects: unsafe, verify: {http: {url: "URL/look"}, happened: output.found}, rungs: [{http: {method: POST, url: "URL/charge"}}]}}`,
			"", 1, steps.KindUnknown, "effects, verify",
		},
		"output: fits both": {
			`tools: {charge: {effects: none, output_schema: {type: object, required: [id]}, rungs: [{http: {method: POST, url: "URL/charge"}, retry: {max_attempts: 1}}]}}`,
			`{"n":1}`, 3, steps.KindFailure, "output_schema",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var calls, looks atomic.Int64
			r := stale(t, c.workers, lax, func(w http.ResponseWriter, r *http.Request) {
				switch {
				case r.URL.Path == "/look":
					looks.Add(1)
					fmt.Fprint(w, `{"found": false}`)
				case c.answer != "":
					calls.Add(1)
					fmt.Fprint(w, c.answer)
				default:
					calls.Add(1)
					w.WriteHeader(http.StatusServiceUnavailable)
				}
			})
			doc := r.run(t, "one", `{name: p, steps: [{id: s, tool: charge}]}`)
			if doc.State != steps.RunWaiting || calls.Load() != c.calls {
				t.Errorf("%s after %d calls, want waiting after %d: %+v", doc.State, calls.Load(), c.calls, doc.Steps[0])
			}
			s, err := r.Runs.Load(t.Context(), "one")
			if err != nil {
				t.Fatal(err)
			}
			if e := s.Escalations[len(s.Escalations)-1]; e.Kind != c.kind {
				t.Errorf("asks %s: %s", e.Kind, e.Fault.Error())
			}
			if len(doc.Stricter) != 1 || strings.Join(doc.Stricter[0].Changes, ", ") != c.changes || doc.Stricter[0].Worker != "w1" {
				t.Errorf("the run shows %+v, want %s of w1", doc.Stricter, c.changes)
			}
			if strings.Contains(c.changes, "verify") != (looks.Load() > 0) {
				t.Errorf("the probe looked %d times", looks.Load())
			}
		})
	}
}

// TestTheSubmittedSchemasHoldToo: a worker whose file says less checks what the run was submitted with.
func TestTheSubmittedSchemasHoldToo(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	r := stale(t, `tools: {charge: {effects: none, rungs: [{http: {method: POST, url: "URL/charge"}, retry: {max_attempts: 1}}]}}`,
		`tools: {charge: {effects: none, output_schema: {type: object, required: [id]}, rungs: [{http: {method: POST, url: "URL/charge"}, retry: {max_attempts: 1}}]}}`,
		func(w http.ResponseWriter, _ *http.Request) {
			calls.Add(1)
			fmt.Fprint(w, `{"n":1}`)
		})
	doc := r.run(t, "one", `{name: p, steps: [{id: s, tool: charge}]}`)
	if s := doc.Steps[0]; s.Class != steps.InvalidOutput || !strings.Contains(s.Message, "submitted") || calls.Load() != 1 {
		t.Errorf("%s: %s, after %d calls", s.Class, s.Message, calls.Load())
	}
	if len(doc.Stricter) != 1 || len(doc.Stricter[0].Changes) != 0 {
		t.Errorf("the worker's file says less, but the run shows %+v", doc.Stricter)
	}
}

// TestTheSameFileTwiceIsHeardOfNever: what every usual run is like costs nothing.
func TestTheSameFileTwiceIsHeardOfNever(t *testing.T) {
	t.Parallel()
	const tools = `tools:
  charge:
    effects: unsafe
    approval: {when: "params.n > 1", deadline: 1.333s, valid_for: 61.234567s}
    input_schema: {type: object, required: [n], properties: {n: {type: number}}}
    verify: {http: {url: "URL/look"}, happened: output.found, timeout: 333ms}
    rungs: [{http: {method: POST, url: "URL/charge"}, retry: {initial: 0.3s}}]
`
	r := stale(t, tools, tools, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"id":1}`) })
	doc := r.run(t, "one", `{name: p, steps: [{id: s, tool: charge, with: {n: 1}}]}`)
	if doc.State != steps.RunSucceeded || len(doc.Steps[0].Attempts) != 1 || len(doc.Stricter) != 0 {
		t.Errorf("%+v", doc)
	}
}
