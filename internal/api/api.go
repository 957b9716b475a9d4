// Package api is the HTTP API for people's work and for looking at runs, with the same powers as the command line:
//
//	GET  /api/v1/escalations                what waits for a person   ?kind= &tool= &workflow= &class= &run= &fingerprint= &limit= &after=
//	GET  /api/v1/escalations/{id}           one, with its whole context; its ETag is what a decision is about
//	POST /api/v1/escalations/{id}/{verb}    decide it, claim it, note something; If-Match refuses what has changed
//	POST /api/v1/redrives                   decide a list of them alike, in growing waves; dry_run says what would happen
//	GET  /api/v1/redrives/{id}              how far that is
//	POST /api/v1/redrives/{id}/stop
//	GET  /api/v1/runs                       runs, the newest first    ?state= &workflow= &since= &limit=
//	GET  /api/v1/runs/{id}                  one, as `runs show -o json` prints it
//	GET  /api/v1/runs/{id}/why              what it waits for, and what will happen if nobody acts
//	GET  /api/v1/runs/{id}/events           its whole log, one JSON line per entry
//	POST /api/v1/runs/{id}/cancel
//	GET  /api/v1/workers                    the workers that run now
//	GET  /openapi.json                      all of this, for programs
//
// Errors are RFC 9457 documents. Who asks has been found out by whoever calls this handler; what they may do is decided
// at the desk.
package api

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"time"

	"belay/internal/fleet"
	"belay/internal/handoff"
	"belay/internal/runlog"
	"belay/internal/steps"
)

// Desk is where escalations are shown and people's acts carried out.
type Desk interface {
	Items(ctx context.Context) ([]handoff.Item, error)
	Card(ctx context.Context, id string) (handoff.Card, error)
	Act(ctx context.Context, who handoff.Person, id string, a handoff.Act) (handoff.Done, error)
}

// Runs are looked at and cancelled.
type Runs interface {
	Load(ctx context.Context, run string) (*steps.State, error)
	List(ctx context.Context, f runlog.Filter) ([]runlog.Summary, error)
	Export(ctx context.Context, run string, w io.Writer) error
	Cancel(ctx context.Context, run string, e steps.Cancelled) (steps.Word, error)
}

// Fleet says which workers run.
type Fleet interface {
	Workers(ctx context.Context) ([]fleet.Worker, error)
}

// Options are what the API stands on. All are required.
type Options struct {
	Desk     Desk
	Runs     Runs
	Redrives Redrives
	Fleet    Fleet
	Why      func(context.Context, *steps.State) (steps.Why, error) // what a run waits for, and what will happen
	Who      func(*http.Request) handoff.Person                     // whoever let the request in knows
}

//go:embed openapi.json
var openAPI []byte

// New makes the handler.
func New(o Options) http.Handler {
	a := &api{o}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v1/escalations", a.escalations)
	mux.HandleFunc("GET /api/v1/escalations/{id}", a.escalation)
	mux.HandleFunc("POST /api/v1/escalations/{id}/{verb}", a.act)
	mux.HandleFunc("POST /api/v1/redrives", a.redrive)
	mux.HandleFunc("GET /api/v1/redrives/{id}", a.redriven)
	mux.HandleFunc("POST /api/v1/redrives/{id}/stop", a.stopRedrive)
	mux.HandleFunc("GET /api/v1/runs", a.runs)
	mux.HandleFunc("GET /api/v1/runs/{id}", a.run)
	mux.HandleFunc("GET /api/v1/runs/{id}/why", a.why)
	mux.HandleFunc("GET /api/v1/runs/{id}/events", a.events)
	mux.HandleFunc("POST /api/v1/runs/{id}/cancel", a.cancel)
	mux.HandleFunc("GET /api/v1/workers", a.workers)
	mux.HandleFunc("GET /openapi.json", func(w http.ResponseWriter, _ *http.Request) { document(w, "application/json", openAPI) })
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		problem(w, fault{http.StatusNotFound, "not_found", "no such page", "there is nothing at " + r.Method + " " + r.URL.Path + "; /openapi.json says what there is"})
	})
	return mux
}

type api struct{ Options }

