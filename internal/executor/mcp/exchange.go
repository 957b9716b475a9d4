package mcpexec

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"sync"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"

	"belay/internal/executor"
	"belay/internal/steps"
)

// exchange is one request to a server and what came of it. It travels in the request's context down to the transport,
// which has the answer as it was sent: with exact numbers, and before anything has tried to understand it.
type exchange struct {
	mu       sync.Mutex
	id       jsonrpc.ID
	method   string
	sent     bool            // the request, or a part of it, may have reached the server
	lost     bool            // the session is of no use for other calls
	resumed  int             // how often its stream was taken up again without getting on
	result   json.RawMessage // nil: there is none
	refuse   *jsonrpc.Error  // what the server answered instead of a result
	fault    *steps.Fault    // what the transport found, the first of it; nil: nothing
	notified chan struct{}   // closed when the server has been told that nobody waits any more
	once     sync.Once       // of notified
}

func newExchange() *exchange { return &exchange{notified: make(chan struct{})} }

type exchangeKey struct{}

func (e *exchange) in(ctx context.Context) context.Context {
	return context.WithValue(ctx, exchangeKey{}, e)
}

// exchangeOf is the exchange that a message belongs to; nil for messages that are part of none, such as the notification
// that a request is cancelled.
func exchangeOf(ctx context.Context, m jsonrpc.Message) *exchange {
	r, ok := m.(*jsonrpc.Request)
	if !ok || !r.IsCall() || !slices.Contains(exchanged, r.Method) {
		return nil
	}
	e, _ := ctx.Value(exchangeKey{}).(*exchange)
	return e
}

const (
	methodCall   = "tools/call"
	methodList   = "tools/list"
	methodCancel = "notifications/cancelled"

	methodTask       = "tasks/get"
	methodTaskUpdate = "tasks/update"
	methodTaskCancel = "tasks/cancel"
)

// exchanged are the requests whose answers are read as they were sent.
var exchanged = []string{methodCall, methodList, methodTask, methodTaskUpdate, methodTaskCancel}

// noteCancel notes that a message is on its way which cancels a request. It is sent beside the call that ends, and a session
// must not end before it.
func noteCancel(ctx context.Context, m jsonrpc.Message) {
	r, ok := m.(*jsonrpc.Request)
	if e, has := ctx.Value(exchangeKey{}).(*exchange); ok && has && r.Method == methodCancel {
		e.once.Do(func() { close(e.notified) })
	}
}

// acted is what is known of a request that has no answer.
func (e *exchange) acted() steps.Acted {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.sent {
		return steps.ActedMaybe
	}
	return steps.ActedNo
}

// send notes that the request is on its way: from now on it may reach the server.
func (e *exchange) send(r *jsonrpc.Request) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.id, e.method, e.sent = r.ID, r.Method, true
}

// failed notes what the transport found. Only the first thing counts.
func (e *exchange) failed(f steps.Fault) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.fault == nil && e.result == nil && e.refuse == nil {
		e.fault = &f
	}
}

// lose notes what the transport found, after which the session is of no use for other calls either.
func (e *exchange) lose(f steps.Fault) {
	e.failed(f)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.lost = true
}

func (e *exchange) sessionLost() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.lost
}

// answer notes the answer, and gives the one that the library is to have in its place. It understands the tools of a
// list, for their headers, but not what a tool says.
func (e *exchange) answer(r *jsonrpc.Response) *jsonrpc.Response {
	e.mu.Lock()
	defer e.mu.Unlock()
	if r.Error != nil {
		e.refuse = refusalOf(r.Error)
		return r
	}
	e.result = slices.Clone(r.Result)
	if e.method == methodList {
		return r
	}
	return &jsonrpc.Response{ID: r.ID, Result: json.RawMessage(`{"content":[],"resultType":"complete"}`)}
}

// outcome is the answer, or the fault of a request that has none; ok is false if nothing is known of it here.
func (e *exchange) outcome() (result json.RawMessage, err error, ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.result != nil:
		return e.result, nil, true
	case e.fault != nil:
		return nil, *e.fault, true
	case e.refuse != nil:
		return nil, refused(e.refuse), true
	}
	return nil, nil, false
}

// decode reads a message of the server. Its error is the fault of an answer that cannot be used.
func decode(b []byte) (jsonrpc.Message, error) {
	m, err := jsonrpc.DecodeMessage(bytes.TrimSpace(b))
	if err != nil {
		return nil, executor.Unusable("the answer is not a message of MCP", executor.Head(b, detailBytes))
	}
	return m, nil
}
