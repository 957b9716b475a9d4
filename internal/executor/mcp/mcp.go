// Package mcpexec executes rungs that are tools of MCP servers (Model Context Protocol), which are programs that a worker
// starts, or services behind a URL. [Servers] has one session with each server, shared by all rungs and calls; it is
// opened when it is first needed, and another one takes its place when it fails.
//
// The library github.com/modelcontextprotocol/go-sdk speaks the protocol: versions, sessions, streams, progress,
// cancellation. Its types would round numbers and break a whole session for one bad answer, so that answers are read
// here, as they were sent: see exchange.go.
//
// mcp.go is an attempt, server.go keeps sessions, session.go has the calls and questions of one, listed.go compares
// schemas, stdio.go and process.go talk to a program, http.go and stream.go to a URL, result.go and fault.go say what an
// answer means, ask.go and older.go what a server asks, tasks.go looks after tasks, list.go is for those who want to know which tools a server has.
package mcpexec

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strconv"
	"sync"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"go.opentelemetry.io/otel/propagation"

	"belay/internal/executor"
	"belay/internal/outbound"
	"belay/internal/steps"
)

// keyInMeta is where the idempotency key goes: servers that know it act once for each key.
const keyInMeta = "belay/idempotency-key"

// Servers holds the sessions with all MCP servers of a worker. It is safe for concurrent use.
type Servers struct {
	version string
	policy  outbound.Policy
	logger  *slog.Logger
	mu      sync.Mutex
	all     map[string]*server
}

// NewServers makes one that has no session yet. Servers are told the version, and those with a URL are reached as the policy says.
// A nil logger logs nothing.
func NewServers(version string, policy outbound.Policy, logger *slog.Logger) *Servers {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	return &Servers{version: version, policy: policy, logger: logger, all: map[string]*server{}}
}

// Executor makes the executor of one rung.
func (s *Servers) Executor(spec executor.MCP) executor.Executor {
	return &rung{spec: spec, server: s.server(spec.Server)}
}

func (s *Servers) server(spec executor.MCPServer) *server {
	key, err := json.Marshal(spec)
	if err != nil {
		panic("mcpexec: settings cannot fail to encode: " + err.Error())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all[string(key)] == nil {
		s.all[string(key)] = newServer(spec, s.version, s.policy, s.logger)
	}
	return s.all[string(key)]
}

// rung executes one rung of the tools file.
type rung struct {
	spec   executor.MCP
	server *server
	warned sync.Map // differences of schemas that were logged already
}

// Prompt implements [executor.Prompt]: whatever the server does, a call ends with its context.
func (x *rung) Prompt() {}

// Continues implements [executor.Continuing].
func (x *rung) Continues() {}

// Close implements [executor.Closer]. It ends the sessions of all rungs with the same server.
func (x *rung) Close() { x.server.close() }

// Execute calls the tool once.
func (x *rung) Execute(ctx context.Context, req executor.Request) (executor.Result, error) {
	if ctx.Err() != nil {
		return executor.Result{}, executor.Stopped(ctx, steps.ActedNo)
	}
	secrets, err := x.server.secrets()
	if err != nil {
		return executor.Result{}, x.explain(err, secrets)
	}
	if said := req.Progress; said != nil {
		req.Progress = func(s string) { said(secrets.Redact(s)) }
	}
	out, err := x.attempt(ctx, req, secrets)
	if err != nil {
		return executor.Result{}, x.explain(x.signed(err), secrets)
	}
	// The limit applies to what was sent; hiding a secret may have made it longer.
	out = secrets.RedactAnswer(out, executor.FormatJSON)
	out, err = executor.Output(out, executor.FormatJSON, max(executor.Limit(x.spec.MaxBytes), len(out)))
	return executor.Result{Output: out}, err
}

// attempt begins the call, or goes on with what an attempt before it has left.
func (x *rung) attempt(ctx context.Context, req executor.Request, secrets *executor.Secrets) (json.RawMessage, error) {
	var k kept
	if req.Continues != nil {
		var err error
		if k, err = x.keptBy(req.Continues); err != nil {
			return nil, err
		}
	}
	f := following{rung: x, req: req, secrets: secrets, kept: k}
	if k.Task != "" {
		return f.goOn(ctx)
	}
	out, err := x.call(ctx, req, k)
	if b, is := err.(begun); is { //nolint:errorlint // made here, and never wrapped
		return f.begin(ctx, b.task)
	}
	return out, err
}

func (x *rung) call(ctx context.Context, req executor.Request, k kept) (json.RawMessage, error) {
	c, err := x.begin(ctx, req, k)
	if err != nil {
		return nil, err
	}
	defer c.end()
	p := &mcp.CallToolParams{Name: x.spec.Tool, Arguments: arguments(req), Meta: meta(ctx, req)}
	if req.Continues != nil && !k.Older {
		p.RequestState = k.State
		if p.InputResponses, err = k.responses(req.Continues); err != nil {
			return nil, err
		}
	}
	if err := x.agree(c); err != nil {
		return nil, err
	}
	raw, err := c.tool(p)
	if u, is := err.(executor.Unfinished); is && x.spec.Strict { //nolint:errorlint // made here, and never wrapped
		return nil, u.Fault // an unsafe call is not made anew
	}
	if err != nil {
		return nil, err
	}
	return x.result(raw)
}

func arguments(req executor.Request) json.RawMessage {
	if len(req.Params) == 0 {
		return json.RawMessage("{}")
	}
	return req.Params
}

// meta is what a call carries beside its arguments: the idempotency key and the trace.
func meta(ctx context.Context, req executor.Request) map[string]any {
	m := map[string]any{}
	trace := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, trace)
	for name, value := range trace {
		m[name] = value
	}
	if req.Key != "" {
		m[keyInMeta] = req.Key
	}
	return m
}

// explain names the tool and the server, and hides all secrets. What a server asks stands for itself.
func (x *rung) explain(err error, secrets *executor.Secrets) error {
	f, ok := errors.AsType[steps.Fault](err)
	if !ok {
		f = steps.Fault{Class: steps.ToolError, Acted: steps.ActedMaybe, Message: err.Error()}
	}
	if f.Class != steps.NeedsHuman {
		f.Message = "tool " + strconv.Quote(x.spec.Tool) + " of MCP server " + x.server.name() + ": " + f.Message
	}
	f = secrets.RedactFault(f)
	if u, is := errors.AsType[executor.Unfinished](err); is {
		u.Fault = f
		return hidden(u, secrets)
	}
	return f
}

// hidden hides the secrets in what is left on the log. A state that has one in it would be another one without, so that nothing
// goes on with it.
func hidden(u executor.Unfinished, secrets *executor.Secrets) error {
	if u.Resume != nil && secrets.Redact(string(u.Resume.Value)) != string(u.Resume.Value) {
		u.Fault.Message += "; the call does not go on: what it would go on with has a secret of this worker in it, and cannot be kept"
		return u.Fault
	}
	if q := u.Question; q != nil {
		u.Question = &steps.Question{Text: secrets.Redact(q.Text), Options: q.Options, Schema: secrets.RedactAnswer(q.Schema, executor.FormatJSON), URL: secrets.Redact(q.URL)}
	}
	return u
}
