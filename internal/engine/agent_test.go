package engine

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"belay/internal/plan"
	"belay/internal/steps"
)

// chat is a service that answers as a rung `model` does, and one that it may have called.
type chat struct {
	*rig
	mu     sync.Mutex
	asked  []steps.Conversation
	paid   []string // idempotency keys
	answer func(turn int) string
}

func startChat(t *testing.T, answer func(turn int) string) *chat {
	t.Helper()
	c := &chat{answer: answer}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.mu.Lock()
		defer c.mu.Unlock()
		if r.URL.Path == "/pay" {
			c.paid = append(c.paid, r.Header.Get("Idempotency-Key"))
			_, _ = io.WriteString(w, `{"paid":true}`)
			return
		}
		var asks steps.Conversation
		if err := json.NewDecoder(r.Body).Decode(&asks); err != nil {
			t.Error(err)
		}
		c.asked = append(c.asked, asks)
		_, _ = io.WriteString(w, c.answer(len(c.asked)))
	}))
	t.Cleanup(srv.Close)
	c.rig = startRig(t, strings.ReplaceAll(`tools:
  models.support: {effects: none, rungs: [{http: {method: POST, url: "URL/chat"}}]}
  payments.refund:
    description: Pays money back.
    effects: unsafe
    input_schema: {type: object, required: [cents], properties: {cents: {type: integer}}, additionalProperties: false}
    rungs: [{http: {method: POST, url: "URL/pay"}}]
`, "URL", srv.URL))
	return c
}

const agentPlan = `
name: support
input: {ticket: ""}
steps:
  - id: resolve
    agent:
      model: models.support
      instructions: You settle tickets.
      prompt: "Ticket: ${ input.ticket }"
      tools: [payments.*]
      output_schema: {type: object, required: [resolution], properties: {resolution: {type: string}}}
output: ${ steps.resolve.output.resolution }
`

func (c *chat) submit(t *testing.T, run string) {
	t.Helper()
	doc, err := plan.ParsePlan("plan.yaml", []byte(agentPlan), c.tools)
	if err != nil {
		t.Fatal(err)
	}
	input, err := doc.CheckInput(map[string]json.RawMessage{"ticket": json.RawMessage(`"broken cup"`)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Runs.Submit(t.Context(), run, steps.Submitted{Document: doc.JSON, Input: input}); err != nil {
		t.Fatal(err)
	}
}

// TestAgent: each turn reads the conversation from the log, the calls are made with their own keys, and what does not fit is
// told to the model.
func TestAgent(t *testing.T) {
	t.Parallel()
	c := startChat(t, func(turn int) string {
		switch turn {
		case 1:
			return `{"text":"I pay.","calls":[{"id":"x","name":"payments_refund","arguments":{"cents":"many"}}]}`
		case 2, 3:
			return fmt.Sprintf(`{"text":"","calls":[{"id":"x","name":"payments_refund","arguments":{"cents":%d}},{"id":"x","name":"payments_refund","arguments":{"cents":5}}]}`, turn)
		case 4:
			return `{"text":"all done"}`
		}
		return `{"text":"","object":{"resolution":"refunded"}}`
	})
	c.submit(t, "r")
	var s *steps.State
	if err := c.Runs.Follow(t.Context(), "r", func(now *steps.State, _ steps.Record, _ []int) bool { s = now; return now.Status() == steps.RunRunning }); err != nil {
		t.Fatal(err)
	}
	if s.Status() != steps.RunSucceeded || string(s.Output) != `"refunded"` {
		t.Fatalf("%s, %s, %s", s.Status(), s.Reason, s.Output)
	}
	want := []string{"user Ticket: broken cup", "assistant I pay. [t1_1]",
		"tool t1_1 invalid_input: the arguments do not fit: cents: ", "assistant  [t2_1 t2_2]", `tool t2_1 {"paid":true}`, `tool t2_2 {"paid":true}`,
		"assistant  [t3_1 t3_2]", `tool t3_1 {"paid":true}`, `tool t3_2 {"paid":true}`, "assistant all done", "user this is not the answer that is asked for: "}
	last := c.asked[len(c.asked)-1]
	for n, m := range last.Messages {
		got := m.Role + " "
		if m.Call != "" {
			got += m.Call + " "
		}
		got += m.Text
		var ids []string
		for _, call := range m.Calls {
			ids = append(ids, call.ID)
		}
		if ids != nil {
			got += fmt.Sprintf(" %v", ids)
		}
		if n >= len(want) || !strings.HasPrefix(got, want[n]) {
			t.Errorf("message %d is %q", n, got)
		}
	}
	if len(last.Messages) != len(want) || last.Instructions != "You settle tickets." || len(last.Tools) != 1 || last.Tools[0].Name != "payments_refund" || last.Tools[0].Description == "" {
		t.Errorf("asked %+v", last)
	}
	if len(c.paid) != 4 {
		t.Errorf("paid %q", c.paid)
	}
	seen := map[string]bool{}
	for _, key := range c.paid {
		seen[key] = true
	}
	if len(seen) != 4 { // 2, 5, 3, and 5 once more
		t.Errorf("keys %q", c.paid)
	}
}
