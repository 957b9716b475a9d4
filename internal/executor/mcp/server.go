package mcpexec

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"path"
	"sync"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"belay/internal/executor"
	"belay/internal/outbound"
	"belay/internal/steps"
)

// openTime is how long a session may take to open, whoever waits for it: a package manager may have to fetch the program.
const openTime = time.Minute

// server is a server and the sessions with it. Calls go to one of them; others are those that take no more calls and
// wait for the end of those that they have.
type server struct {
	spec    executor.MCPServer
	version string
	policy  outbound.Policy
	logger  *slog.Logger
	life    context.Context // ends when the server is closed
	die     context.CancelFunc
	ends    sync.WaitGroup // sessions and openings that are not over yet

	mu      sync.Mutex
	now     *session // takes calls; nil: none does
	opening *opening // nil: none is being opened
	closed  bool
}

// opening is a session that is being opened. It goes on when the call that needed it is given up, so that the next one
// finds it.
type opening struct {
	done chan struct{} // closed when it is over
	err  error         // why there is none
}

func newServer(spec executor.MCPServer, version string, policy outbound.Policy, logger *slog.Logger) *server {
	v := &server{spec: spec, version: version, policy: policy}
	v.life, v.die = context.WithCancel(context.Background())
	v.logger = logger.With("server", v.name())
	return v
}

// name is how the server is called in messages: without arguments or a query, which may be anything.
func (v *server) name() string {
	if len(v.spec.Argv) > 0 {
		return path.Base(v.spec.Argv[0])
	}
	u, err := url.Parse(v.spec.URL)
	if err != nil {
		return "at a URL that is none"
	}
	return u.Scheme + "://" + u.Host + u.EscapedPath()
}

// secrets are what must not appear in what the server says. The error is the fault of credentials that are missing.
func (v *server) secrets() (*executor.Secrets, error) {
	s := &executor.Secrets{}
	s.AddAll(v.spec.Hidden)
	_ = executor.Environ(v.spec.Env, s)
	return s, executor.Authorize(http.Header{}, v.spec.BearerEnv, v.spec.BasicEnv, s)
}

// begin begins a call in a session that takes calls. The error is the fault of a call that was never sent.
func (v *server) begin(ctx context.Context, progress func(string)) (*call, error) {
	for {
		s, o, err := v.offer()
		if err != nil {
			return nil, err
		}
		wait := sure(s)
		if s == nil {
			wait = o.done
		}
		select {
		case <-ctx.Done():
			return nil, executor.Stopped(ctx, steps.ActedNo)
		case <-wait:
		}
		if s == nil {
			if o.err != nil {
				return nil, o.err
			}
			continue
		}
		if c := s.begin(ctx, progress); c != nil {
			return c, nil
		}
	}
}

// offer is the session for the next call, or the opening that it has to wait for.
func (v *server) offer() (*session, *opening, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case v.closed:
		return nil, nil, steps.Fault{Class: steps.Unavailable, Acted: steps.ActedNo, Message: "the worker is ending, and calls nothing any more"}
	case v.now != nil && v.now.takes():
		return v.now, nil, nil
	case v.opening == nil:
		v.now, v.opening = nil, &opening{done: make(chan struct{})}
		v.ends.Go(func() { v.open(v.opening) })
	}
	return nil, v.opening, nil
}

func (v *server) open(o *opening) {
	ctx, cancel := context.WithTimeout(v.life, openTime)
	defer cancel()
	s, err := v.connect(ctx)
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.now, o.err, v.opening = s, err, nil; err == nil && v.closed {
		v.now = nil
		s.retire()
	}
	close(o.done)
}

// connect opens a session. Its error is a fault of the class connection, or what an HTTP status says.
func (v *server) connect(ctx context.Context) (*session, error) {
	s := newSession(v)
	client := mcp.NewClient(&mcp.Implementation{Name: "belay", Version: v.version}, s.options())
	client.AddReceivingMiddleware(s.receive)
	addTasks(client)
	var transport mcp.Transport
	var stop func()
	var said func() string
	e := newExchange()
	if len(v.spec.Argv) > 0 {
		p, err := start(v.spec)
		if err != nil {
			return nil, notConnected("could not be started: "+err.Error(), "")
		}
		transport, stop, said = newPipes(p), p.end, p.said
	} else {
		w := newWeb(v.spec, v.version, v.policy, e)
		transport, stop, said = w.transport(), w.close, func() string { return "" }
	}
	conn, err := client.Connect(e.in(ctx), transport, nil)
	if err != nil {
		stop()
		return nil, v.openFault(ctx, err, e, said())
	}
	s.opened(conn, stop, said)
	v.ends.Go(s.watch)
	return s, nil
}

// openFault is why there is no session. Nothing was asked of a tool.
func (v *server) openFault(ctx context.Context, err error, e *exchange, said string) error {
	if v.life.Err() != nil {
		return steps.Fault{Class: steps.Unavailable, Acted: steps.ActedNo, Message: "the worker is ending, and calls nothing any more"}
	}
	if _, found, ok := e.outcome(); ok && found != nil {
		if f, is := errors.AsType[steps.Fault](found); is {
			f.Acted = steps.ActedNo
			f.Message = "no session could be opened: " + f.Message
			return f
		}
	}
	if ctx.Err() != nil {
		return notConnected("no session could be opened within "+openTime.String(), said)
	}
	return notConnected("no session could be opened: "+plain(err), said)
}

func notConnected(message, said string) steps.Fault {
	return steps.Fault{Class: steps.Connection, Acted: steps.ActedNo, Message: message, Detail: said}
}

// close ends all sessions and what was started for them, and returns when nothing is left.
func (v *server) close() {
	v.mu.Lock()
	v.closed = true
	v.now = nil
	v.mu.Unlock()
	v.die()
	v.ends.Wait()
}
