package mcptools

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"belay/internal/catalog"
	"belay/internal/people"
	"belay/internal/runlog"
	"belay/internal/server/gate"
	"belay/internal/steps"
	"belay/internal/steps/view"
	"belay/internal/text"
)

// Options are what a [Server] stands on. Catalog, API, Runs, Watch and Logger are required.
type Options struct {
	Catalog *catalog.Catalog            // what is offered
	API     http.Handler                // the HTTP API, which learns from [Who] who asks, and lets this program name runs
	Runs    *runlog.Log                 // finds the run that a call is
	Watch   *runlog.Watch               // waits for runs
	Console func() string               // address of the console; nil or empty = not known here
	Ready   func(context.Context) error // why nothing would come of a call now; nil = that is never so
	// Why says what a run waits for, also where its log does not say it: which gates are open, which limits hold it back, and where its steps
	// stand. Beside an error it is what the log says; nil = that always.
	Why func(ctx context.Context, s *steps.State, f view.Foresight) (view.Why, error)
	// Released reports whether a run waits for nothing but gates that were opened; nil = none does.
	Released func(ctx context.Context, s *steps.State) bool
	Waits    *gate.Waits      // shared by all that wait in this process; nil = its own
	Wait     time.Duration    // how long a call waits for its run; 0 = [DefaultWait]
	Same     time.Duration    // how long after its end a run with unsafe effects answers an equal call; 0 = [DefaultSame]
	Now      func() time.Time // the server's time, which is that of the logs; nil = this machine's
	Version  string           // of the program
	Logger   *slog.Logger

	Actor  people.Actor // who everybody over stdio is
	Caller string       // tells callers over stdio apart; empty = what each client calls itself
}

// DefaultWait is how long a call waits for its run. Clients give up after a minute, most of them.
const DefaultWait = 50 * time.Second

// sessionsFor is for how long a session over HTTP is kept without a request. A client that is gone has left it behind, and
// one that comes back begins a new one.
const sessionsFor = time.Hour

// Server offers tools and plans over MCP. It is safe for concurrent use.
type Server struct {
	Options
	mcp    *mcp.Server
	offers atomic.Pointer[map[string]catalog.Offer] // by their names over MCP

	refreshing sync.Mutex
	shown      map[string][]byte // the tools as they were offered last
}

// New makes a server that offers nothing yet: see [Server.Refresh].
func New(o Options) *Server {
	o.Wait, o.Same = cmp.Or(o.Wait, DefaultWait), cmp.Or(o.Same, DefaultSame)
	capabilities := &mcp.ServerCapabilities{Tools: &mcp.ToolCapabilities{ListChanged: true}}
	capabilities.AddExtension(tasksExtension, map[string]any{})
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Server{Options: o, shown: map[string][]byte{}}
	if s.Waits == nil {
		s.Waits = gate.NewWaits()
	}
	s.mcp = mcp.NewServer(&mcp.Implementation{Name: "belay", Title: "Belay", Version: o.Version}, &mcp.ServerOptions{
		Instructions: instructions, Logger: slog.New(quiet{o.Logger.Handler()}), Capabilities: capabilities,
		// What a list shows depends on the token, and changes when the files are read anew.
		SetCacheable: func(_ context.Context, _ mcp.Request, c *mcp.Cacheable) { c.TTLMs, c.CacheScope = 0, "private" },
	})
	s.mcp.AddReceivingMiddleware(s.unharmed, s.onlyPermitted, s.withTasks)
	s.addLooks()
	s.addTasks()
	return s
}

const instructions = "Every tool here is executed by Belay: it is retried, has fallbacks, and waits for a person's approval where one is needed. " +
	"A result with state \"waiting\" or \"running\" is not there yet: show the url to the user if a person must decide, and call " + resultTool + " with the run until it has ended. " +
	"Do not repeat a call to hurry it. You cannot decide what a person must decide."

// Refresh offers what the catalog has now, and lets clients know if that is something else. Names that collide, and schemas
// that cannot be offered, are errors; then what was offered before stays.
func (s *Server) Refresh() error {
	s.refreshing.Lock()
	defer s.refreshing.Unlock()
	by, err := named(s.Catalog.Offers())
	if err != nil {
		return err
	}
	tools, shown := map[string]*mcp.Tool{}, map[string][]byte{}
	for name, o := range by {
		if tools[name], err = toolOf(name, o); err != nil {
			return err
		}
		if shown[name], err = json.Marshal(tools[name]); err != nil {
			return fmt.Errorf("the schemas of the %s %q: %w", o.Kind, o.Name, err)
		}
	}
	s.offers.Store(&by)
	for _, name := range slices.Sorted(maps.Keys(tools)) {
		if !bytes.Equal(s.shown[name], shown[name]) {
			s.mcp.AddTool(tools[name], s.call)
		}
	}
	for name := range s.shown {
		if tools[name] == nil {
			s.mcp.RemoveTools(name)
		}
	}
	s.shown = shown
	return nil
}

// Offers reports whether anything has been offered.
func (s *Server) Offers() bool { return s.offers.Load() != nil }