func document(w http.ResponseWriter, kind string, body []byte) {
	written(w, http.StatusOK, kind, body)
}

func written(w http.ResponseWriter, status int, kind string, body []byte) {
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

func answer(w http.ResponseWriter, v any) { reply(w, http.StatusOK, v) }

func reply(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		refuse(w, err)
		return
	}
	written(w, status, "application/json", append(body, '\n'))
}

// page bounds a list.
const (
	defaultPage = 100
	largestPage = 1000
)

func limitOf(r *http.Request) (int, error) {
	text := r.URL.Query().Get("limit")
	if text == "" {
		return defaultPage, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > largestPage {
		return 0, fault{http.StatusBadRequest, "invalid", "limit", "limit is a number from 1 to " + strconv.Itoa(largestPage)}
	}
	return n, nil
}

// list is a page of a list; Next is what `after` takes to go on, empty at the end.
type list[T any] struct {
	Items []T    `json:"items"`
	Total int    `json:"total"`
	Next  string `json:"next,omitempty"`
}

func (a *api) escalations(w http.ResponseWriter, r *http.Request) {
	limit, err := limitOf(r)
	if err == nil {
		var all []handoff.Item
		if all, err = a.Desk.Items(r.Context()); err == nil {
			answer(w, pageOf(all, r, limit))
			return
		}
	}
	refuse(w, err)
}

func pageOf(all []handoff.Item, r *http.Request, limit int) list[handoff.Item] {
	q := r.URL.Query()
	fits := func(key, value string) bool { return q.Get(key) == "" || q.Get(key) == value }
	out := list[handoff.Item]{Items: []handoff.Item{}}
	passed := q.Get("after") == ""
	for _, it := range all {
		if !fits("kind", string(it.Kind)) || !fits("tool", it.Tool) || !fits("run", it.Run) || !fits("workflow", it.Workflow) || !fits("class", string(it.Class)) || !fits("fingerprint", it.Fingerprint) {
			continue
		}
		out.Total++
		switch {
		case !passed:
			passed = it.ID == q.Get("after")
		case len(out.Items) < limit:
			out.Items = append(out.Items, it)
		case out.Next == "":
			out.Next = out.Items[limit-1].ID
		}
	}
	return out
}

// tag is what a decision is about: another question, or another approval given, makes another tag.
func tag(d *steps.Dossier) string {
	given := 0
	if d.Approval != nil {
		given = len(d.Approval.Given)
	}
	return `"` + strconv.FormatUint(d.Revision, 10) + "-" + strconv.Itoa(given) + "-" + string(d.State) + `"`
}

func (a *api) escalation(w http.ResponseWriter, r *http.Request) {
	c, err := a.Desk.Card(r.Context(), r.PathValue("id"))
	if err != nil {
		refuse(w, err)
		return
	}
	w.Header().Set("ETag", tag(&c.Dossier))
	answer(w, c)
}

// maxBody is the largest request: parameters and answers are bounded by it too.
const maxBody = steps.MaxParams + 64<<10

func (a *api) act(w http.ResponseWriter, r *http.Request) {
	act := handoff.Act{}
	if err := decode(w, r, &act); err != nil {
		refuse(w, err)
		return
	}
	id := r.PathValue("id")
	act.Verb = handoff.Action(r.PathValue("verb"))
	if want := r.Header.Get("If-Match"); want != "" && want != "*" {
		c, err := a.Desk.Card(r.Context(), id)
		if err == nil && tag(&c.Dossier) != want && !(act.Verb == handoff.Action(steps.VerbApprove) && c.Dossier.Bars(a.Who(r).Name).Outcome != "") { // whom it bars the desk tells why
			err = staleness(&c, want)
		}
		if err != nil {
			refuse(w, err)
			return
		}
	}
	done, err := a.Desk.Act(r.Context(), a.Who(r), id, act)
	if err != nil {
		refuse(w, err)
		return
	}
	answer(w, done)
}

// staleness says what has become of an escalation that somebody has an old picture of.
func staleness(c *handoff.Card, want string) error {
	if d := c.Dossier.Decision; d != nil {
		return &handoff.DecidedBefore{Decision: d, State: c.Dossier.State, At: c.Decided(), Text: c.Dossier.Settled}
	}
	return fault{http.StatusPreconditionFailed, "changed", "It has changed", "you saw " + want + ", it is " + tag(&c.Dossier) + " now: look again"}
}

// decode reads a body that is one JSON object, or nothing.
func decode(w http.ResponseWriter, r *http.Request, into any) error {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); r.ContentLength != 0 && (err != nil || kind != "application/json") {
		return fault{http.StatusUnsupportedMediaType, "invalid", "Content-Type", "send application/json"}
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err == nil {
		err = read(bytes.TrimPrefix(body, []byte("\ufeff")), into)
	}
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return fault{http.StatusRequestEntityTooLarge, "invalid", "too large", "at most " + strconv.FormatInt(tooLarge.Limit, 10) + " bytes"}
	}
	if deep, ok := errors.AsType[steps.TooDeep](err); ok {
		return fault{http.StatusUnprocessableEntity, "invalid", "It does not fit", "the body: " + deep.Error()}
	}
	if err != nil {
		return fault{http.StatusBadRequest, "invalid", "the body cannot be read", err.Error()}
	}
	return nil
}

