// Package console is the web console: the page that a tired person opens at night to decide what no machine could.
//
// It renders on the server and works without JavaScript; the scripts add the keyboard and the news of what changed. It
// decides nothing and stores nothing: it reads through [Desk], [Runs] and [Fleet], and every act of a person goes to
// [Desk.Act], which checks it again. Nothing acts on a GET: a link, a key or a button of a card only opens a form that
// says what would happen, and a second press sends it. That form names the revision and the digest that were shown.
//
// Whatever a model, a tool or a user wrote is outside text. It is only ever shown escaped, in a marked box, with its
// invisible characters made visible (see [pieces]). It never becomes a link, an attribute's name or a class.
//
// It expects a gate in front of it that knows who asks, refuses cross-origin posts and sets the security headers. The
// pages need no inline script or style, so the strictest Content-Security-Policy fits.
package console

import (
	"context"
	"html/template"
	"log/slog"
	"net/http"
	"time"

	"belay/internal/fleet"
	"belay/internal/handoff"
	"belay/internal/runlog"
	"belay/internal/steps"
)

// Desk is where people's work lies. Errors are told apart with errors.Is and errors.As: [handoff.ErrNoEscalation],
// [handoff.ErrNotAllowed], [handoff.ErrApproved], [handoff.ErrClaimed], [handoff.ErrInvalid] and [*handoff.DecidedBefore]; any other means that it cannot be told
// now whether the act counts, and that it may be repeated without harm.
type Desk interface {
	// Inbox lists the open items, the most urgent first ([handoff.Urgency]); there may be 10,000. The console changes nothing in it.
	Inbox(ctx context.Context) ([]handoff.Item, error)
	Card(ctx context.Context, id string) (handoff.Card, error)
	// Taken is what others did lately about questions that somebody had claimed.
	Taken(ctx context.Context, name string) ([]handoff.Taken, error)
	Act(ctx context.Context, who Person, id string, a handoff.Act) (handoff.Done, error)
}

// Together decides many items alike, in waves, and says how far that is. [handoff.ErrNoBatch] means that there is none.
type Together interface {
	Start(ctx context.Context, who Person, list []handoff.Chosen, a handoff.Act) (handoff.Batch, error)
	Get(ctx context.Context, id string) (handoff.Batch, error)
	Stop(ctx context.Context, who Person, id string) (handoff.Batch, error)
}

// Runs reads runs. [runlog.ErrNoRun] and [runlog.ErrBadID] mean that there is no such run.
type Runs interface {
	Run(ctx context.Context, id string) (steps.Document, error)
	List(ctx context.Context, f runlog.Filter) ([]runlog.Summary, error)
}

// Fleet says who works.
type Fleet interface {
	Tools(ctx context.Context) ([]ToolHealth, error)
	Workers(ctx context.Context) ([]fleet.Worker, error)
}

// ToolHealth is how a tool is served right now.
type ToolHealth struct {
	Tool   string
	Rungs  []RungHealth
	Served bool // a worker asks for at least one of its rungs, or has work of it in hand
	Parked int  // steps of it that wait for a person
}

// RungHealth is the queue of one rung.
type RungHealth struct {
	Rung     string
	Waiting  int       // pulls of workers that wait for work
	Queued   int       // steps that nobody has taken yet
	InFlight int       // steps in workers' hands
	Oldest   time.Time // when the oldest queued step was queued; zero when none is
}

// Changes tells what changed, so that open pages can say so. The channel may lose changes only by being closed: a
// subscriber who is told nothing more asks again and looks at everything anew. So whoever implements it closes the
// channel of a reader that is too slow instead of keeping more and more for it.
type Changes interface {
	Subscribe(ctx context.Context) <-chan Change
}

// Change says that an item or a run is not what it was.
type Change struct {
	Kind ChangeKind
	ID   string
}

// ChangeKind is what changed.
type ChangeKind string

const (
	ItemChanged  ChangeKind = "item"
	RunChanged   ChangeKind = "run"
	BatchChanged ChangeKind = "batch"
)

// Person is who asks.
type Person struct {
	Name string
	Role string                    // in words, for the page
	May  func(handoff.Action) bool // decisions as well as claim, release, assign, snooze and note; nil = none
}

func (p Person) may(a handoff.Action) bool { return p.May != nil && p.May(a) }

// Environment is where this console acts, so that nobody takes production for staging.
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

// Class is the class of the badge in a page.
func (e Environment) Class() Colour {
	switch e.Colour {
	case Red, Amber, Green, Blue:
		return e.Colour
	}
	return Grey
}

// Options say what a console shows and to whom. All but Log, Events and Why are needed.
type Options struct {
	Desk        Desk
	Together    Together
	Runs        Runs
	Fleet       Fleet
	Changes     Changes
	Environment Environment
	Runbook     Runbook // where cards lead to; may be empty
	Who         func(*http.Request) Person
	Now         func() time.Time
	Log         *slog.Logger            // default: nothing is logged
	Events      func(run string) string // the path of a run's raw events; nil = no such link
	// Why says what a run waits for and what will happen if nobody acts; nil = the pages do not say it.
	Why func(ctx context.Context, run string) (steps.Why, error)
}

// Console serves the pages. It is safe for concurrent use.
type Console struct {
	o      Options
	assets *assets
	pages  map[string]*template.Template
	trends *trends
	mux    *http.ServeMux
}

// New makes a console. Its pages work at once; the trends begin with [Console.Watch].
func New(o Options) *Console {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
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
	c.mux.HandleFunc("POST /bulk", c.bulk)
	c.mux.HandleFunc("GET /bulk/{id}", c.batch)
	c.mux.HandleFunc("POST /bulk/{id}/stop", c.stopBatch)
	c.mux.HandleFunc("GET /runs", c.runs)
	c.mux.HandleFunc("GET /runs/{id}", c.run)
	c.mux.HandleFunc("GET /runs/{id}/document", c.document)
	c.mux.HandleFunc("GET /runs/{id}/value", c.runValue)
	c.mux.HandleFunc("GET /tools", c.tools)
	c.mux.HandleFunc("GET /trends", c.showTrends)
	c.mux.HandleFunc("GET /events", c.events)
	c.mux.HandleFunc("GET /static/{file}", c.assets.serve)
	c.mux.HandleFunc("GET /", c.nowhere)
}

// ServeHTTP implements [http.Handler].
func (c *Console) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mux.ServeHTTP(w, r)
}
