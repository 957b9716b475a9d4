// Package web puts together what a dispatcher answers over HTTP: the console, the API, metrics and health. Whoever asks
// for people's work goes through a gate first; see [Local].
package web

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"belay/internal/api"
	"belay/internal/bus"
	"belay/internal/console"
	"belay/internal/dlq"
	"belay/internal/handoff"
	"belay/internal/runlog"
	"belay/internal/steps"
	"belay/internal/why"
)

// Visitor is who asks, as the gate found out.
type Visitor struct {
	Name string
	Role string                     // in words
	May  func(handoff.Action) error // nil = everything
}

// person is the visitor at the desk.
func (v Visitor) person(via string) handoff.Person {
	return handoff.Person{Name: v.Name, Via: via, May: v.May}
}

// Gate lets people in, or not. Who says whom it has let in with a request.
type Gate interface {
	Wrap(next http.Handler) http.Handler
	Who(r *http.Request) Visitor
}

// Options are what the pages stand on. All but Log are required.
type Options struct {
	Bus         *bus.Bus
	Runs        *runlog.Log
	Desk        *handoff.Desk
	Batches     *handoff.Batches
	Gate        Gate
	Environment console.Environment
	Runbook     console.Runbook
	Log         *slog.Logger
}

// New makes the handler of console and API. What it follows ends with ctx.
func New(ctx context.Context, o Options) http.Handler {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	served := &tools{bus: o.Bus, letters: dlq.New(o.Bus)}
	news := &changes{subs: map[chan console.Change]struct{}{}}
	go news.follow(ctx, o.Bus, o.Log)
	asker := why.Asker{Bus: o.Bus, Items: o.Desk.Items}
	pages := console.New(console.Options{
		Desk: deskOf{o.Desk}, Runs: runsOf{o.Runs}, Fleet: served, Together: together{o.Batches}, Changes: news, Environment: o.Environment, Runbook: o.Runbook,
		Who: func(r *http.Request) console.Person { return guest(o.Gate.Who(r)) }, Now: time.Now, Log: o.Log,
		Events: func(run string) string { return "/api/v1/runs/" + run + "/events" }, Why: func(ctx context.Context, run string) (steps.Why, error) {
			s, err := o.Runs.Load(ctx, run)
			if err != nil {
				return steps.Why{}, err
			}
			return asker.Of(ctx, s)
		},
	})
	go pages.Watch(ctx)
	calls := api.New(api.Options{Desk: o.Desk, Runs: o.Runs, Redrives: o.Batches, Fleet: served, Why: asker.Of, Who: func(r *http.Request) handoff.Person { return o.Gate.Who(r).person("api") }})
	return o.Gate.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/api/") || r.URL.Path == "/openapi.json" {
			calls.ServeHTTP(w, r)
			return
		}
		pages.ServeHTTP(w, r)
	}))
}

func guest(v Visitor) console.Person {
	return console.Person{Name: v.Name, Role: v.Role, May: func(a handoff.Action) bool { return v.May == nil || v.May(a) == nil }}
}

// deskOf is the desk as the console sees it.
type deskOf struct{ *handoff.Desk }

// Inbox implements [console.Desk].
func (d deskOf) Inbox(ctx context.Context) ([]handoff.Item, error) { return d.Items(ctx) }

// Act implements [console.Desk].
func (d deskOf) Act(ctx context.Context, who console.Person, id string, a handoff.Act) (handoff.Done, error) {
	return d.Desk.Act(ctx, member(who), id, a)
}

// member is a person of the console at the desk, which asks again what they may.
func member(who console.Person) handoff.Person {
	return handoff.Person{Name: who.Name, Via: "console", May: func(a handoff.Action) error {
		if who.May != nil && who.May(a) {
			return nil
		}
		return handoff.ErrForbidden
	}}
}

// together is what is decided for many, as the console sees it.
type together struct{ *handoff.Batches }

// Start implements [console.Together].
func (t together) Start(ctx context.Context, who console.Person, list []handoff.Chosen, a handoff.Act) (handoff.Batch, error) {
	return t.Batches.Start(ctx, member(who), list, a)
}

// Stop implements [console.Together].
func (t together) Stop(ctx context.Context, who console.Person, id string) (handoff.Batch, error) {
	return t.Batches.Stop(ctx, member(who), id)
}

// runsOf are the runs as the console sees them.
type runsOf struct{ *runlog.Log }

// Run implements [console.Runs].
func (r runsOf) Run(ctx context.Context, id string) (steps.Document, error) {
	s, err := r.Load(ctx, id)
	if err != nil {
		return steps.Document{}, err
	}
	return steps.Show(s), nil
}
