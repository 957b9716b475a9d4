package gate

import (
	"encoding/json"
	"net/http"
)

// Problem answers with an RFC 9457 document. Code is a word for programs, the same in the API, on the command line and
// in the log; title and detail are for people. A 429 and a 503 may be tried again.
func Problem(w http.ResponseWriter, status int, code, title, detail string) {
	ProblemWith(w, status, code, title, detail, nil)
}

// ProblemWith is [Problem] with a list of all that is wrong, as errors; nil = none.
func ProblemWith(w http.ResponseWriter, status int, code, title, detail string, errors any) {
	retryable := status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable
	doc := map[string]any{
		"type": "https://belay.dev/problems/" + code, "title": title, "status": status, "detail": detail, "code": code, "retryable": retryable,
	}
	if errors != nil {
		doc["errors"] = errors
	}
	body, err := json.Marshal(doc)
	if err != nil {
		body = []byte(`{"title":"Something went wrong here","status":500,"code":"internal"}`)
	}
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	if retryable && h.Get("Retry-After") == "" {
		h.Set("Retry-After", "2")
	}
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n'))
}
