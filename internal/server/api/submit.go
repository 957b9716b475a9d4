package api

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"

	"belay/internal/catalog"
	"belay/internal/exactjson"
	"belay/internal/people"
	"belay/internal/requests"
	"belay/internal/runlog"
	"belay/internal/steps"
)

// runOrder is a run that somebody wants started.
type runOrder struct {
	ID     string                     `json:"id"`     // of the run; empty = one from the Idempotency-Key, or a new one
	Plan   json.RawMessage            `json:"plan"`   // the name of one, or a whole one
	Input  map[string]json.RawMessage `json:"input"`  // over the plan's defaults
	Labels map[string]string          `json:"labels"` // over the plan's own
	At     string                     `json:"at"`     // when it begins, an RFC 3339 time; empty = see in
	In     string                     `json:"in"`     // without at: in how long it begins; empty = at once
}

func (a *api) submit(w http.ResponseWriter, r *http.Request) {
	var o runOrder
	body, err := decodeBody(w, r, &o)
	order, act := catalog.Order{Input: o.Input, Labels: o.Labels, Begin: o.At, In: o.In}, people.Submit
	if err == nil {
		order.Strict, err = strictOf(r)
	}
	if err == nil {
		act, err = planOf(&order, o.Plan, body)
	}
	if err != nil {
		refuse(w, err)
		return
	}
	sent := map[string]any{"plan": o.Plan, "input": o.Input, "labels": o.Labels}
	for name, when := range map[string]string{"at": o.At, "in": o.In} {
		if when != "" {
			sent[name] = when
		}
	}
	a.start(w, r, starting{act: act, id: o.ID, order: order, request: digest(sent)})
}

// planOf reads the plan of an order, a name or a whole one, and says what it takes to start it.
func planOf(o *catalog.Order, plan json.RawMessage, body []byte) (people.Action, error) {
	switch plan = bytes.TrimSpace(plan); {
	case bytes.HasPrefix(plan, []byte(`{`)):
		o.Whole, o.At = plan, placeOf(body, "plan")
		return people.SubmitWhole, nil
	case json.Unmarshal(plan, &o.Plan) != nil || o.Plan == "":
		return people.Submit, fault{http.StatusUnprocessableEntity, "invalid", "plan", "plan is the name of a plan that the server has, or a whole plan as an object"}
	}
	return people.Submit, nil
}

// callOrder is one call of a tool that somebody wants.
type callOrder struct {
	ID     string            `json:"id"`     // of the run; empty = one from the Idempotency-Key, or a new one
	Tool   string            `json:"tool"`   // its name
	Params json.RawMessage   `json:"params"` // an object; none = {}
	Labels map[string]string `json:"labels"` // of the run
}

func (a *api) call(w http.ResponseWriter, r *http.Request) {
	var o callOrder
	err := decode(w, r, &o)
	strict := false
	if err == nil {
		strict, err = strictOf(r)
	}
	if err == nil && o.Tool == "" {
		err = fault{http.StatusUnprocessableEntity, "invalid", "tool", "tool is the name of the tool to call"}
	}
	if err != nil {
		refuse(w, err)
		return
	}
	order := catalog.Order{Tool: o.Tool, Params: o.Params, Labels: o.Labels, Strict: strict}
	a.start(w, r, starting{act: people.CallTool, id: o.ID, order: order, request: digest(map[string]any{"tool": o.Tool, "params": o.Params, "labels": o.Labels})})
}

// strictOf returns whether a request wants its plan refused for warnings too.
func strictOf(r *http.Request) (bool, error) {
	switch r.URL.Query().Get("strict") {
	case "", "false":
		return false, nil
	case "true":
		return true, nil
	}
	return false, fault{http.StatusBadRequest, "invalid", "strict", "strict is true or false"}
}

func (a *api) retry(w http.ResponseWriter, r *http.Request) {
	var o struct {
		ID     string `json:"id"`
		Reason string `json:"reason"`
	}
	if err := decode(w, r, &o); err != nil {
		refuse(w, err)
		return
	}
	of := r.PathValue("id")
	a.start(w, r, starting{act: people.Submit, id: o.ID, retryOf: of, reason: o.Reason, request: digest(map[string]any{"retry": of, "reason": o.Reason})})
}

// starting is a request for a run.
type starting struct {
	act     people.Action // that starts it
	id      string        // of the run, as the caller wants it; empty = not said
	request string        // digest of what the caller sent
	order   catalog.Order

	trace   string // traceparent of the caller; empty = none
	retryOf string // the run to go on from; empty = order
	reason  string // of a retry or a replay

	replayOf string // the run to do again; empty = none. Its plan is order's, where that has one
	replay   runlog.Replaying
}

// runsAt is where runs are.
const runsAt = "/api/v1/runs/"

