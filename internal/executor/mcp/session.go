package mcpexec

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"belay/internal/executor"
	"belay/internal/steps"
)

// sureTime is how long a server may take to answer a ping after it has left a call without an answer.
const sureTime = 2 * time.Second

// session is one session with a server. It takes calls until it is retired, and is over once it has none left.
type session struct {
	server *server
	conn   *mcp.ClientSession
	stop   func()        // ends what is below the session, and returns when it has ended
	said   func() string // the last words of the program
	done   chan struct{} // closed when it is retired and has no calls
	gone   chan struct{} // closed when the connection has ended

	mu        sync.Mutex
	calls     map[*call]bool
	retired   bool
	doubt     chan struct{} // closed when a ping has been answered or missed; nil: nobody doubts that the server answers
	questions []*mcp.ElicitParams
	leaving   []*exchange                // that were given up; the server may not have been told yet
	tools     map[string]json.RawMessage // input schemas by name; nil: they must be listed
	listed    time.Time                  // when they were
}

var surely = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

func newSession(v *server) *session {
	return &session{server: v, done: make(chan struct{}), gone: make(chan struct{}), calls: map[*call]bool{}}
}

// options are what this client can do. Of what a server may ask it takes only questions to people; a call may become a task.
func (s *session) options() *mcp.ClientOptions {
	can := &mcp.ClientCapabilities{Elicitation: &mcp.ElicitationCapabilities{Form: &mcp.FormElicitationCapabilities{}, URL: &mcp.URLElicitationCapabilities{}}}
	can.AddExtension(tasksExtension, nil)
	return &mcp.ClientOptions{
		Capabilities:                can,
		ElicitationHandler:          s.asked,
		ProgressNotificationHandler: s.progressed,
		ToolListChangedHandler:      func(context.Context, *mcp.ToolListChangedRequest) { s.forget() },
		MultiRoundTrip:              &mcp.MultiRoundTripOptions{Disabled: true},
	}
}

func (s *session) opened(conn *mcp.ClientSession, stop func(), said func() string) {
	s.conn, s.stop, s.said = conn, stop, said
	go func() {
		_ = conn.Wait() // how it ended is told to the calls
		close(s.gone)
	}()
}

// watch ends the session when it is over, and returns when nothing is left of it.
func (s *session) watch() {
	select {
	case <-s.gone:
	case <-s.done:
	case <-s.server.life.Done():
	}
	s.retire()
	closed := make(chan struct{})
	go func() {
		s.left()
		_ = s.conn.Close() // whoever still waits for an answer learns it from its call
		close(closed)
	}()
	select {
	case <-closed:
	case <-time.After(2 * leaveTime): // it waits for calls that are under way
	}
	s.stop()
	<-closed
	<-s.gone
}

// leave notes that a call was given up.
func (s *session) leave(e *exchange) {
	if e.acted() == steps.ActedNo {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leaving = append(s.leaving, e)
	s.leaving = slices.DeleteFunc(s.leaving, func(e *exchange) bool { return ended(e.notified) })
}

// left waits until the server has been told of all calls that were given up, but not for long.
func (s *session) left() {
	s.mu.Lock()
	leaving := slices.Clone(s.leaving)
	s.mu.Unlock()
	limit := time.NewTimer(leaveTime)
	defer limit.Stop()
	for _, e := range leaving {
		select {
		case <-e.notified:
		case <-s.gone:
			return
		case <-limit.C:
			return
		}
	}
}

func ended(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// takes reports whether the session takes calls.
func (s *session) takes() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.retired && !ended(s.gone)
}

// sure is closed when it is known whether the session's server answers.
func sure(s *session) <-chan struct{} {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.doubt != nil {
		return s.doubt
	}
	return surely
}

// retire keeps calls away from the session.
func (s *session) retire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.retireLocked()
}

func (s *session) retireLocked() {
	if !s.retired && len(s.calls) == 0 {
		close(s.done)
	}
	s.retired = true
}

// call is one attempt in a session.
type call struct {
	*session
	ctx      context.Context     // the attempt's
	progress func(string)        // may be nil
	token    string              // by which the server's progress is known
	giveUp   chan struct{}       // closed when the server has asked a question
	wants    []*mcp.ElicitParams // the questions, then
	sole     bool                // there was no other call, and one question
	given    []given             // what the server gets when it asks the same; the call is alone in its session then
}

var tokens atomic.Int64

// begin begins a call; nil if the session takes none.
func (s *session) begin(ctx context.Context, progress func(string)) *call {
	if !s.takes() {
		return nil
	}
	c := &call{session: s, ctx: ctx, progress: progress, token: "belay-" + strconv.FormatInt(tokens.Add(1), 10), giveUp: make(chan struct{})}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.retired {
		return nil
	}
	s.calls[c] = true
	return c
}

