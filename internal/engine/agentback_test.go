package engine

import (
	"context"
	"fmt"
	"io"
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

// recanting is a model that pays twice, is asked a third time and does not answer, and then, once its turns are taken back, pays
// the same twice and asks a person; and the service that it pays at.
type recanting struct {
	mu     sync.Mutex
	turns  int
	asked  string   // what it was asked the last time
	paid   []string // keys of the payments
	voided []string // payments
	silent chan struct{}
}

func (m *recanting) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	m.mu.Lock()
	id, voids := strings.CutSuffix(strings.TrimPrefix(r.URL.Path, "/payments/"), "/void")
	answer := `{}`
	switch {
	case r.URL.Path == "/chat":
		m.turns, m.asked = m.turns+1, string(body)
		answer = map[int]string{
			1: `{"text":"","calls":[{"id":"x","name":"payments_create","arguments":{"cents":5}}]}`,
			2: `{"text":"","calls":[{"id":"x","name":"payments_create","arguments":{"cents":7}}]}`,
			4: `{"text":"","calls":[{"id":"x","name":"payments_create","arguments":{"cents":7}},{"id":"y","name":"payments_create","arguments":{"cents":5}}]}`,
			5: `{"text":"","calls":[{"id":"x","name":"ask_person","arguments":{"question":"One more?"}}]}`,
		}[m.turns]
	case voids:
		m.voided = append(m.voided, id)
	default:
		m.paid = append(m.paid, r.Header.Get("Idempotency-Key"))
		answer = fmt.Sprintf(`{"id":"p%d"}`, len(m.paid))
	}
	m.mu.Unlock()
	if answer == "" {
		close(m.silent)
		<-r.Context().Done()
		return
	}
	fmt.Fprint(w, answer)
}

// TestWhatIsTakenBackIsNotPaidAgain: turns in which an agent has paid are taken back while its model is being asked. The model
// is asked anew and proposes the same payments: it gets what they gave, and nothing is paid twice. An abort voids each once.
func TestWhatIsTakenBackIsNotPaidAgain(t *testing.T) {
	t.Parallel()
	m := &recanting{silent: make(chan struct{})}
	srv := httptest.NewServer(m)
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
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	r.submit(t, "r", "name: support\nsteps:\n  - {id: resolve, agent: {model: models.support, prompt: pay, tools: [payments.create, ask_person]}}\n")
	select {
	case <-m.silent:
	case <-ctx.Done():
		t.Fatal("the model is not asked a third time")
	}
	w, err := r.Runs.Steer(ctx, "r", steps.Steered{Step: "resolve", TakeBack: 1, Text: "Another customer.", By: "mia", Via: "cli"})
	if err != nil || w.Text != "turns 1 to 3 of resolve are taken back; stays done: payments.create (t1.1), payments.create (t2.1); its model is asked again once all of it is over" {
		t.Fatalf("%s, %v", w.Text, err)
	}
	follow := func(until steps.RunState) (doc view.Document) {
		if err := r.Runs.Follow(ctx, "r", func(s *steps.State, _ steps.Record, _ []int) bool {
			doc = view.Show(s)
			return !s.Status().Ended() && s.Status() != until
		}); err != nil {
			t.Fatal(err)
		}
		return doc
	}
	waits := follow(steps.RunWaiting)
	m.mu.Lock()
	if !strings.Contains(m.asked, "Another customer.") || !strings.Contains(m.asked, "made_before") || len(m.paid) != 2 {
		t.Errorf("paid %v; the model was asked %s", m.paid, m.asked)
	}
	m.mu.Unlock()
	turns := waits.Agents[0].Turns
	if len(turns) != 5 || turns[3].Calls[0].ResultOf != "resolve~t2.1" || turns[3].Calls[1].ResultOf != "resolve~t1.1" {
		t.Fatalf("%+v", turns)
	}
	if _, err := r.Desk.Act(ctx, people.Trusted("mia", "cli"), waits.Escalations[0], people.Act{Verb: people.Abort, Reason: "enough"}); err != nil {
		t.Fatal(err)
	}
	ended := follow("")
	m.mu.Lock()
	defer m.mu.Unlock()
	if ended.State != steps.RunAborted || len(m.paid) != 2 || !slices.Equal(m.voided, []string{"p2", "p1"}) {
		t.Errorf("the run %s; paid %v, voided %v", ended.State, m.paid, m.voided)
	}
}
