// Package api is the HTTP API for people's work and for looking at runs, with the same powers as the command line:
//
//	GET  /api/v1/escalations                what waits for a person   ?kind= &tool= &workflow= &class= &run= &fingerprint= &limit= &after=
//	GET  /api/v1/escalations/{id}           one, with its whole context; its ETag is what a decision is about
//	POST /api/v1/escalations/{id}/{verb}    decide it, claim it, note something; If-Match refuses what has changed
//	POST /api/v1/redrives                   decide a list of them alike, in growing waves; dry_run says what would happen
//	GET  /api/v1/redrives/{id}              how far that is
//	POST /api/v1/redrives/{id}/stop
//	POST /api/v1/redrives/{id}/resume       go on with the runs that were not reached
//	POST /api/v1/runs/cancel                cancel all runs that a query finds; dry_run says which
//	POST /api/v1/runs/retry                 go on from all of them
//	GET  /api/v1/runs                       runs, the newest first    ?where= &state= &workflow= &input= &fault= &limit=
//	POST /api/v1/runs                       start one; Idempotency-Key makes it once    ?wait=
//	GET  /api/v1/runs/{id}                  one, as `runs show -o json` prints it    ?wait=
//	GET  /api/v1/runs/{id}/why              what it waits for, and what will happen if nobody acts
//	GET  /api/v1/runs/{id}/events           its whole log, one JSON line per entry; as server-sent events also what comes    ?after=
//	POST /api/v1/runs/{id}/cancel
//	POST /api/v1/runs/{id}/retry            go on as a new run
//	POST /api/v1/runs/{id}/replay           do it again from a step on, as a new run; dry_run says what would happen
//	POST /api/v1/runs/{id}/migrate          let it go on under another plan, as a new run; dry_run says whether that fits
//	POST /api/v1/calls                      call one tool, as a run of one step    ?wait=
//	GET  /api/v1/workers                    the workers that run now
//	GET  /api/v1/breakers                   the targets that are left alone because they fail
//	GET  /api/v1/limits                     the limits that calls count for at present, with who waits
//	GET  /api/v1/limits/{id}                one, with who has its slots
//	GET  /api/v1/slo                        what came of the calls of each tool    ?window=
//	GET  /api/v1/causes                     what calls fail with    ?tool=&since=&new=
//	GET  /api/v1/gates                      the gates that are closed    ?all=true: those that were opened lately too
//	POST /api/v1/gates                      close one: nothing that it covers begins
//	GET  /api/v1/gates/{id}                 one, with what it holds back and what still runs
//	POST /api/v1/gates/{id}/open
//	GET  /api/v1/schedules                  what starts runs again and again
//	POST /api/v1/schedules                  add one, or replace one
//	GET  /api/v1/schedules/{name}           one, with its last firings
//	DELETE /api/v1/schedules/{name}
//	POST /api/v1/schedules/{name}/pause, resume, fire
//	GET  /api/v1/archive                    ended runs with their whole logs, as `runs archive` writes them    ?where=&ended_until=
//	POST /api/v1/archive/remove             remove from the log what is in an archive
//	GET  /api/v1/passkeys                   the caller's passkeys; an admin's all
//	DELETE /api/v1/passkeys/{id}
//	GET  /api/v1/doctor                     what is not as it should be, with what to do
//	GET  /openapi.json                      all of this, for programs
//
// Errors are RFC 9457 documents. The caller of this handler has found out who asks; what they may do is decided at the
// desk, and for a submitter, who sees what it has started and nothing else, in own.go.
package api

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"unicode/utf8"

	"belay/internal/bus"
	"belay/internal/catalog"
	"belay/internal/doctor"
	"belay/internal/exactjson"
	"belay/internal/handoff"
	"belay/internal/people"
	"belay/internal/requests"
	"belay/internal/runlog"
	"belay/internal/schedules"
	"belay/internal/server/gate"
	"belay/internal/steps"
	"belay/internal/steps/view"
)

