package mcptools

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"belay/internal/people"
)

type actorKey struct{}

// Who is who makes a request to the API in this process.
func Who(r *http.Request) people.Actor {
	who, _ := r.Context().Value(actorKey{}).(people.Actor)
	return who
}

// refusal is what the API says when it does not do what it is asked.
type refusal struct {
	Code   string `json:"code"`
	Title  string `json:"title"`
	Detail string `json:"detail"`
	Errors []struct {
		Path    string `json:"path"`
		Message string `json:"message"`
		Hint    string `json:"hint"`
	} `json:"errors"`
}

func (r *refusal) Error() string {
	text := r.Title + ": " + r.Detail
	if len(r.Errors) < 2 && !strings.Contains(text, "mistakes") {
		return text
	}
	for _, e := range r.Errors {
		text += "\n- " + e.Message
	}
	return text
}

// ask sends a request to the API in the name of who, and returns its answer. What it refuses is a [*refusal].
func (s *Server) ask(ctx context.Context, who people.Actor, method, path string, body any, trace string) (*answer, error) {
	sent, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	if body == nil {
		sent = nil
	}
	r, err := http.NewRequestWithContext(context.WithValue(ctx, actorKey{}, who), method, path, bytes.NewReader(sent))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	if trace != "" {
		r.Header.Set("Traceparent", trace)
	}
	a := &answer{}
	s.API.ServeHTTP(a, r)
	if a.status < http.StatusMultipleChoices {
		return a, nil
	}
	no := &refusal{}
	if err := json.Unmarshal(a.body.Bytes(), no); err != nil {
		return nil, fmt.Errorf("the API answered %d", a.status)
	}
	return nil, no
}

// answer takes what a handler writes.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header implements http.ResponseWriter.
func (a *answer) Header() http.Header {
	if a.header == nil {
		a.header = http.Header{}
	}
	return a.header
}

// WriteHeader implements http.ResponseWriter.
func (a *answer) WriteHeader(status int) { a.status = status }

func (a *answer) Write(b []byte) (int, error) {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	return a.body.Write(b)
}
