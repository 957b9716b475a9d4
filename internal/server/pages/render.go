package pages

import (
	"bytes"
	"cmp"
	"context"
	"embed"
	"errors"
	"html/template"
	"net/http"
	"time"

	"belay/internal/handoff"
	"belay/internal/people"
	"belay/internal/runlog"
)

//go:embed templates
var templateFiles embed.FS

// pageNames are the pages; each is a file of templates that fills the layout.
var pageNames = []string{"inbox", "card", "form", "confirm", "redrive_form", "redrive_runs", "redrive", "runs", "run", "steer", "replay", "migrate", "tools", "trends", "system", "gates", "schedules", "how", "passkeys", "problem", "refused", "news", "signin"}

func parsePages(a *assets) map[string]*template.Template {
	funcs := template.FuncMap{"pieces": pieces, "marked": marked, "asset": a.path, "field": numbered}
	base := template.Must(template.New("").Funcs(funcs).ParseFS(templateFiles, "templates/layout.html", "templates/parts.html", "templates/why.html", "templates/agent.html"))
	pages := make(map[string]*template.Template)
	for _, name := range pageNames {
		pages[name] = template.Must(template.Must(base.Clone()).ParseFS(templateFiles, "templates/"+name+".html"))
	}
	return pages
}

// page is what the layout needs of every page.
type page struct {
	Title string // of the window; the site's name is added
	Nav   string // the entry of the menu that is current
	News  string // path of this page's news; empty = it has none
	Live  bool   // it listens for changes, but has no news line
	Now   string // the server's clock, for countdowns on devices whose clock is wrong
	Env   Environment
	Actor people.Actor
	Role  string // the reader's, in words
	// Stranger says that nobody is signed in: the page has no menu, and nothing that changes by itself.
	Stranger bool
	Faults   []banner   // on purpose, that are active
	More     int        // of them, that there is no room for
	Shut     []gateView // gates that are closed
	MoreShut int        // of them, that there is no room for
	Body     any
}

// show answers with a page. It is rendered before the first byte is sent, so that an error never leaves half a page.
func (c *Console) show(w http.ResponseWriter, r *http.Request, status int, name string, p page) {
	p.Env, p.Actor, p.Now = c.o.Environment, c.o.Who(r), c.o.Now().UTC().Format(time.RFC3339)
	p.Role = cmp.Or(roleOf(p.Actor), "no role")
	if c.o.Faults != nil && !p.Stranger {
		p.Faults, p.More = banners(c.o.Faults(), c.o.Now())
	}
	if !p.Stranger {
		p.Shut, p.MoreShut = c.shut()
	}
	c.write(w, r, status, name, "layout", p)
}

// roleOf is a reader's role in words; empty if there is none.
func roleOf(p people.Actor) string {
	if p.Role == people.Admin && p.Token == "" {
		return "admin, local only" // no token was asked for
	}
	return string(p.Role)
}

func (c *Console) write(w http.ResponseWriter, r *http.Request, status int, name, part string, data any) {
	var b bytes.Buffer
	if err := c.pages[name].ExecuteTemplate(&b, part, data); err != nil {
		c.o.Logger.ErrorContext(r.Context(), "a page cannot be rendered", "page", name, "error", err)
		http.Error(w, "This page cannot be shown. The server's log says why.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes())
}

// problem is a page that says why the requested one cannot be shown.
type problem struct {
	Title  string
	Detail string // may hold outside text
	Next   string // what to do now
}

func (c *Console) showProblem(w http.ResponseWriter, r *http.Request, status int, p problem) {
	c.show(w, r, status, "problem", page{Title: p.Title, Body: p})
}

// fail answers with a page that fits err.
func (c *Console) fail(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, context.Canceled) && r.Context().Err() != nil {
		return // the reader is gone
	}
	switch {
	case errors.Is(err, handoff.ErrNoEscalation):
		c.showProblem(w, r, http.StatusNotFound, problem{"There is no such escalation", "It may have been decided, and its run removed since.", "The list shows everything that is open."})
	case errors.Is(err, runlog.ErrNoRun), errors.Is(err, runlog.ErrBadID):
		c.showProblem(w, r, http.StatusNotFound, problem{"There is no such run", "Ended runs are removed after their retention time.", "The list of runs shows those that are kept."})
	case errors.Is(err, handoff.ErrSignIn):
		c.showProblem(w, r, http.StatusForbidden, problem{"Sign in first", "Deciding what an agent does needs the sign-in code that dispatcher dev printed when it started.", "Nothing was changed. Sign in at /login, then send it again."})
	default:
		c.o.Logger.WarnContext(r.Context(), "a page cannot be made", "path", r.URL.Path, "error", err)
		c.showProblem(w, r, http.StatusServiceUnavailable, problem{"This page cannot be shown now", err.Error(), "Nothing was changed. Load the page again in a moment."})
	}
}

// Refuse answers with a page that says why the reader sees none of them.
func (c *Console) Refuse(w http.ResponseWriter, r *http.Request, why error) {
	c.show(w, r, http.StatusForbidden, "refused", page{Title: "These pages are not for you", Stranger: true, Body: why.Error()})
}

func (c *Console) nowhere(w http.ResponseWriter, r *http.Request) {
	c.showProblem(w, r, http.StatusNotFound, problem{"There is no such page", "", "The menu above leads to every page."})
}

// moment is a point in time on a page: as text, and for the script that shows it in the reader's time zone.
type moment struct {
	ISO  string
	Text string
}

// at shows a time to the second, with the day if it is not today.
func at(t, now time.Time) moment {
	if t.IsZero() {
		return moment{}
	}
	t, now = t.UTC(), now.UTC()
	layout := "15:04:05"
	if t.YearDay() != now.YearDay() || t.Year() != now.Year() {
		layout = "2 Jan 15:04:05"
	}
	return moment{t.Format(time.RFC3339), t.Format(layout) + " UTC"}
}