// Options are what the API stands on. All but Passkeys, Released, Catalog, Trace and Prove are required.
type Options struct {
	Desk      *handoff.Desk                                         // shows escalations, and carries out what people do about them
	Runs      *runlog.Log                                           // what is listed, shown, started and cancelled
	Watch     *runlog.Watch                                         // waits for runs
	Redrives  *handoff.Redrives                                     // decide many escalations alike
	Workers   func(context.Context) ([]bus.Worker, error)           // which workers run now
	Examine   func(context.Context) doctor.Report                   // what is not as it should be
	Gates     Gates                                                 // what holds calls back
	Schedules Schedules                                             // what starts runs again and again
	Score     Score                                                 // what came of calls
	Passkeys  Passkeys                                              // those that people have registered; nil = nobody registers any here
	Why       func(context.Context, *steps.State) (view.Why, error) // what a run waits for, and what will happen
	Released  func(context.Context, *steps.State) bool              // whether a run waits for nothing but gates that were opened; nil = none does
	Who       func(*http.Request) people.Actor                      // whoever let the request in knows
	Catalog   *catalog.Catalog                                      // what may be submitted; nil = nothing
	Trace     Trace                                                 // nil: the runs are in no trace
	Prove     func(run string, e *steps.Submitted) error            // signs that the token of whoever submits a run was shown; nil = nothing is signed
	Waits     *gate.Waits                                           // shared by all that wait in this process; nil = its own
	Inside    bool                                                  // its requests are made by this program, which names runs as no caller may
}

// Trace begins the span of a submit, below the caller's own span where traceparent is a valid one, and gives the one
// that the run is below.
type Trace func(ctx context.Context, traceparent, run, workflow string) (parent string, end func(error))

//go:embed openapi.json
var openAPI []byte

