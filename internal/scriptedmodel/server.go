// Package scriptedmodel is a model that says what a script tells it to, for tests and examples: no key, no network, no
// chance. It speaks both protocols, chat completions and messages, streaming and not, misbehaves where the script says
// so, and counts what it was asked, so that a test can compare the books.
//
// server.go picks the answer to a call, script.go reads scripts, ask.go reads requests, say.go writes answers in both
// protocols, misbehave.go does everything else.
package scriptedmodel

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
)

// Books are what a server has counted.
type Books struct {
	Calls  int   `json:"calls"`  // requests, the refused ones included
	Input  int64 `json:"input"`  // tokens that answers say were read, the cached ones included
	Output int64 `json:"output"` // tokens that answers say were written
	Cached int64 `json:"cached"` // tokens of Input that answers say were kept from an earlier call
}

// Server is a scripted model. It is safe for concurrent use.
type Server struct {
	mu       sync.Mutex
	script   Script
	used     []int // how often each answer was given
	books    Books
	requests []json.RawMessage
}

// maxRequest is how much of a request is read.
const maxRequest = 16 << 20

// New makes a server that follows a script.
func New(script Script) *Server {
	return &Server{script: script, used: make([]int, len(script.Answers))}
}

// Books are what the server has counted so far.
func (s *Server) Books() Books {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.books
}

// Requests are the bodies of all calls so far, the first one first.
func (s *Server) Requests() []json.RawMessage {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]json.RawMessage(nil), s.requests...)
}

// ServeHTTP answers a call by its path: one that ends with /chat/completions or with /messages. GET /books gives the
// [Books].
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var say protocol
	switch {
	case r.Method == http.MethodGet && r.URL.Path == "/books":
		writeJSON(w, http.StatusOK, s.Books())
		return
	case r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/chat/completions"):
		say = chat{}
	case r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/messages"):
		say = messages{}
	default:
		http.Error(w, "a scripted model answers POST /v1/chat/completions, POST /v1/messages and GET /books", http.StatusNotFound)
		return
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxRequest))
	if err != nil {
		return // the caller has gone
	}
	ask, err := readAsk(body)
	if err != nil {
		say.refuse(w, http.StatusBadRequest, "invalid_request_error", "", "the request cannot be read: "+err.Error())
		return
	}
	answer, found := s.pick(ask, body)
	if !found {
		say.refuse(w, http.StatusBadRequest, "invalid_request_error", "", "the script has no answer to this call")
		return
	}
	s.answer(w, r, say, ask, answer)
}

// pick counts a call and finds its answer: the first one in the script that fits and is not used up.
func (s *Server) pick(ask ask, body []byte) (Answer, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.books.Calls++
	s.requests = append(s.requests, body)
	for i, a := range s.script.Answers {
		if a.Call != 0 && a.Call != s.books.Calls || a.Times != 0 && s.used[i] >= a.Times || !strings.Contains(ask.last, a.Last) {
			continue
		}
		s.used[i]++
		return a.counted(body, s.books.Calls), true
	}
	return Answer{}, false
}

// count adds what an answer says it took.
func (s *Server) count(a Answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.books.Input, s.books.Output, s.books.Cached = s.books.Input+a.Input, s.books.Output+a.Output, s.books.Cached+a.Cached
}

func (s *Server) answer(w http.ResponseWriter, r *http.Request, say protocol, ask ask, a Answer) {
	switch a.Fault {
	case Cut, Broken:
		s.count(say.reported(a))
	case "", Refusal, Truncated:
		s.count(a)
	}
	if misbehaves(w, r, say, ask, a) {
		return
	}
	if ask.Stream {
		say.stream(newEvents(w), ask, a, false)
		return
	}
	writeJSON(w, http.StatusOK, say.whole(ask, a))
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(v) // if the caller has gone nobody misses it
}
