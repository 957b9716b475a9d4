package engine

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"belay/internal/steps"
)

// TestARepeatedCallIsPaidOnce: a payment that was made, and whose answer is lost, is proposed once more by the model that
// hears of the timeout. The service pays once for a key, and must see one.
func TestARepeatedCallIsPaidOnce(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	paid, calls, turns, asked := map[string]int{}, 0, 0, ""
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		if r.URL.Path == "/chat" {
			turns++
			n := turns
			asked = string(body)
			mu.Unlock()
			if n <= 2 {
				fmt.Fprint(w, `{"text":"","calls":[{"id":"x","name":"payments_refund","arguments":{"cents":5}}]}`)
				return
			}
			fmt.Fprint(w, `{"text":"","object":{"resolution":"refunded"}}`)
			return
		}
		paid[r.Header.Get("Idempotency-Key")]++
		calls++
		lost := calls <= 2
		mu.Unlock()
		if lost {
			<-r.Context().Done()
			return
		}
		fmt.Fprint(w, `{"paid":true}`)
	}))
	t.Cleanup(srv.Close)
	c := &chat{rig: startRig(t, strings.ReplaceAll(`tools:
  models.support: {effects: none, rungs: [{http: {method: POST, url: "URL/chat"}}]}
  payments.refund:
    effects: idempotent
    input_schema: {type: object, required: [cents], properties: {cents: {type: integer}}, additionalProperties: false}
    rungs: [{http: {method: POST, url: "URL/pay"}, timeout: 1s, retry: {max_attempts: 2, initial: 10ms}}]
`, "URL", srv.URL))}
	c.submit(t, "r")
	var s *steps.State
	if err := c.Runs.Follow(t.Context(), "r", func(now *steps.State, _ steps.Record, _ []int) bool { s = now; return now.Status() == steps.RunRunning }); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if s.Status() != steps.RunSucceeded || len(paid) != 1 || calls < 3 { // on a slow machine more answers are late
		t.Errorf("the run %s, with payments %v", s.Status(), paid)
	}
	if !strings.Contains(asked, "It may have happened all the same") {
		t.Errorf("the model does not hear that it may have happened: %s", asked)
	}
}
