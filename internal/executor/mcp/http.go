package mcpexec

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/http/httptrace"
	"slices"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"belay/internal/executor"
	"belay/internal/outbound"
	"belay/internal/steps"
)

const (
	refusalBytes  = 64 << 10 // how much of the body of a refusal is read
	resumes       = 3        // how often a stream that has numbered its events is taken up again without getting on
	sessionHeader = "Mcp-Session-Id"
)

// replays are headers that net/http takes as permission to send a request again, if they are in their usual spelling. Only
// the core may decide to repeat a call.
var replays = []string{"Idempotency-Key", "X-Idempotency-Key"}

// web is the HTTP side of one session. It stands below the library: it adds headers and credentials, sends each request
// once, and reads the answers to calls, so that a bad one is the fault of its call and not the end of the session.
type web struct {
	spec      executor.MCPServer
	userAgent string
	inner     *http.Transport
	opening   *exchange // of the requests with which the session is opened
	life      context.Context
	close     context.CancelFunc // ends all requests
}

func newWeb(spec executor.MCPServer, version string, policy outbound.Policy, opening *exchange) *web {
	w := &web{spec: spec, userAgent: "belay/" + version, opening: opening, inner: executor.NewTransport(policy, outbound.Written)}
	life, die := context.WithCancel(context.Background())
	w.life, w.close = life, func() {
		die()
		w.inner.CloseIdleConnections()
	}
	return w
}

func (w *web) transport() mcp.Transport {
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &mcp.StreamableClientTransport{
		Endpoint: w.spec.URL, HTTPClient: &http.Client{Transport: w, CheckRedirect: stay}, MaxEventSize: maxMessage,
		MaxRetries: 2 * resumes, // it would end the session; see resumed
		// The stream that belongs to no call would end it, too, whenever it cannot be kept. What a server asks or reports of a
		// call comes in answer to that call.
		DisableStandaloneSSE: true,
	}
}

// RoundTrip implements [http.RoundTripper].
func (w *web) RoundTrip(r *http.Request) (*http.Response, error) {
	m := messageOf(r)
	defer noteCancel(r.Context(), m)
	ctx, cancel := context.WithCancel(r.Context())
	stop := context.AfterFunc(w.life, cancel)
	done := func() {
		stop()
		cancel()
	}
	resp, err := w.send(r.WithContext(ctx), m)
	if err != nil {
		done()
		return nil, err
	}
	resp.Body = &closing{resp.Body, done}
	return resp, nil
}

// closing is a body with something to do when it is closed.
type closing struct {
	io.ReadCloser
	done func()
}

func (c *closing) Close() error {
	defer c.done()
	return c.ReadCloser.Close()
}

// messageOf is the message in the body of a request; nil for none.
func messageOf(r *http.Request) jsonrpc.Message {
	if r.Method != http.MethodPost || r.GetBody == nil {
		return nil
	}
	body, err := r.GetBody()
	if err != nil {
		return nil
	}
	b, err := io.ReadAll(body)
	if err != nil {
		return nil
	}
	m, err := jsonrpc.DecodeMessage(b)
	if err != nil {
		return nil
	}
	return m
}

// send sends a request. What comes of one with a call in it is for its exchange.
func (w *web) send(r *http.Request, m jsonrpc.Message) (*http.Response, error) {
	e := exchangeOf(r.Context(), m)
	if err := w.header(r); err != nil {
		return nil, failing(e, err)
	}
	if e != nil {
		nameTask(r, m.(*jsonrpc.Request))
		r = connecting(r, func() { e.send(m.(*jsonrpc.Request)) })
	}
	resp, err := w.inner.RoundTrip(r)
	switch {
	case r.Method == http.MethodGet:
		return resumed(r, resp, err)
	case e == nil && m != nil:
		return resp, w.noteOpening(r.Context(), resp, err)
	case e == nil:
		return resp, err
	case err != nil:
		e.failed(executor.Unanswered(r.Context(), err, e.acted()))
		return nil, err
	}
	return answered(e, m.(*jsonrpc.Request), resp), nil
}

