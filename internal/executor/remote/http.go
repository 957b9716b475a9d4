package remote

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"belay/internal/exactjson"
	"belay/internal/executor"
	"belay/internal/steps"
)

const (
	bodyBytes   = 64 << 10 // of all but an output
	longestPoll = time.Minute
	usualPoll   = 30 * time.Second
	mostTools   = 200 // in one poll
)

// Handler serves the work protocol. It trusts every request: see [Guard].
func (h *Hub) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /work/poll", answered(h.servePoll))
	mux.HandleFunc("POST /work/{lease}/beat", answered(h.withLease(serveBeat)))
	mux.HandleFunc("POST /work/{lease}/succeed", answered(h.withLease(serveSucceed)))
	mux.HandleFunc("POST /work/{lease}/fail", answered(h.withLease(serveFail)))
	mux.HandleFunc("/", answered(func(_ http.ResponseWriter, r *http.Request) error {
		return &problem{status: http.StatusNotFound, code: "not_found", title: "There is no such page",
			detail: "there is nothing at " + r.Method + " " + r.URL.Path + "; POST /work/poll asks for work"}
	}))
	return mux
}

// answered answers with the problem that a handler returns.
func answered(serve func(http.ResponseWriter, *http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		err := serve(w, r)
		if err == nil || r.Context().Err() != nil {
			return
		}
		p, ok := errors.AsType[*problem](err)
		if !ok {
			p = &problem{status: http.StatusInternalServerError, code: "internal", title: "Something went wrong here", detail: err.Error()}
		}
		p.write(w)
	}
}

// pollRequest is the body of a poll.
type pollRequest struct {
	Tools  []string `json:"tools"`
	Worker string   `json:"worker"`
	Wait   *wait    `json:"wait"`
}