// end ends a call, which may be what the others wait for.
func (c *call) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.calls, c)
	c.settle()
	if c.retired && len(c.calls) == 0 {
		close(c.done)
	}
}

// asked is what happens when a server asks in the middle of a call, as servers did before 2026-07-28. Nothing says which
// call it is about, and the one that it is about does not go on before there is an answer. So the session takes no more
// calls, and when there are no more calls left than questions, each of them is about one.
func (s *session) asked(ctx context.Context, req *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
	s.mu.Lock()
	if known := s.givenTo(req.Params); known != nil {
		s.mu.Unlock()
		return known, nil
	}
	if len(s.calls) > 0 {
		s.questions = append(s.questions, req.Params)
		s.retireLocked()
		s.settle()
		s.mu.Unlock()
		select {
		case <-ctx.Done():
		case <-s.done:
		}
	} else {
		s.mu.Unlock()
	}
	return nil, errors.New("nobody is here to answer: the call was given up, and a person will be asked")
}

// settle gives up the calls that wait for an answer.
func (s *session) settle() {
	if len(s.questions) == 0 || len(s.calls) > len(s.questions) {
		return
	}
	sole := len(s.calls) == 1 && len(s.questions) == 1
	for c := range s.calls {
		if c.wants == nil {
			c.wants, c.sole = s.questions, sole
			close(c.giveUp)
		}
	}
}

// progressed passes a server's word on its progress on to the call.
func (s *session) progressed(_ context.Context, req *mcp.ProgressNotificationClientRequest) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.calls {
		if c.token == req.Params.ProgressToken && c.progress != nil {
			c.progress(progressOf(req.Params))
		}
	}
}

func progressOf(p *mcp.ProgressNotificationParams) string {
	how := strconv.FormatFloat(p.Progress, 'g', 6, 64)
	if p.Total > 0 {
		how += " of " + strconv.FormatFloat(p.Total, 'g', 6, 64)
	}
	if p.Message != "" {
		return p.Message + " (" + how + ")"
	}
	return how
}

// request sends one request and returns the answer as it was sent. The error is a fault.
func (c *call) request(send func(ctx context.Context) error) (json.RawMessage, error) {
	ctx, cancel := context.WithCancel(c.ctx)
	defer cancel()
	sent := make(chan error, 1)
	e := newExchange()
	go func() { sent <- send(e.in(ctx)) }()
	var err error
	select {
	case err = <-sent:
	case <-c.giveUp:
		cancel() // the server is told that the call is cancelled
		err = <-sent
	}
	return c.outcome(e, err)
}

func (c *call) outcome(e *exchange, err error) (json.RawMessage, error) {
	if raw, err, ok := e.outcome(); ok && err == nil {
		return raw, nil
	}
	if e.sessionLost() {
		c.retire()
	}
	if ended(c.giveUp) {
		c.leave(e)
		return nil, c.openQuestion(e.acted())
	}
	if c.ctx.Err() != nil {
		c.leave(e)
		c.unanswered()
		return nil, executor.Stopped(c.ctx, e.acted())
	}
	if _, err, ok := e.outcome(); ok {
		return nil, err
	}
	c.retire()
	f := steps.Fault{Class: steps.Connection, Acted: e.acted(), Message: "the connection ended before there was an answer", Detail: c.said()}
	if f.Acted == steps.ActedNo {
		f.Message = "the connection ended before the call was sent"
	}
	if err != nil && !errors.Is(err, mcp.ErrConnectionClosed) && len(c.server.spec.Argv) > 0 { // over HTTP it may name the session
		f.Message += ": " + plain(err)
	}
	return nil, f
}

// tool calls a tool and returns its result as it was sent.
func (c *call) tool(p *mcp.CallToolParams) (json.RawMessage, error) {
	p.SetProgressToken(c.token)
	return c.request(func(ctx context.Context) error {
		_, err := c.conn.CallTool(ctx, p)
		return err
	})
}

// unanswered looks whether the server is still there after it has left a call without an answer. A program that hangs
// would leave all later ones without one, too; a service behind a URL is asked anew each time anyway.
func (s *session) unanswered() {
	if len(s.server.spec.Argv) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.doubt != nil || s.retired {
		return
	}
	s.doubt = make(chan struct{})
	s.server.ends.Go(s.ping)
}

func (s *session) ping() {
	ctx, cancel := context.WithTimeout(s.server.life, sureTime)
	defer cancel()
	err := s.conn.Ping(ctx, &mcp.PingParams{})
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.doubt)
	s.doubt = nil
	if err != nil && ctx.Err() != nil { // any answer is one, even that there is no ping
		s.server.logger.Warn("an MCP server does not answer any more; the next call has another session", "error", fmt.Errorf("no answer within %s", sureTime))
		s.retireLocked()
	}
}

// forget makes the next call that needs them list the tools anew.
func (s *session) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tools = nil
}