// start answers with the run that a request is for, and starts it where no earlier request has.
func (a *api) start(w http.ResponseWriter, r *http.Request, s starting) {
	who := a.Who(r)
	wait, err := waitOf(r)
	if err == nil {
		err = a.mayStart(r.Context(), who, s)
	}
	leave := func() {}
	if err == nil {
		leave, err = a.enter(who, wait > 0) // before anything is started: a refused request has done nothing
	}
	defer func() { leave() }()
	var run string
	if err == nil {
		run, err = a.runOf(r, who, s.id)
	}
	created := false
	if parents := r.Header.Values("Traceparent"); len(parents) == 1 {
		s.trace = parents[0]
	}
	if err == nil {
		run, created, err = a.once(r.Context(), who, run, s)
	}
	if err != nil {
		refuse(w, err)
		return
	}
	w.Header().Set("Location", runsAt+run)
	status := http.StatusCreated
	if !created {
		w.Header().Set("Idempotency-Replayed", "true")
		status = http.StatusOK
	}
	a.show(w, r, run, status, wait)
}

// mayStart refuses who may not start this.
func (a *api) mayStart(ctx context.Context, who people.Actor, s starting) error {
	if err := who.May(s.act); err != nil {
		return err
	}
	if before := cmp.Or(s.retryOf, s.replayOf); before != "" {
		if err := a.rights().MayRetry(ctx, who, before); err != nil {
			return err
		}
	}
	return who.MayStart(s.order.Plan, s.order.Tool)
}

// once starts a run, or finds that the same request has started it. What the request says is compared, not what the
// server makes of it: a plan that has changed since is no other request.
func (a *api) once(ctx context.Context, who people.Actor, run string, s starting) (id string, created bool, err error) {
	if run != "" {
		there, err := a.Runs.Submitted(ctx, run)
		if err != nil {
			return "", false, err
		}
		if there != nil {
			return run, false, a.repeat(ctx, who, run, *there, s)
		}
	}
	id, created, err = a.store(ctx, who, run, s)
	if run == "" || err != nil && !errors.Is(err, runlog.ErrConflict) || created {
		return id, created, err
	}
	there, found := a.Runs.Submitted(ctx, run) // somebody else was faster, or it is a retry
	if found != nil || there == nil {
		return "", false, errors.Join(err, found)
	}
	return run, s.retryOf != "", same(who, *there, s)
}

// store starts a run. An empty id is a new one.
func (a *api) store(ctx context.Context, who people.Actor, run string, s starting) (id string, created bool, err error) {
	if s.retryOf == "" && s.replayOf == "" && a.Catalog == nil {
		return "", false, noCatalog
	}
	trace, end := "", func(error) {}
	if a.Trace != nil {
		trace, end = a.Trace(ctx, s.trace, run, s.name())
	}
	defer func() { end(err) }()
	if s.retryOf != "" {
		id, err = a.Runs.Retry(ctx, s.retryOf, run, runlog.Retried{By: who.Name, Via: who.Via, Reason: s.reason, Request: s.request, Token: who.Token, Trace: trace, Prove: a.proves(who)})
		return id, run == "", err
	}
	if s.replayOf != "" {
		return a.redo(ctx, who, run, trace, s)
	}
	sub, err := a.Catalog.Prepare(s.order)
	if err == nil {
		err = requests.Permitted(who, s.act, sub.Document)
	}
	if err != nil {
		return "", false, visible(who, err)
	}
	if run == "" {
		fresh, err := uuid.NewV7()
		if err != nil {
			return "", false, err
		}
		run = fresh.String()
	}
	sub.By, sub.Via, sub.Token, sub.Request, sub.Trace = who.Name, who.Via, who.Token, s.request, trace
	if prove := a.proves(who); prove != nil {
		if err := prove(run, &sub); err != nil {
			return "", false, err
		}
	}
	created, err = a.Runs.Submit(ctx, run, sub)
	return run, created, err
}

// name is what is started, for traces.
func (s starting) name() string {
	var whole struct {
		Name string `json:"name"`
	}
	_ = exactjson.Unmarshal(s.order.Whole, &whole) // its mistakes are found elsewhere
	return cmp.Or(s.order.Plan, s.order.Tool, whole.Name, s.retryOf, s.replayOf, "plan")
}

// proves signs that somebody's token was shown; nil for somebody who was let in without one: nobody has checked who they are.
func (a *api) proves(who people.Actor) func(run string, e *steps.Submitted) error {
	if who.Token == "" {
		return nil
	}
	return a.Prove
}

// repeat makes sure that a run that was started before is stored.
func (a *api) repeat(ctx context.Context, who people.Actor, run string, there steps.Submitted, s starting) error {
	if err := same(who, there, s); err != nil {
		return err
	}
	_, err := a.Runs.Submit(ctx, run, there)
	return err
}