// unharmed answers what makes the library or this server panic: that happens in a goroutine of the library, and would end
// the process with everybody's runs.
func (s *Server) unharmed(next mcp.MethodHandler) mcp.MethodHandler {
	return func(ctx context.Context, method string, req mcp.Request) (result mcp.Result, err error) {
		defer func() {
			if p := recover(); p != nil {
				s.Logger.Error("cannot answer an MCP request", "method", method, "error", p)
				result, err = nil, &jsonrpc.Error{Code: jsonrpc.CodeInternalError, Message: method + " cannot be answered: this is a mistake of Belay; its log says more"}
			}
		}()
		return next(ctx, method, req)
	}
}

// onlyPermitted leaves out of the list of tools what the caller may not start: a submitter is not shown what else there is.
func (s *Server) onlyPermitted(next mcp.MethodHandler) mcp.MethodHandler {
	return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
		result, err := next(ctx, method, req)
		list, is := result.(*mcp.ListToolsResult)
		if err != nil || !is {
			return result, err
		}
		who, offers := s.who(req.GetExtra()), *s.offers.Load()
		list.Tools = slices.DeleteFunc(slices.Clone(list.Tools), func(t *mcp.Tool) bool {
			if o, there := offers[t.Name]; there {
				return s.mayStart(who, o) != nil
			}
			return t.Name == escalationsTool && who.May(people.Look) != nil
		})
		return list, nil
	}
}

// mayStart says why somebody may not start an offer. The API says so too; this is for what is shown.
func (s *Server) mayStart(who people.Actor, o catalog.Offer) error {
	act, plan, tool := people.Submit, o.Name, ""
	if o.Kind == "tool" {
		act, plan, tool = people.CallTool, "", o.Name
	}
	err := cmp.Or(who.May(act), who.MayStart(plan, tool))
	if err == nil && o.Effects == steps.EffectsUnsafe {
		err = who.MayUseUnsafe(o.Name)
	}
	return err
}

// who is who makes a request: over HTTP whom the gate has let in with it.
func (s *Server) who(extra *mcp.RequestExtra) people.Actor {
	if extra == nil || extra.TokenInfo == nil {
		return s.Actor
	}
	who, _ := extra.TokenInfo.Extra["who"].(people.Actor)
	return who
}

// callerOf tells callers apart: the owner of a token or, over stdio, the user of the process and what its client is called.
func (s *Server) callerOf(req *mcp.CallToolRequest) string {
	if s.Actor.Name == "" {
		return s.who(req.Extra).Name
	}
	if s.Caller != "" {
		return s.Caller
	}
	if p := req.Session.InitializeParams(); p != nil && p.ClientInfo != nil && p.ClientInfo.Name != "" {
		return text.Cut(text.Line(s.Actor.Name+"/"+p.ClientInfo.Name), longestCaller)
	}
	return text.Cut(s.Actor.Name+"/mcp", longestCaller)
}

// longestCaller bounds the name of a caller over stdio.
const longestCaller = 100

// Stdio serves one client over its input and output until the input ends.
func (s *Server) Stdio(ctx context.Context, in io.ReadCloser, out io.WriteCloser) error {
	return s.mcp.Run(ctx, &mcp.IOTransport{Reader: in, Writer: out})
}

// Close ends all sessions.
func (s *Server) Close() {
	for session := range s.mcp.Sessions() {
		_ = session.Close()
	}
}

// sessionless is the first version of the protocol without sessions.
const sessionless = "2026-07-28"

// Handler serves clients over HTTP. Who is asked about every request: a session is no more than a conversation, and opens
// nothing by itself.
func (s *Server) Handler(who func(*http.Request) people.Actor) http.Handler {
	get := func(*http.Request) *mcp.Server { return s.mcp }
	// The gate has checked the host name before.
	o := mcp.StreamableHTTPOptions{Logger: slog.New(quiet{s.Logger.Handler()}), SessionTimeout: sessionsFor, DisableLocalhostProtection: true, MaxRequestBodyBytes: maxBody}
	older := newSessions(s.mcp).bounded(mcp.NewStreamableHTTPHandler(get, &o), who)
	o.Stateless, o.PropagateRequestCancellation = true, true
	single := mcp.NewStreamableHTTPHandler(get, &o)
	verify := func(_ context.Context, _ string, r *http.Request) (*auth.TokenInfo, error) {
		actor := who(r)
		return &auth.TokenInfo{UserID: actor.Name, Extra: map[string]any{"who": actor}}, nil
	}
	inner := auth.RequireBearerToken(verify, &auth.RequireBearerTokenOptions{AllowMissingExpiration: true})(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Mcp-Protocol-Version") >= sessionless {
			single.ServeHTTP(w, r)
			return
		}
		older.ServeHTTP(w, r)
	}))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r = r.Clone(r.Context())
		r.Header.Set("Authorization", "Bearer checked") // by the gate; the token itself is none of the library's business
		r.Header.Del("Cookie")
		inner.ServeHTTP(w, r)
	})
}

// maxBody bounds a request, as that of the API does.
const maxBody = steps.MaxParams + 64<<10
