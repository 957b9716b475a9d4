package server

import (
	"net/http"
	"testing"

	"belay/internal/access"
	"belay/internal/people"
	"belay/internal/server/mcptools"
)

// TestNoRequestEndsTheServer: whatever a client asks in whatever shape, with the token of a viewer, it is answered, and the
// server goes on.
func TestNoRequestEndsTheServer(t *testing.T) {
	t.Parallel()
	a := openAgency(t, 0)
	token := a.token(access.Token{Name: "vi", Role: people.Viewer})
	session := a.client(a.url, token, "2025-11-25", nil)
	for _, method := range []string{
		"tasks/get", "tasks/cancel", "tasks/update", "tasks/list", "tools/call", "tools/list", "initialize", "ping", "server/discover", "completion/complete",
		"prompts/get", "prompts/list", "resources/read", "resources/list", "resources/subscribe", "logging/setLevel", "subscriptions/listen",
		"notifications/cancelled", "notifications/progress", "notifications/initialized", "notifications/roots/list_changed", "sampling/createMessage", "nothing",
	} {
		for _, params := range []string{"", `,"params":null`, `,"params":{}`, `,"params":[]`, `,"params":[null]`, `,"params":5`, `,"params":"x"`, `,"params":{"_meta":null,"taskId":null,"name":null}`, `,"params":{"taskId":5}`} {
			for _, id := range []string{`,"id":9`, ""} {
				a.post(token, session.ID(), []byte(`{"jsonrpc":"2.0","method":"`+method+`"`+params+id+`}`)) // fails the test where nobody answers
			}
		}
	}
	if err := session.Ping(t.Context(), nil); err != nil {
		t.Error(err)
	}
}

// TestSessionsAreBounded: those with one token, and only those; one that is ended makes room.
func TestSessionsAreBounded(t *testing.T) {
	t.Parallel()
	a := openAgency(t, 0)
	greedy, other := a.token(access.Token{Name: "vi", Role: people.Viewer}), a.token(access.Token{Name: "wo", Role: people.Viewer})
	opens := func(token string) *http.Response {
		return a.post(token, "", []byte(`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"x","version":"1"}}}`))
	}
	var last string
	for n := range mcptools.MostSessionsOf {
		res := opens(greedy)
		if last = res.Header.Get("Mcp-Session-Id"); res.StatusCode != http.StatusOK || last == "" {
			t.Fatalf("session %d: %s", n+1, res.Status)
		}
	}
	if res := opens(greedy); res.StatusCode != http.StatusTooManyRequests || res.Header.Get("Retry-After") == "" {
		t.Errorf("one too many: %s", res.Status)
	}
	if res := opens(other); res.StatusCode != http.StatusOK {
		t.Errorf("of somebody else: %s", res.Status)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, a.url+"/mcp", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Mcp-Session-Id", last)
	res, err := (&http.Client{Transport: bearer(greedy)}).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res := opens(greedy); res.StatusCode != http.StatusOK {
		t.Errorf("after one was ended: %s", res.Status)
	}
}