// header adds what every request has. A rung cannot change what the protocol says.
func (w *web) header(r *http.Request) error {
	for name, value := range w.spec.Headers {
		switch {
		case slices.Contains(replays, http.CanonicalHeaderKey(name)):
			r.Header[strings.ToLower(name)] = []string{value}
		case r.Header.Get(name) == "":
			r.Header.Set(name, value)
		}
	}
	r.Header.Set("User-Agent", w.userAgent)
	r.Header.Set(executor.ToolCall, "1")
	var s executor.Secrets // those of a call are known to it
	return executor.Authorize(r.Header, w.spec.BearerEnv, w.spec.BasicEnv, &s)
}

func failing(e *exchange, err error) error {
	if f, ok := errors.AsType[steps.Fault](err); ok && e != nil {
		e.failed(f)
	}
	return err
}

// connecting calls f when there is a connection for the request.
func connecting(r *http.Request, f func()) *http.Request {
	trace := &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { f() }}
	return r.WithContext(httptrace.WithClientTrace(r.Context(), trace))
}

// noteOpening keeps why the last request failed with which a session is opened. An earlier one may have failed because
// the server is older than this protocol.
func (w *web) noteOpening(ctx context.Context, resp *http.Response, err error) error {
	if ctx.Value(exchangeKey{}) != w.opening {
		return err
	}
	w.opening.mu.Lock()
	defer w.opening.mu.Unlock()
	w.opening.fault = nil
	if err == nil && (resp.StatusCode < 200 || resp.StatusCode > 299) {
		body := refusal(resp)
		resp.Body = io.NopCloser(bytes.NewReader(body))
		f := statusFault(resp, body)
		w.opening.fault = &f
	}
	if r, refused := errors.AsType[*outbound.Refusal](err); refused {
		f := executor.Denied(r, steps.ActedNo)
		w.opening.fault = &f
	}
	return err
}

// refusal reads the body of a refusal. If it cannot be read, the status says enough.
func refusal(resp *http.Response) []byte {
	defer resp.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(resp.Body, refusalBytes))
	return body
}

// statusFault is the fault of an answer whose status is not 2xx.
func statusFault(resp *http.Response, body []byte) steps.Fault {
	class, acted := executor.OfStatus(resp.StatusCode)
	f := steps.Fault{Class: class, Acted: acted, Status: resp.StatusCode, Message: strings.TrimSpace(resp.Status), Detail: executor.Head(body, detailBytes)}
	if resp.StatusCode >= 300 && resp.StatusCode < 400 {
		f.Message += ", which is not followed"
	}
	if class.Reaction() == steps.Retry {
		f.RetryAfter = steps.Duration(executor.NamedWait(resp.Header.Get))
	}
	return f
}

// answered reads the answer to a call for its exchange, and gives the library one that it understands in any case.
func answered(e *exchange, call *jsonrpc.Request, resp *http.Response) *http.Response {
	if isStream(resp) {
		resp.Body = newStream(e, resp.Body)
		return resp
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		body := refusal(resp)
		if !refusedByProtocol(e, body) {
			e.refusedByStatus(resp, body)
		}
		return instead(resp, call.ID)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxMessage+1))
	_ = resp.Body.Close()
	switch {
	case err != nil:
		e.failed(steps.Fault{Class: steps.Connection, Acted: steps.ActedMaybe, Message: "the connection was closed before the whole answer arrived"})
	case len(body) > maxMessage:
		e.failed(executor.TooLarge(executor.Head(body, detailBytes), maxMessage))
	default:
		if b, ok := e.read(body); ok {
			return withBody(resp, b)
		}
	}
	return instead(resp, call.ID)
}

