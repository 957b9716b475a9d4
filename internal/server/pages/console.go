// Package pages is the web console: the pages on which a tired person decides at night what no machine could.
//
// They are rendered on the server and work without JavaScript; the scripts add keyboard shortcuts and notices of changes.
// The console decides and stores nothing: it reads through [Desk] and [Runs], and every act of a person goes to
// [Desk.Act], [Runs.Steer] or [Replays.Replay], which check it again. A GET never acts: a link, a key or a button of a card only opens a form that says
// what would happen, and a second press sends it. The form carries the revision and the digest that were shown.
//
// Whatever a model, a tool or a user wrote is outside text. It is only ever shown escaped, in a marked box, with its
// invisible characters made visible (see [pieces]). It never becomes a link, a class or the name of an attribute.
//
// The package expects a gate in front of it that knows who asks, refuses cross-origin posts and sets the security
// headers. The pages have no inline script or style, so the strictest Content-Security-Policy fits.
package pages

import (
	"context"
	"html/template"
	"log/slog"
	"net/http"
	"time"

	"belay/internal/bus"
	"belay/internal/doctor"
	"belay/internal/handoff"
	"belay/internal/injection"
	"belay/internal/people"
	"belay/internal/runlog"
	"belay/internal/schedules"
	"belay/internal/steps"
	"belay/internal/steps/view"
)

// Desk lists open escalations, and takes what people do about them. Its errors are [handoff.ErrNoEscalation],
// [handoff.ErrNotAllowed], [handoff.ErrApproved], [handoff.ErrClaimed], [handoff.ErrInvalid] and [*handoff.DecidedBefore]
// (use errors.Is and errors.As). After any other error the act may or may not count, and can be repeated without harm.
type Desk interface {
	// Items lists what is open, the most urgent first ([handoff.Urgency]); there may be 10,000. The console changes nothing in it.
	Items(ctx context.Context) ([]handoff.Item, error)
	// Question is a card without its trail and what is similar, as forms need it; ActOn acts on it.
	Question(ctx context.Context, id string) (handoff.Card, error)
	Card(ctx context.Context, id string) (handoff.Card, error)
	// TakenOver lists what others did lately about escalations that this person had claimed.
	TakenOver(ctx context.Context, name string) ([]handoff.TakenOver, error)
	// Admits returns a [handoff.ErrSignIn] if somebody may not decide it before they sign in.
	Admits(ctx context.Context, who people.Actor, id string) error
	Act(ctx context.Context, who people.Actor, id string, a people.Act) (handoff.Done, error)
	ActOn(ctx context.Context, who people.Actor, c *handoff.Card, a people.Act) (handoff.Done, error)
	// Challenge is what the passkey of somebody must sign for their approval of a card to count; nil where none is asked for.
	Challenge(who people.Actor, c *handoff.Card) []byte
}

// Redrives decides many items alike, in waves, and shows its progress. [handoff.ErrNoRedrive] means that there is none.
type Redrives interface {
	Start(ctx context.Context, who people.Actor, list []handoff.Chosen, a people.Act) (handoff.Redrive, error)
	Get(ctx context.Context, id string) (handoff.Redrive, error)
	Stop(ctx context.Context, who people.Actor, id string) (handoff.Redrive, error)
	// FindRuns says which runs an order would be about, StartRuns begins it, and Resume goes on with what it has not reached.
	FindRuns(ctx context.Context, o handoff.RunOrder) (handoff.Found, error)
	StartRuns(ctx context.Context, who people.Actor, o handoff.RunOrder, list []handoff.Chosen, allowed handoff.Allowed) (handoff.Redrive, error)
	Resume(ctx context.Context, who people.Actor, id string, allowed handoff.Allowed) (handoff.Redrive, error)
}

// Runs reads runs, and takes what people write to their agents. [runlog.ErrNoRun] and [runlog.ErrBadID] mean that there is
// no such run.
type Runs interface {
	Document(ctx context.Context, run string) (view.Document, error)
	List(ctx context.Context, f runlog.Filter) (runlog.Page, error)
	// Steer writes a message to an agent. A second one with its ID, text and author changes nothing. The errors are
	// [runlog.ErrEnded], [runlog.ErrNoAgent], [runlog.ErrNoTurn] and [runlog.ErrInvalid]; after any other one it may or may not be written.
	Steer(ctx context.Context, run string, e steps.Steered) (view.Reply, error)
}

// ToolHealth is how a tool is served right now.
type ToolHealth struct {
	Tool   string
	Rungs  []RungHealth
	Served bool // a worker is pulling for at least one of its rungs, or has a step of it in hand
	Parked int  // steps of it that wait for a person
}

// RungHealth is the queue of one rung.
type RungHealth struct {
	Rung     string
	Waiting  int       // pulls of workers that are waiting for work
	Queued   int       // steps that no worker has pulled yet
	InFlight int       // steps that workers have in hand
	Oldest   time.Time // when the oldest queued step was queued; zero when none is
}

// Environment names where this console acts, so that nobody mistakes production for staging.
type Environment struct {
	Name   string // "PROD eu-1"
	Colour Colour
}

// Colour is one of the few colours of an environment's badge.
type Colour string

// The colours; anything else is shown like [Grey].
const (
	Red   Colour = "red"
	Amber Colour = "amber"
	Green Colour = "green"
	Blue  Colour = "blue"
	Grey  Colour = "grey"
)

// Class returns the CSS class of the badge.
func (e Environment) Class() Colour {
	switch e.Colour {
	case Red, Amber, Green, Blue:
		return e.Colour
	}
	return Grey
}