func (h *Hub) servePoll(w http.ResponseWriter, r *http.Request) error {
	var said pollRequest
	if err := read(w, r, &said); err != nil {
		return err
	}
	patience, err := said.check()
	if err != nil {
		return err
	}
	if !h.whole(r.Context(), patience) { // programs often start before their worker
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	rungs, unknown := h.find(said.Tools)
	if unknown != "" {
		return h.unknownTool(unknown)
	}
	l, err := h.poll(r.Context(), rungs, said.Worker, patience)
	switch {
	case errors.Is(err, errDraining):
		return &problem{status: http.StatusServiceUnavailable, code: "draining", title: "This worker is stopping", detail: err.Error()}
	case errors.Is(err, errFull):
		return &problem{status: http.StatusTooManyRequests, code: "too_many_polls", title: "Too many polls wait", detail: err.Error()}
	case err != nil:
		return err
	case l == nil:
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	c, ok := l.call()
	if !ok {
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	return writeJSON(w, c)
}

func (said pollRequest) check() (time.Duration, error) {
	switch {
	case len(said.Tools) == 0:
		return 0, unprocessable("tools is missing: name what the program executes, as tool or tool/rung")
	case len(said.Tools) > mostTools:
		return 0, unprocessable(fmt.Sprintf("tools has %d names; at most %d are allowed", len(said.Tools), mostTools))
	case len(said.Worker) > 100 || strings.ContainsFunc(said.Worker, func(r rune) bool { return !unicode.IsPrint(r) }):
		return 0, unprocessable("worker must be a name of at most 100 printable characters")
	case said.Wait == nil:
		return usualPoll, nil
	case time.Duration(*said.Wait) > longestPoll:
		return 0, unprocessable(fmt.Sprintf("wait must be at most %s; poll again after that", longestPoll))
	}
	return time.Duration(*said.Wait), nil
}

func (h *Hub) unknownTool(name string) error {
	p := &problem{status: http.StatusNotFound, code: "unknown_tool", title: "This worker has no such remote tool", serves: h.Serves()}
	p.detail = fmt.Sprintf("%.200q is not a remote tool, or rung of one, of this worker's tools file; it has %s", name, orNone(p.serves))
	return p
}

func orNone(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// call is the answer to a poll: an attempt to execute.
type call struct {
	Lease   string          `json:"lease"`
	Run     string          `json:"run"`
	Step    string          `json:"step"`
	Attempt string          `json:"attempt"`
	Tool    string          `json:"tool"`
	Rung    string          `json:"rung"`
	Params  json.RawMessage `json:"params"`
	Key     string          `json:"key"`
	// Grant are the headers that show people's approval to whatever acts; absent where nobody was asked.
	Grant     map[string]string `json:"grant,omitempty"`
	Try       int               `json:"try"`
	Timeout   *steps.Duration   `json:"timeout"`  // seconds from now; null without one
	Deadline  *time.Time        `json:"deadline"` // the same as a time
	BeatEvery steps.Duration    `json:"beat_every"`
}

// call returns what the program gets; false if the attempt has ended already.
func (l *lease) call() (call, bool) {
	l.hub.mu.Lock()
	defer l.hub.mu.Unlock()
	c := call{
		Lease: l.secret, Run: l.req.Run, Step: l.req.Step, Attempt: l.req.Attempt, Tool: l.req.Tool, Rung: l.req.Rung, Params: l.req.Params,
		Key: l.req.Key, Grant: l.req.Granted(false), Try: l.req.Try, BeatEvery: steps.Duration(l.rung.beat),
	}
	if !l.deadline.IsZero() {
		left := steps.Duration(max(0, time.Until(l.deadline)).Round(time.Millisecond))
		end := l.deadline.UTC().Truncate(time.Millisecond)
		c.Timeout, c.Deadline = &left, &end
	}
	return c, l.ended.IsZero()
}

// withLease finds the lease of a request.
func (h *Hub) withLease(serve func(*lease, http.ResponseWriter, *http.Request) error) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		l := h.byLease(r.PathValue("lease"))
		if l == nil {
			return ended("no attempt of this worker has this lease; it ended long ago, or another worker gave it out")
		}
		return serve(l, w, r)
	}
}

func serveBeat(l *lease, w http.ResponseWriter, r *http.Request) error {
	var said struct {
		Progress string `json:"progress"`
	}
	if err := read(w, r, &said); err != nil {
		return err
	}
	stop, err := l.beat(said.Progress)
	if err != nil {
		return err
	}
	return writeJSON(w, struct {
		Stop   bool   `json:"stop"`
		Reason string `json:"reason,omitempty"`
	}{stop != "", stop})
}

func serveSucceed(l *lease, w http.ResponseWriter, r *http.Request) error {
	body, tooLarge, err := readBody(w, r, executor.Limit(l.rung.spec.MaxBytes)+envelope)
	if err != nil {
		return err
	}
	return done(w, l.finish(r.Context(), l.succeeded(body, tooLarge)))
}

func serveFail(l *lease, w http.ResponseWriter, r *http.Request) error {
	body, err := readAll(w, r)
	if err != nil {
		return err
	}
	said, err := l.failed(body)
	if err != nil {
		return err
	}
	return done(w, l.finish(r.Context(), said))
}

func done(w http.ResponseWriter, err error) error {
	if err == nil {
		w.WriteHeader(http.StatusNoContent)
	}
	return err
}

// read reads a small body strictly. No body means an empty object.
func read(w http.ResponseWriter, r *http.Request, into any) error {
	body, err := readAll(w, r)
	if err != nil {
		return err
	}
	if len(bytes.TrimSpace(body)) == 0 {
		return nil
	}
	if err := strict(body, into); err != nil {
		return invalid(err.Error())
	}
	return nil
}

func readAll(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	body, tooLarge, err := readBody(w, r, bodyBytes)
	if tooLarge {
		return nil, &problem{status: http.StatusRequestEntityTooLarge, code: "too_large", title: "The request is too large",
			detail: fmt.Sprintf("it may have %d bytes", bodyBytes)}
	}
	return body, err
}

// readBody reads a body of at most so many bytes. An incomplete one is an error, and has no effect.
func readBody(w http.ResponseWriter, r *http.Request, most int) (body []byte, tooLarge bool, err error) {
	connection := http.NewResponseController(w)
	_ = connection.SetReadDeadline(time.Now().Add(bodyTime)) // fails in tests, which have no connection
	defer func() { _ = connection.SetReadDeadline(time.Time{}) }()
	body, err = io.ReadAll(http.MaxBytesReader(w, r.Body, int64(most)))
	if _, is := errors.AsType[*http.MaxBytesError](err); is {
		return body, true, nil
	}
	if err != nil {
		return nil, false, invalid("the request arrived incomplete: " + err.Error())
	}
	return body, false, nil
}

// strict decodes one JSON object without unknown fields.
func strict(body []byte, into any) error {
	if !utf8.Valid(body) {
		return errors.New("the body is not valid UTF-8")
	}
	if err := exactjson.Strict(body, into); err != nil {
		return fmt.Errorf("the body cannot be read: %s", strings.TrimPrefix(err.Error(), "json: "))
	}
	return nil
}

func writeJSON(w http.ResponseWriter, v any) error {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// problem is an RFC 9457 answer, in the form of the HTTP API's. Code is a word for programs.
type problem struct {
	status              int
	code, title, detail string
	serves              []string // what the worker serves, if something else was asked for
}

func (p *problem) Error() string { return p.title + ": " + p.detail }

func invalid(detail string) *problem {
	return &problem{status: http.StatusBadRequest, code: "invalid_request", title: "The request cannot be read", detail: detail}
}

func unprocessable(detail string) *problem {
	return &problem{status: http.StatusUnprocessableEntity, code: "invalid_request", title: "The request is not valid", detail: detail}
}

// retryable are the answers after which the same request may be sent again.
var retryable = []int{http.StatusTooManyRequests, http.StatusServiceUnavailable}

func (p *problem) write(w http.ResponseWriter) {
	mayRepeat := slices.Contains(retryable, p.status)
	doc := map[string]any{
		"type": "https://belay.dev/problems/" + p.code, "title": p.title, "status": p.status, "detail": p.detail, "code": p.code, "retryable": mayRepeat,
	}
	if p.serves != nil {
		doc["serves"] = p.serves
	}
	body, err := json.Marshal(doc)
	if err != nil {
		body = []byte(`{"title":"Something went wrong here","status":500,"code":"internal"}`)
	}
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	if mayRepeat {
		h.Set("Retry-After", "1")
	}
	w.WriteHeader(p.status)
	_, _ = w.Write(append(body, '\n'))
}
