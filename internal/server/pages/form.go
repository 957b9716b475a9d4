package pages

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"belay/internal/handoff"
	"belay/internal/people"
	"belay/internal/steps"
	"belay/internal/steps/view"
)

// formView is the form of one act: what it does, what is to be typed, and what was typed already.
type formView struct {
	Card     cardView
	Verb     people.Action
	Label    string
	Effect   string
	Grave    bool
	Revision uint64
	Digest   string // of the parameters that the page shows, for approve

	NeedsReason bool
	TakesReason bool
	Reason      string
	ReasonError string

	Scopes []scopeChoice // of a rejection
	Scope  string

	Fields  []field
	Whole   string // the whole value as JSON, if fields are not enough
	AsWhole bool
	Other   string // path of the same form in the other shape; empty = there is none
	Error   string // of the whole value
	Choices []string
	Choice  string
	Picked  int // number of the choice that was made with a button of the card; 0 = none

	To, Text, For string // of assign, note and snooze
	Spans         []spanChoice

	Passkey *passkeyAsk       // what asks for the reader's passkey; nil where none is needed
	Signed  *steps.Assertion  // what it has signed
	Shown   map[string]string // the same as the form has it

	Holder string // who else has claimed it; deciding it anyway has to be confirmed
	Take   bool   // decide it anyway

	Errors   []string // of no field; may hold outside text
	SignIn   string   // path of the sign-in page, where that is what is missing
	Conflict *conflictView

	Changes []change // of an edit, for the page that asks for confirmation
	Value   string   // the whole new value, for that page

	schema json.RawMessage
	before json.RawMessage
	value  json.RawMessage
}

// ReasonFirst reports whether a reason is all that is to be typed: then it comes before what is to be read.
func (v formView) ReasonFirst() bool {
	return v.NeedsReason && len(v.Choices) == 0 && len(v.Fields) == 0 && !v.AsWhole
}

// conflictView says why nothing was done.
type conflictView struct {
	Words  string
	Reason string // of whoever decided first
	Next   string // the path of the escalation that asks the same again
}

type spanChoice struct{ Value, Label string }

type scopeChoice struct{ Value, Label string }

// newForm makes the form of an act on a card, before anything is typed.
func newForm(card handoff.Card, verb people.Action, p people.Actor, now time.Time) formView {
	d := card.Dossier
	v := formView{Card: makeCard(card, p, now), Verb: verb, Label: labelOf(d.Kind, verb), Revision: d.Revision}
	v.TakesReason = actEffects[verb] == ""
	if o := offerOf(d, verb); o != nil {
		v.Effect, v.Grave, v.NeedsReason, v.schema = spoken(o.Effect, namesIn(d)...), o.Grave, o.NeedsReason, o.Schema
		v.Scopes = scopeChoices(o.Scopes, d)
	}
	switch steps.Verb(verb) {
	case steps.VerbApprove:
		if d.Approval != nil {
			v.Digest = d.Approval.Digest
		}
	case steps.VerbEdit:
		v.edit(d)
	case steps.VerbExtend:
		v.extend()
	case steps.VerbAnswer:
		v.answer(d)
	}
	switch verb {
	case people.Snooze:
		v.Spans = []spanChoice{{"15m", "15 minutes"}, {"1h", "1 hour"}, {"4h", "4 hours"}, {"24h", "1 day"}}
		v.For = "1h"
	case people.Assign:
		v.To = card.Item.Assigned
	}
	if v.TakesReason && !v.Card.People.Mine {
		v.Holder = v.Card.People.Holder
	}
	v.Effect = cmp.Or(v.Effect, actEffects[verb])
	return v
}

// scopeChoices are what a rejection may cover, exactly this call first; none where there is nothing to choose.
func scopeChoices(scopes []steps.DenialScope, d view.Dossier) []scopeChoice {
	if len(scopes) == 0 {
		return nil
	}
	list := []scopeChoice{{"", "Exactly this call"}}
	for _, s := range scopes {
		label := "Every call of " + d.Tool
		if s == steps.ScopeTarget && d.Failing != nil {
			label += " to " + d.Failing.Target
		}
		list = append(list, scopeChoice{string(s), label})
	}
	return list
}

var actEffects = map[people.Action]string{
	people.Claim:   "Shows everybody that you are working on it. While your claim lasts, nobody else is notified.",
	people.Release: "Ends your claim. Others are notified again when it is their turn.",
	people.Assign:  "Asks this person to decide it. Everybody else still may.",
	people.Snooze:  "Hides it from the list for this long, and nobody is notified. Its deadline stays.",
	people.Note:    "A note for whoever opens this card next.",
}