// New makes the handler.
func New(o Options) http.Handler {
	a := &api{o}
	if a.Waits == nil {
		a.Waits = gate.NewWaits()
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v1/escalations", a.looking(a.escalations))
	mux.HandleFunc("GET /api/v1/escalations/{id}", a.looking(a.escalation))
	mux.HandleFunc("POST /api/v1/escalations/{id}/{verb}", a.looking(a.act))
	mux.HandleFunc("POST /api/v1/redrives", a.looking(a.redrive))
	mux.HandleFunc("GET /api/v1/redrives/{id}", a.ofRedrive(a.redriven))
	mux.HandleFunc("POST /api/v1/redrives/{id}/stop", a.ofRedrive(a.stopRedrive))
	mux.HandleFunc("POST /api/v1/redrives/{id}/resume", a.ofRedrive(a.resumeRedrive))
	mux.HandleFunc("POST /api/v1/runs/cancel", a.redriveRuns(people.Cancel))
	mux.HandleFunc("POST /api/v1/runs/retry", a.redriveRuns(people.Retry))
	mux.HandleFunc("GET /api/v1/workers", a.looking(a.workers))
	mux.HandleFunc("GET /api/v1/breakers", a.looking(a.breakers))
	mux.HandleFunc("GET /api/v1/limits", a.looking(a.limits))
	mux.HandleFunc("GET /api/v1/limits/{id}", a.looking(a.limit))
	mux.HandleFunc("GET /api/v1/slo", a.looking(a.slo))
	mux.HandleFunc("GET /api/v1/causes", a.looking(a.causes))
	mux.HandleFunc("GET /api/v1/gates", a.looking(a.gates))
	mux.HandleFunc("POST /api/v1/gates", a.looking(a.closeGate))
	mux.HandleFunc("GET /api/v1/gates/{id}", a.looking(a.gate))
	mux.HandleFunc("POST /api/v1/gates/{id}/open", a.looking(a.openGate))
	mux.HandleFunc("GET /api/v1/schedules", a.looking(a.schedules))
	mux.HandleFunc("POST /api/v1/schedules", a.looking(a.addSchedule))
	mux.HandleFunc("GET /api/v1/schedules/{name}", a.looking(a.schedule))
	mux.HandleFunc("DELETE /api/v1/schedules/{name}", a.looking(a.changeSchedule(schedules.DoRemove)))
	mux.HandleFunc("POST /api/v1/schedules/{name}/pause", a.looking(a.changeSchedule(schedules.DoPause)))
	mux.HandleFunc("POST /api/v1/schedules/{name}/resume", a.looking(a.changeSchedule(schedules.DoResume)))
	mux.HandleFunc("POST /api/v1/schedules/{name}/fire", a.looking(a.fireSchedule))
	mux.HandleFunc("GET /api/v1/archive", a.looking(a.archive))
	mux.HandleFunc("POST /api/v1/archive/remove", a.looking(a.removeArchived))
	mux.HandleFunc("GET /api/v1/passkeys", a.looking(a.passkeys))
	mux.HandleFunc("DELETE /api/v1/passkeys/{id}", a.looking(a.removePasskey))
	mux.HandleFunc("GET /api/v1/doctor", a.looking(a.doctor))
	mux.HandleFunc("GET /api/v1/runs", a.runs)
	mux.HandleFunc("POST /api/v1/runs", a.submit)
	mux.HandleFunc("POST /api/v1/calls", a.call)
	mux.HandleFunc("GET /api/v1/runs/{id}", a.ofRun(a.run))
	mux.HandleFunc("GET /api/v1/runs/{id}/why", a.ofRun(a.why))
	mux.HandleFunc("GET /api/v1/runs/{id}/events", a.ofRun(a.events))
	mux.HandleFunc("POST /api/v1/runs/{id}/cancel", a.ofRun(a.cancel))
	mux.HandleFunc("POST /api/v1/runs/{id}/steer", a.ofRun(a.steer))
	mux.HandleFunc("POST /api/v1/runs/{id}/retry", a.ofRun(a.retry))
	mux.HandleFunc("POST /api/v1/runs/{id}/replay", a.ofRun(a.replay))
	mux.HandleFunc("POST /api/v1/runs/{id}/migrate", a.ofRun(a.migrate))
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

// Bounds of the length of a list.
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

// list is a page of a list; Next is the value of `after` for the next page, empty on the last one.
type list[T any] struct {
	Items []T    `json:"items"`
	Total int    `json:"total"`
	Next  string `json:"next,omitempty"`
	Short string `json:"short,omitempty"` // why some may be missing, as a sentence
	Read  int    `json:"read,omitempty"`  // how many runs' logs were read because of a fault that is asked for
}

func (a *api) escalations(w http.ResponseWriter, r *http.Request) {
	limit, err := limitOf(r)
	if err == nil {
		var all []handoff.Item
		if all, err = a.open(r.Context(), r.URL.Query().Get("run")); err == nil {
			answer(w, pageOf(all, r, limit))
			return
		}
	}
	refuse(w, err)
}

// open are the open escalations: those of a run as its log has them, so that who sees it wait finds what it waits for.
func (a *api) open(ctx context.Context, run string) ([]handoff.Item, error) {
	if run != "" {
		return a.Desk.ItemsOf(ctx, run)
	}
	return a.Desk.Items(ctx)
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

// tag is the ETag of an escalation: it changes with the question and with every approval.
func tag(d *view.Dossier) string {
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

// maxBody bounds the body of a request, and with it parameters and answers.
const maxBody = steps.MaxParams + 64<<10

func (a *api) act(w http.ResponseWriter, r *http.Request) {
	act := people.Act{}
	if err := decode(w, r, &act); err != nil {
		refuse(w, err)
		return
	}
	id := r.PathValue("id")
	act.Verb = people.Action(r.PathValue("verb"))
	var done handoff.Done
	var err error
	if want := r.Header.Get("If-Match"); want != "" && want != "*" {
		done, err = a.actIf(r, id, act, want)
	} else {
		done, err = a.Desk.Act(r.Context(), a.Who(r), id, act)
	}
	if err != nil {
		refuse(w, err)
		return
	}
	answer(w, done)
}

// actIf acts on an escalation if it still has the tag that the caller has seen.
func (a *api) actIf(r *http.Request, id string, act people.Act, want string) (handoff.Done, error) {
	who := a.Who(r)
	c, err := a.Desk.Question(r.Context(), id)
	if err != nil {
		return handoff.Done{}, err
	}
	barred := act.Verb == people.Approve && c.Dossier.Bars(who.Name).Outcome != "" // the desk says why
	if tag(&c.Dossier) != want && !barred {
		return handoff.Done{}, staleness(&c, want)
	}
	return a.Desk.ActOn(r.Context(), who, &c, act)
}

// staleness returns what has happened to an escalation since the caller saw it.
func staleness(c *handoff.Card, want string) error {
	if d := c.Dossier.Decision; d != nil {
		return &handoff.DecidedBefore{Decision: d, State: c.Dossier.State, At: c.Decided(), Text: c.Dossier.Settled}
	}
	return fault{http.StatusPreconditionFailed, "changed", "It has changed", "you saw " + want + ", it is " + tag(&c.Dossier) + " now: look again"}
}

// decode reads a body that is one JSON object or empty.
func decode(w http.ResponseWriter, r *http.Request, into any) error {
	_, err := decodeBody(w, r, into)
	return err
}

// decodeBody is decode that also returns the text as it came, so that mistakes in it can be located.
func decodeBody(w http.ResponseWriter, r *http.Request, into any) ([]byte, error) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); r.ContentLength != 0 && (err != nil || kind != "application/json") {
		return nil, fault{http.StatusUnsupportedMediaType, "invalid", "Content-Type", "send application/json"}
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err == nil {
		err = read(bytes.TrimPrefix(body, []byte("\ufeff")), into)
	}
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, fault{http.StatusRequestEntityTooLarge, "invalid", "too large", "at most " + strconv.FormatInt(tooLarge.Limit, 10) + " bytes"}
	}
	if deep, ok := errors.AsType[steps.TooDeep](err); ok {
		return nil, fault{http.StatusUnprocessableEntity, "invalid", "It does not fit", "the body: " + deep.Error()}
	}
	if err != nil {
		return nil, fault{http.StatusBadRequest, "invalid", "the body cannot be read", err.Error()}
	}
	return body, nil
}

// read reads one JSON object, or none from an empty body.
func read(body []byte, into any) error {
	if err := steps.CheckDepth(body); err != nil {
		return err
	}
	if !utf8.Valid(body) {
		return errors.New("it is not valid UTF-8")
	}
	err := exactjson.Strict(body, into)
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err != nil {
		return err
	}
	return exactjson.Distinct(body) // also in parameters and inputs: people approve what one reader sees of them
}

func (a *api) run(w http.ResponseWriter, r *http.Request) {
	wait, err := waitOf(r)
	if err != nil {
		refuse(w, err)
		return
	}
	leave, err := a.enter(a.Who(r), wait > 0)
	if err != nil {
		refuse(w, err)
		return
	}
	defer leave()
	a.show(w, r, r.PathValue("id"), http.StatusOK, wait)
}

func (a *api) why(w http.ResponseWriter, r *http.Request) {
	s, err := a.Runs.Load(r.Context(), r.PathValue("id"))
	var why view.Why
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
	if wantsStream(r) {
		a.stream(w, r)
		return
	}
	run := r.PathValue("id")
	lines, err := a.Runs.Lines(r.Context(), run, 0)
	if err == nil && len(lines) == 0 {
		err = fmt.Errorf("export run %s: %w", run, runlog.ErrNoRun)
	}
	if err != nil {
		refuse(w, err)
		return
	}
	var body bytes.Buffer
	for _, line := range lines {
		body.Write(shownTo(a.Who(r), line.JSON))
	}
	document(w, "application/x-ndjson", body.Bytes())
}

func (a *api) cancel(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Reason string `json:"reason"`
	}
	err := decode(w, r, &body)
	who := a.Who(r)
	if err == nil {
		err = who.May(requests.Cancels(who))
	}
	var done view.Reply
	if err == nil {
		done, err = a.Runs.Cancel(r.Context(), r.PathValue("id"), steps.Cancelled{By: who.Name, Via: who.Via, Reason: body.Reason})
	}
	if err != nil {
		refuse(w, err)
		return
	}
	answer(w, map[string]string{"id": r.PathValue("id"), "by": who.Name, "effect": done.Text})
}

// steer writes a message to an agent of the run, or takes back some of its turns.
func (a *api) steer(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Step     string `json:"step"`
		Text     string `json:"text"`
		ID       string `json:"message_id"`
		TakeBack int    `json:"take_back"`
	}
	err := decode(w, r, &body)
	who := a.Who(r)
	if err == nil {
		err = who.May(requests.Steers(who))
	}
	var done view.Reply
	if err == nil {
		done, err = a.Runs.Steer(r.Context(), r.PathValue("id"), steps.Steered{ID: body.ID, Step: body.Step, Text: body.Text, TakeBack: body.TakeBack, By: who.Name, Via: who.Via})
	}
	if err != nil {
		refuse(w, err)
		return
	}
	answer(w, map[string]string{"id": r.PathValue("id"), "by": who.Name, "effect": done.Text})
}

func (a *api) workers(w http.ResponseWriter, r *http.Request) {
	all, err := a.Workers(r.Context())
	if err != nil {
		refuse(w, err)
		return
	}
	answer(w, list[bus.Worker]{Items: all, Total: len(all)})
}

func (a *api) doctor(w http.ResponseWriter, r *http.Request) { answer(w, a.Examine(r.Context())) }
