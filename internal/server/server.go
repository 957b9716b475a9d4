// Package server is the HTTP side of a dispatcher: it puts the console and the API behind one gate, and tells open
// pages what has changed.
package server

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"belay/internal/bus"
	"belay/internal/catalog"
	"belay/internal/dlq"
	"belay/internal/doctor"
	"belay/internal/executor"
	"belay/internal/gates"
	"belay/internal/handoff"
	"belay/internal/notify"
	"belay/internal/people"
	"belay/internal/runlog"
	"belay/internal/server/api"
	"belay/internal/server/gate"
	"belay/internal/server/pages"
	"belay/internal/steps"
	"belay/internal/steps/view"
	"belay/internal/tally"
)

// Gate lets requests in or refuses them. Who returns who has sent a request that it let in.
type Gate interface {
	Wrap(next http.Handler) http.Handler
	Who(r *http.Request) people.Actor
}

// Schedules are what starts runs again and again, on the pages and through the API.
type Schedules interface {
	api.Schedules
	pages.Schedules
}

// Passkeys are those that people have registered, on the pages and through the API.
type Passkeys interface {
	api.Passkeys
	pages.Passkeys
}

// Gates are what people hold calls back with, on the pages and through the API.
type Gates interface {
	api.Gates
	pages.Gates
	api.Score
	pages.Score
}

// Options are what the pages stand on. All but Logger, Catalog, Trace and Prove are required.
type Options struct {
	Bus         *bus.Bus
	Runs        *runlog.Log
	Desk        *handoff.Desk
	Redrives    *handoff.Redrives
	Gate        Gate
	Gates       Gates     // what holds calls back
	Schedules   Schedules // what starts runs again and again
	Environment pages.Environment
	Runbook     pages.Runbook
	Logger      *slog.Logger
	Catalog     *catalog.Catalog // what may be submitted through the API; nil = nothing
	Trace       api.Trace        // makes the spans of what is submitted there; nil = none
	// Prove signs that the token of whoever submits a run was shown; nil = nobody can tell later who submitted it.
	Prove func(run string, e *steps.Submitted) error

	// Doctor says what is looked at for the page System, beside the bus.
	Doctor doctor.Options

	// Passkeys are those that people register; nil = nobody does here.
	Passkeys Passkeys

	PublicURL string        // where people reach the console, for those who are sent there; empty = not known
	Version   string        // of the program, for clients over MCP
	CallWait  time.Duration // how long a call over MCP waits for its run; 0 = as long as clients wait
}

// New makes the handler for the console and the API. What it does in the background ends with ctx.
func New(ctx context.Context, o Options) http.Handler {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	o.Desk.ReachedAt(o.PublicURL)
	served := &tools{bus: o.Bus, escalations: dlq.New(o.Bus)}
	o.Doctor.Bus, o.Doctor.Version = o.Bus, o.Version
	examined := &examined{o: o.Doctor}
	changes := &pages.Changes{}
	go follower{bus: o.Bus, changes: changes, logger: o.Logger}.run(ctx)
	faults := followFaults(ctx, o.Bus, o.Logger)
	asker := notify.Asker{Bus: o.Bus, Items: o.Desk.Items, Doubt: tally.InDoubt(o.Bus)}
	watch := runlog.NewWatch(o.Runs)
	context.AfterFunc(ctx, watch.Close)
	console := pages.New(pages.Options{
		Desk: o.Desk, Runs: o.Runs, Replays: o.Runs, Migrations: migrationsOf(o, watch), Prove: o.Prove, Redrives: o.Redrives, Tools: served.Tools, Workers: served.Workers, Examine: examined.report, Gates: o.Gates, Schedules: o.Schedules, Score: o.Gates, Passkeys: o.Passkeys, PublicURL: o.PublicURL, Changes: changes, Environment: o.Environment, Runbook: o.Runbook,
		Who: via(o.Gate, "console"), Now: o.Bus.Now, Logger: o.Logger, Faults: faults,
		Events: func(run string) string { return "/api/v1/runs/" + run + "/events" }, Why: func(ctx context.Context, run string) (view.Why, error) {
			s, err := o.Runs.Load(ctx, run)
			if err != nil {
				return view.Why{}, err
			}
			return asker.Of(ctx, s)
		},
	})
	go console.Watch(ctx)
	way := api.Options{Schedules: o.Schedules, Passkeys: o.Passkeys, Catalog: o.Catalog, Trace: o.Trace, Prove: o.Prove, Watch: watch, Waits: gate.NewWaits(), Desk: o.Desk, Runs: o.Runs, Redrives: o.Redrives, Workers: served.Workers, Examine: examined.report, Gates: o.Gates, Score: o.Gates, Why: asker.Of, Released: gates.Of(o.Bus).Released}
	offered := overMCP(ctx, o, way)
	way.Who = via(o.Gate, "api")
	calls := api.New(way)
	return o.Gate.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := byTool(o.Gate, r); err != nil {
			api.Refuse(w, err)
			return
		}
		if r.URL.Path == "/mcp" {
			offered.ServeHTTP(w, r)
			return
		}
		if strings.HasPrefix(r.URL.Path, "/api/") || r.URL.Path == "/openapi.json" {
			calls.ServeHTTP(w, r)
			return
		}
		if err := looks(o.Gate, r); err != nil {
			if strings.Contains(r.Header.Get("Accept"), "text/html") {
				console.Refuse(w, r, err)
				return
			}
			api.Refuse(w, err)
			return
		}
		console.ServeHTTP(w, r)
	}))
}

// byTool says why a request is refused that a tool has made. Whoever chose its parameters, perhaps a model, must not decide
// what people are asked, so it gets in only as somebody who decides nothing.
func byTool(g Gate, r *http.Request) error {
	if r.Header.Get(executor.ToolCall) == "" || !g.Who(r).Role.Includes(people.Operator) {
		return nil
	}
	return fmt.Errorf("%w: a tool has made this request, and tools decide nothing; let its rung show a token of a submitter or viewer (bearer_env)", people.ErrForbidden)
}

// looks says why somebody sees no pages. Their looks and scripts tell nobody anything.
func looks(g Gate, r *http.Request) error {
	if strings.HasPrefix(r.URL.Path, "/static/") {
		return nil
	}
	return g.Who(r).May(people.Look)
}

// via returns who asks, with their way in.
func via(g Gate, way string) func(*http.Request) people.Actor {
	return func(r *http.Request) people.Actor {
		who := g.Who(r)
		who.Via = way
		return who
	}
}