// read reads one JSON object, or nothing.
func read(body []byte, into any) error {
	if err := steps.CheckDepth(body); err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	err := d.Decode(into)
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err == nil && d.More() {
		err = errors.New("more than one JSON value")
	}
	return err
}

func (a *api) runs(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	f := runlog.Filter{State: steps.RunState(q.Get("state")), Workflow: q.Get("workflow")}
	var err error
	if f.Limit, err = limitOf(r); err == nil && q.Get("since") != "" {
		if f.Since, err = time.Parse(time.RFC3339, q.Get("since")); err != nil {
			err = fault{http.StatusBadRequest, "invalid", "since", "since is a time like 2026-01-02T15:04:05Z"}
		}
	}
	var all []runlog.Summary
	if err == nil {
		all, err = a.Runs.List(r.Context(), f)
	}
	if err != nil {
		refuse(w, err)
		return
	}
	if all == nil {
		all = []runlog.Summary{}
	}
	answer(w, list[runlog.Summary]{Items: all, Total: len(all)})
}

func (a *api) run(w http.ResponseWriter, r *http.Request) {
	s, err := a.Runs.Load(r.Context(), r.PathValue("id"))
	if err != nil {
		refuse(w, err)
		return
	}
	w.Header().Set("ETag", `"`+strconv.FormatUint(s.Seq, 10)+`"`)
	answer(w, steps.Show(s))
}

func (a *api) why(w http.ResponseWriter, r *http.Request) {
	s, err := a.Runs.Load(r.Context(), r.PathValue("id"))
	var why steps.Why
	if err == nil {
		why, err = a.Why(r.Context(), s)
	}
	if err != nil {
		refuse(w, err)
		return
	}
	answer(w, why)
}

func (a *api) events(w http.ResponseWriter, r *http.Request) {
	var body bytes.Buffer
	if err := a.Runs.Export(r.Context(), r.PathValue("id"), &body); err != nil {
		refuse(w, err)
		return
	}
	document(w, "application/x-ndjson", body.Bytes())
}

func (a *api) cancel(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Reason string `json:"reason"`
	}
	err := decode(w, r, &body)
	who := a.Who(r)
	if err == nil && who.May != nil {
		if err = who.May("cancel"); err != nil {
			err = fault{http.StatusForbidden, "forbidden", "You may not do this", err.Error()}
		}
	}
	var told steps.Word
	if err == nil {
		told, err = a.Runs.Cancel(r.Context(), r.PathValue("id"), steps.Cancelled{By: who.Name, Via: "api", Reason: body.Reason})
	}
	if err != nil {
		refuse(w, err)
		return
	}
	answer(w, map[string]string{"id": r.PathValue("id"), "by": who.Name, "effect": told.Text})
}

func (a *api) workers(w http.ResponseWriter, r *http.Request) {
	all, err := a.Fleet.Workers(r.Context())
	if err != nil {
		refuse(w, err)
		return
	}
	answer(w, list[fleet.Worker]{Items: all, Total: len(all)})
}
