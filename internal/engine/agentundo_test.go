package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"belay/internal/people"
	"belay/internal/steps"
	"belay/internal/steps/view"
)

// cashier takes payments, voids them, and speaks for a model that pays in two turns and then asks a person.
type cashier struct {
	mu     sync.Mutex
	turns  int
	stands map[string]int // by payment: cents that are not voided
	voids  []string       // in their order
	keys   []string       // of the voids
}

func (b *cashier) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	id, voids := strings.CutSuffix(strings.TrimPrefix(r.URL.Path, "/payments/"), "/void")
	switch {
	case r.URL.Path == "/chat":
		b.turns++
		says := map[int]string{
			1: `{"text":"","calls":[{"id":"x","name":"payments_create","arguments":{"cents":5}}]}`,
			2: `{"text":"","calls":[{"id":"x","name":"payments_create","arguments":{"cents":7}}]}`,
			3: `{"text":"","calls":[{"id":"x","name":"ask_person","arguments":{"question":"One more?"}}]}`,
		}
		fmt.Fprint(w, says[b.turns])
	case voids:
		b.voids, b.keys = append(b.voids, id), append(b.keys, r.Header.Get("Idempotency-Key"))
		delete(b.stands, id)
		fmt.Fprint(w, `{}`)
	default:
		var pays struct{ Cents int }
		if json.NewDecoder(r.Body).Decode(&pays) != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		id := fmt.Sprintf("p%d", pays.Cents)
		b.stands[id] = pays.Cents
		fmt.Fprintf(w, `{"id":%q}`, id)
	}
}

// TestAnAbortedAgentIsUndone: a person ends a run whose agent has paid twice. Each payment is voided, once, the last one first.
func TestAnAbortedAgentIsUndone(t *testing.T) {
	t.Parallel()
	b := &cashier{stands: map[string]int{}}
	srv := httptest.NewServer(b)
	t.Cleanup(srv.Close)
	r := startRig(t, strings.ReplaceAll(`tools:
  models.support: {effects: none, rungs: [{http: {method: POST, url: "URL/chat"}}]}
  payments.create:
    effects: unsafe
    input_schema: {type: object, required: [cents], properties: {cents: {type: integer}}, additionalProperties: false}
    undo: {tool: payments.void, with: {payment: "${ output.id }"}}
    rungs: [{http: {method: POST, url: "URL/payments"}}]
  payments.void:
    effects: unsafe
    input_schema: {type: object, required: [payment], properties: {payment: {type: string}}, additionalProperties: false}
    rungs: [{http: {method: POST, url: "URL/payments/${ params.payment }/void"}}]
`, "URL", srv.URL))
	waits := r.run(t, "r", "name: support\nsteps:\n  - {id: resolve, agent: {model: models.support, prompt: pay, tools: [payments.create, ask_person]}}\n")
	b.mu.Lock()
	stood := len(b.stands)
	b.mu.Unlock()
	if waits.State != steps.RunWaiting || stood != 2 {
		t.Fatalf("the run is %s, and %d payments stand", waits.State, stood)
	}
	if _, err := r.Desk.Act(t.Context(), people.Trusted("mia", "cli"), "r-1", people.Act{Verb: people.Abort, Reason: "enough"}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var doc view.Document
	if err := r.Runs.Follow(ctx, "r", func(s *steps.State, _ steps.Record, _ []int) bool {
		doc = view.Show(s)
		return !s.Status().Ended()
	}); err != nil {
		t.Fatal(err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if doc.State != steps.RunAborted || len(b.stands) != 0 || !slices.Equal(b.voids, []string{"p7", "p5"}) || b.keys[0] == b.keys[1] {
		t.Errorf("the run %s; %v stand, voided %v under %v", doc.State, b.stands, b.voids, b.keys)
	}
}