// same refuses another request than the one that has started a run, without a word about that.
func same(who people.Actor, there steps.Submitted, s starting) error {
	switch {
	case there.By == who.Name && there.Request == s.request:
		return nil
	case s.id != "":
		return fault{http.StatusConflict, "conflict", "The id is taken", "another request has used the id " + s.id + "; choose another one"}
	}
	return fault{http.StatusConflict, "conflict", "The key is taken", "the Idempotency-Key was used for another request; a new request takes a new key"}
}

const longestKey = 255

// derived are the ids that come of a digest: of an Idempotency-Key, or of a call over MCP.
var derived = regexp.MustCompile(`^(k|c[0-9]+)-[a-z2-7]{26}$`)

// runOf is the id of the run that a request is for: the caller's own, one that comes of the key, or none, which makes
// every request a new run. Only who had the key before gets the id that it had.
func (a *api) runOf(r *http.Request, who people.Actor, id string) (string, error) {
	keys := r.Header.Values("Idempotency-Key")
	if !a.Inside && derived.MatchString(id) {
		return "", fault{http.StatusBadRequest, "invalid", "id", "ids of this form come of Idempotency-Keys and of calls over MCP; choose another one"}
	}
	if len(keys) == 0 {
		return id, nil
	}
	key := keys[0]
	strange := func(c rune) bool { return c < ' ' || c > '~' }
	switch {
	case id != "":
		return "", fault{http.StatusBadRequest, "invalid", "Idempotency-Key", "give an id or an Idempotency-Key, not both"}
	case len(keys) > 1 || key == "" || len(key) > longestKey || strings.ContainsFunc(key, strange):
		return "", fault{http.StatusBadRequest, "invalid", "Idempotency-Key", "a key has 1 to 255 printable ASCII characters"}
	}
	sum := sha256.Sum256([]byte("belay idempotency v1\n" + who.Name + "\n" + key))
	return "k-" + strings.ToLower(base32.StdEncoding.EncodeToString(sum[:])[:26]), nil
}

// digest names what a caller sent, however it was spaced and ordered.
func digest(request map[string]any) string {
	text, err := json.Marshal(request)
	if err != nil {
		return "" // what was decoded a moment ago can be written
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	sent := map[string]any{}
	if d.Decode(&sent) != nil {
		return "" // it was written a moment ago
	}
	for key, value := range sent {
		if empty, is := value.(map[string]any); value == nil || is && len(empty) == 0 {
			delete(sent, key) // nothing, null and {} say the same
		}
	}
	if text, err = json.Marshal(sent); err != nil {
		return ""
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// placeOf is where the value of a key of a JSON object begins.
func placeOf(body []byte, key string) catalog.Place {
	d := json.NewDecoder(bytes.NewReader(body))
	_, err := d.Token()
	for err == nil && d.More() {
		name, bad := d.Token()
		var value json.RawMessage
		if err = errors.Join(bad, d.Decode(&value)); err == nil && name == key {
			before := body[:int(d.InputOffset())-len(value)]
			line := before[bytes.LastIndexByte(before, '\n')+1:]
			return catalog.Place{Line: bytes.Count(before, []byte("\n")) + 1, Col: utf8.RuneCount(line) + 1}
		}
	}
	return catalog.Place{}
}

// NoCatalog is what a server without a tools file says to whoever wants something started.
var NoCatalog error = noCatalog

var noCatalog = fault{http.StatusNotImplemented, "no_catalog", "Nothing can be submitted here", "the server was started without a tools file: give it --tools, and --plans for plans with a name"}

// mistakes is the fault, and the list of all that is wrong, of a plan or an input.
func mistakes(err error) (fault, any, bool) {
	if e, ok := errors.AsType[*runlog.Unreplayable](err); ok {
		f, list := unreplayable(e)
		return f, list, true
	}
	if e, ok := errors.AsType[*runlog.Unmigratable](err); ok {
		f, list := unmigratable(e)
		return f, list, true
	}
	if e, ok := errors.AsType[catalog.InvalidPlan](err); ok {
		return fault{http.StatusUnprocessableEntity, "invalid_plan", "The plan is not valid", e.Error()}, e, true
	}
	if e, ok := errors.AsType[catalog.Findings](err); ok {
		return fault{http.StatusUnprocessableEntity, "invalid_plan", "The plan has findings", e.Error()}, e, true
	}
	if e, ok := errors.AsType[catalog.InvalidInput](err); ok {
		return fault{http.StatusUnprocessableEntity, "invalid_input", "The input is not valid", e.Error()}, e, true
	}
	if e, ok := errors.AsType[catalog.InvalidStart](err); ok {
		return fault{http.StatusUnprocessableEntity, "invalid", e.Field, e.Error()}, nil, true
	}
	if e, ok := errors.AsType[*catalog.Unknown](err); ok {
		return fault{http.StatusUnprocessableEntity, "unknown_" + e.Kind, "No such " + e.Kind, e.Error()}, nil, true
	}
	return fault{}, nil, false
}