// read takes a message that must be the answer, and gives the one for the library.
func (e *exchange) read(body []byte) ([]byte, bool) {
	m, err := decode(body)
	if f, bad := errors.AsType[steps.Fault](err); bad {
		e.failed(f)
		return nil, false
	}
	r, is := m.(*jsonrpc.Response)
	if !is || r.ID != e.id {
		e.failed(executor.Unusable("the answer is another message than the answer to the call", executor.Head(body, detailBytes)))
		return nil, false
	}
	b, err := jsonrpc.EncodeMessage(e.answer(r))
	return b, err == nil
}

// refusedByProtocol reports whether the body of a refusal is an error of the protocol, which says more than the status.
func refusedByProtocol(e *exchange, body []byte) bool {
	m, err := jsonrpc.DecodeMessage(body)
	r, is := m.(*jsonrpc.Response)
	if err != nil || !is || r.Error == nil || r.ID != e.id {
		return false
	}
	_ = e.answer(r)
	return true
}

// refusedByStatus notes a refused call. A server that does not know the session any more has done nothing, and the next call
// needs another session.
func (e *exchange) refusedByStatus(resp *http.Response, body []byte) {
	f := statusFault(resp, body)
	if resp.StatusCode != http.StatusNotFound || resp.Request.Header.Get(sessionHeader) == "" {
		e.failed(f)
		return
	}
	f.Class, f.Message = steps.Connection, "the server does not know the session any more ("+f.Message+"); the next call opens another one"
	e.lose(f)
}

// instead is an answer for the library in the place of one that its exchange has noted: the call is over, the session is
// not.
func instead(resp *http.Response, id jsonrpc.ID) *http.Response {
	return withBody(resp, encodeError(id))
}

func encodeError(id jsonrpc.ID) []byte {
	b, err := jsonrpc.EncodeMessage(&jsonrpc.Response{ID: id, Error: &jsonrpc.Error{Code: jsonrpc.CodeInternalError, Message: "noted by the transport"}})
	if err != nil {
		panic("mcpexec: an error cannot fail to encode: " + err.Error())
	}
	return b
}

func withBody(resp *http.Response, body []byte) *http.Response {
	resp.StatusCode, resp.Status = http.StatusOK, "200 OK"
	resp.Header = http.Header{"Content-Type": {"application/json"}}
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	return resp
}

// resumed is the stream of a call that is taken up again. Where that fails the call is over, and the session is not.
func resumed(r *http.Request, resp *http.Response, err error) (*http.Response, error) {
	e, _ := r.Context().Value(exchangeKey{}).(*exchange)
	if e == nil {
		return resp, err
	}
	more := e.resume()
	switch {
	case err != nil && (more || r.Context().Err() != nil):
		return nil, err
	case err != nil:
		resp = &http.Response{Request: r, Body: http.NoBody, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}
		e.failed(executor.Unanswered(r.Context(), err, steps.ActedMaybe))
	case !isStream(resp):
		_ = resp.Body.Close()
		e.failed(steps.Fault{Class: steps.Connection, Acted: steps.ActedMaybe, Status: resp.StatusCode, Message: "the connection was closed before the answer arrived, and the server does not go on with it: " + resp.Status})
	default:
		resp.Body = newStream(e, resp.Body)
		return resp, nil
	}
	resp.StatusCode, resp.Status, resp.Header = http.StatusOK, "200 OK", http.Header{"Content-Type": {eventStream}}
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(errorEvent(e.id))), -1
	return resp, nil
}

const eventStream = "text/event-stream"

func isStream(resp *http.Response) bool {
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	return resp.StatusCode >= 200 && resp.StatusCode < 300 && kind == eventStream
}

// resume counts how often a stream is taken up again without getting on, and reports whether it may be once more.
func (e *exchange) resume() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.resumed++
	return e.resumed < resumes
}

// compact is a message as one line.
func compact(b []byte) []byte {
	var out bytes.Buffer
	if json.Compact(&out, b) != nil {
		return b
	}
	return out.Bytes()
}