func offerOf(d view.Dossier, verb people.Action) *view.Offer {
	i := slices.IndexFunc(d.Offers, func(o view.Offer) bool { return people.Action(o.Verb) == verb })
	if i < 0 {
		return nil
	}
	return &d.Offers[i]
}

// edit makes a field of each parameter.
func (v *formView) edit(d view.Dossier) {
	v.before = json.RawMessage("{}")
	if d.Failing != nil && isObject(d.Failing.Params) {
		v.before = d.Failing.Params
	}
	v.Fields = fieldsOf(v.before, v.schema)
	v.Whole = editable(v.before)
	if len(v.Fields) == 0 {
		v.AsWhole = true
	}
}

// answer asks for an output: with options to choose from, fields, or JSON.
func (v *formView) answer(d view.Dossier) {
	if d.Question != nil {
		v.Choices = d.Question.Options
		if v.schema == nil {
			v.schema = d.Question.Schema
		}
	}
	if len(v.Choices) > 0 {
		return
	}
	if v.happened() {
		return
	}
	schema := v.schema
	if kind, _ := kindOf(readSchema(schema), nil); kind != fieldJSON {
		schema = wrapped(schema)
	}
	v.Fields = fieldsOf(json.RawMessage("{}"), schema)
	v.AsWhole = len(v.Fields) == 0
}

// answerField is the name of the only field of an answer that is not an object.
const answerField = "answer"

// wrapped returns the schema of an object whose only member, answer, has schema s, or is a string if s is empty.
func wrapped(s json.RawMessage) json.RawMessage {
	if saysNothing(s) {
		s = json.RawMessage(`{"type":"string"}`)
	}
	return object([]member{{"required", json.RawMessage(`["` + answerField + `"]`)}, {"properties", object([]member{{answerField, s}})}})
}

// single reports whether the answer is the value of the only field, and not an object.
func (v *formView) single() bool {
	return len(v.Fields) == 1 && v.Fields[0].Name == answerField && readSchema(v.schema).Properties == nil
}

// shape chooses between fields and the whole JSON.
func (v *formView) shape(whole bool) {
	switch {
	case len(v.Fields) == 0, v.Verb == people.Extend:
	case whole:
		v.AsWhole, v.Other = true, v.Card.Path+"/"+string(v.Verb)
	case !v.single() || saysNothing(v.schema):
		v.Other = v.Card.Path + "/" + string(v.Verb) + "?as=json"
	}
}

func (c *Console) form(w http.ResponseWriter, r *http.Request) {
	card, verb, ok := c.cardFor(w, r)
	if !ok {
		return
	}
	p := c.o.Who(r)
	v := newForm(card, verb, p, c.o.Now())
	switch why := refusal(card.Dossier, v, p); {
	case why != nil && why.conflict != nil:
		http.Redirect(w, r, v.Card.Path, http.StatusSeeOther) // the card shows what followed
		return
	case why != nil:
		c.showProblem(w, r, why.status, why.problem)
		return
	}
	if err := c.admits(r.Context(), p, card.Item.ID, verb); errors.Is(err, handoff.ErrSignIn) {
		http.Redirect(w, r, signInPath(r.URL.RequestURI()), http.StatusSeeOther)
		return
	} else if err != nil {
		c.fail(w, r, err)
		return
	}
	if err := c.askPasskey(r, &v, &card, p); err != nil {
		c.fail(w, r, err)
		return
	}
	v.shape(r.URL.Query().Get("as") == "json")
	v.pick(r.URL.Query().Get("option"))
	c.showForm(w, r, http.StatusOK, v)
}

// admits says why somebody may not decide before they sign in; for everything else nobody has to.
func (c *Console) admits(ctx context.Context, p people.Actor, id string, verb people.Action) error {
	if !verb.Decides() {
		return nil
	}
	return c.o.Desk.Admits(ctx, p, id)
}

// signInPath leads to where people sign in, and from there to a path.
func signInPath(next string) string { return "/login?next=" + url.QueryEscape(next) }

// cardFor reads the card and the act in the path.
func (c *Console) cardFor(w http.ResponseWriter, r *http.Request) (card handoff.Card, verb people.Action, ok bool) {
	verb = people.Action(r.PathValue("verb"))
	if verbWords[verb].Label == "" {
		c.nowhere(w, r)
		return card, verb, false
	}
	card, err := c.o.Desk.Question(r.Context(), r.PathValue("id"))
	if err != nil {
		c.fail(w, r, err)
		return card, verb, false
	}
	return card, verb, true
}

// title names the act, the question and what is at stake.
func (v *formView) title() string {
	return strings.TrimSpace(v.Label + " " + v.Card.Short + " " + v.Card.Summary)
}

func (c *Console) showForm(w http.ResponseWriter, r *http.Request, status int, v formView) {
	c.show(w, r, status, "form", page{Title: v.title(), Body: v})
}
