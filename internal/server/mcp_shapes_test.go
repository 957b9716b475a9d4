package server

import (
	"testing"

	"belay/internal/access"
	"belay/internal/people"
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