// Options say what a console shows and to whom. All but Logger, Events, Why, Faults and Runbook are required.
type Options struct {
	Desk        Desk                                        // open items, cards, and what people do about them
	Redrives    Redrives                                    // decisions about many items alike
	Runs        Runs                                        // the list of runs, and each of them
	Replays     Replays                                     // does them again; nil = nobody can here
	Migrations  Migrations                                  // lets them go on under other plans; nil = nobody can here
	Tools       func(context.Context) ([]ToolHealth, error) // how each tool is served now
	Workers     func(context.Context) ([]bus.Worker, error) // which workers run now
	Examine     func(context.Context) doctor.Report         // what is not as it should be
	Gates       Gates                                       // what people hold calls back with
	Schedules   Schedules                                   // what starts runs again and again
	Score       Score                                       // what came of calls
	Passkeys    Passkeys                                    // that people approve with; nil = nobody registers any here
	PublicURL   string                                      // where people reach the console; empty = under the address that they use
	Changes     *Changes                                    // notifies open pages
	Environment Environment
	Runbook     Runbook // which page cards link to; may be empty
	Who         func(*http.Request) people.Actor
	Now         func() time.Time
	Logger      *slog.Logger                               // default: nothing is logged
	Prove       func(run string, e *steps.Submitted) error // signs that the token of whoever starts a run was shown; nil = nothing is signed
	Events      func(run string) string                    // the path of a run's raw events; nil = no such link
	// Why says what a run waits for and what will happen if nobody acts; nil = the pages do not show it.
	Why func(ctx context.Context, run string) (view.Why, error)
	// Faults are those on purpose, as they are known now; every page asks. Nil = there are none.
	Faults func() []injection.Order
}

// Console serves the pages. It is safe for concurrent use.
type Console struct {
	o      Options
	assets *assets
	pages  map[string]*template.Template
	trends *trends
	mux    *http.ServeMux
}

// New makes a console. Trends need [Console.Watch]; everything else works at once.
func New(o Options) *Console {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	c := &Console{o: o, assets: newAssets(), trends: newTrends(o.Now()), mux: http.NewServeMux()}
	c.pages = parsePages(c.assets)
	c.routes()
	return c
}

func (c *Console) routes() {
	c.mux.HandleFunc("GET /{$}", c.inbox)
	c.mux.HandleFunc("GET /news", c.news)
	c.mux.HandleFunc("GET /next", c.next)
	c.mux.HandleFunc("GET /e/{id}", c.card)
	c.mux.HandleFunc("GET /e/{id}/value", c.cardValue)
	c.mux.HandleFunc("GET /e/{id}/{verb}", c.form)
	c.mux.HandleFunc("POST /e/{id}/{verb}", c.act)
	c.mux.HandleFunc("POST /redrives", c.redrive)
	c.mux.HandleFunc("GET /redrives/runs", c.runsForm)
	c.mux.HandleFunc("POST /redrives/runs", c.redriveRuns)
	c.mux.HandleFunc("GET /redrives/{id}", c.showRedrive)
	c.mux.HandleFunc("POST /redrives/{id}/stop", c.stopRedrive)
	c.mux.HandleFunc("POST /redrives/{id}/resume", c.resumeRedrive)
	c.mux.HandleFunc("GET /runs", c.runs)
	c.mux.HandleFunc("GET /runs/{id}", c.run)
	c.mux.HandleFunc("GET /runs/{id}/document", c.document)
	c.mux.HandleFunc("GET /runs/{id}/value", c.runValue)
	c.mux.HandleFunc("GET /runs/{id}/steer", c.steerForm)
	c.mux.HandleFunc("POST /runs/{id}/steer", c.steer)
	c.mux.HandleFunc("GET /runs/{id}/replay", c.replayForm)
	c.mux.HandleFunc("POST /runs/{id}/replay", c.replay)
	c.mux.HandleFunc("GET /runs/{id}/migrate", c.migrateForm)
	c.mux.HandleFunc("POST /runs/{id}/migrate", c.migrate)
	c.mux.HandleFunc("GET /tools", c.tools)
	c.mux.HandleFunc("GET /trends", c.showTrends)
	c.mux.HandleFunc("GET /system", c.system)
	c.mux.HandleFunc("GET /gates", c.gates)
	c.mux.HandleFunc("POST /gates", c.closeGate)
	c.mux.HandleFunc("POST /gates/{id}/open", c.openGate)
	c.mux.HandleFunc("GET /schedules", c.schedules)
	c.mux.HandleFunc("POST /schedules/{name}/pause", c.changeSchedule(schedules.DoPause))
	c.mux.HandleFunc("POST /schedules/{name}/resume", c.changeSchedule(schedules.DoResume))
	c.mux.HandleFunc("POST /schedules/{name}/fire", c.fireSchedule)
	c.mux.HandleFunc("GET /passkeys", c.passkeys)
	c.mux.HandleFunc("POST /passkeys", c.addPasskey)
	c.mux.HandleFunc("POST /passkeys/{id}/remove", c.removePasskey)
	c.mux.HandleFunc("GET /how", c.how)
	c.mux.HandleFunc("GET /events", c.events)
	c.mux.HandleFunc("GET /static/{file}", c.assets.serve)
	c.mux.HandleFunc("GET /", c.nowhere)
}

// ServeHTTP implements [http.Handler].
func (c *Console) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mux.ServeHTTP(w, r)
}
