package pages

import (
	"cmp"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"belay/internal/handoff"
	"belay/internal/people"
	"belay/internal/steps"
	"belay/internal/steps/view"
)

// maxForm bounds a form, in bytes: form encoding can make each byte of the parameters three.
const maxForm = 3*steps.MaxParams + 64<<10

// act does what a form asks for, or shows the form again with what was typed and what is wrong.
func (c *Console) act(w http.ResponseWriter, r *http.Request) {
	if !c.parse(w, r) {
		return
	}
	card, verb, ok := c.cardFor(w, r)
	if !ok {
		return
	}
	p := c.o.Who(r)
	v := newForm(card, verb, p, c.o.Now())
	if err := c.askPasskey(r, &v, &card, p); err != nil {
		c.fail(w, r, err)
		return
	}
	v.take(r.PostForm)
	v.shape(v.AsWhole)
	if r.PostForm.Get("back") != "" {
		c.showForm(w, r, http.StatusOK, v.reopened())
		return
	}
	if why := refusal(card.Dossier, v, p); why != nil {
		v.Conflict, v.Errors = why.conflict, append(v.Errors, why.Title+". "+why.Detail)
		c.showForm(w, r, why.status, v)
		return
	}
	if rev := r.PostForm.Get("revision"); v.TakesReason && rev != strconv.FormatUint(card.Dossier.Revision, 10) {
		v.Errors = append(v.Errors, "This escalation has changed since your page was loaded. Read it again, then send.")
		c.showForm(w, r, http.StatusPreconditionFailed, v)
		return
	}
	c.submit(w, r, p, &card, v)
}

func (c *Console) parse(w http.ResponseWriter, r *http.Request) bool {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	err := r.ParseForm()
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		c.showProblem(w, r, http.StatusRequestEntityTooLarge, problem{"The form is too large", "A form may have at most " + strconv.Itoa(maxForm>>20) + " MiB.", "Nothing was changed. Go back and shorten it."})
		return false
	}
	if err != nil {
		c.showProblem(w, r, http.StatusBadRequest, problem{"The form arrived incomplete", err.Error(), "Nothing was changed. Go back and send it again."})
		return false
	}
	return true
}

// submit acts on a form that is filled in: mistakes go back to the form, and grave acts are to be confirmed first.
func (c *Console) submit(w http.ResponseWriter, r *http.Request, p people.Actor, card *handoff.Card, v formView) {
	if !v.valid() {
		c.showForm(w, r, http.StatusUnprocessableEntity, v)
		return
	}
	isEdit := v.Verb == people.Edit
	v.Take = v.Holder != "" && steps.SamePerson(r.PostForm.Get("take"), v.Holder)
	if (isEdit || v.Grave) && r.PostForm.Get("sure") != "yes" || v.Holder != "" && !v.Take {
		v.Value = string(v.value)
		if isEdit {
			v.Changes = shownChanges(differences(v.before, v.value))
		}
		c.show(w, r, http.StatusOK, "confirm", page{Title: v.Label + " " + v.Card.Short + "?", Body: v})
		return
	}
	done, err := c.o.Desk.ActOn(r.Context(), p, card, v.act(c.o.Now()))
	if err != nil {
		c.showForm(w, r, v.failed(err, c), v)
		return
	}
	c.o.Logger.InfoContext(r.Context(), "a person acted", "id", v.Card.ID, "verb", string(v.Verb), "by", p.Name)
	saidOf(card.Dossier, done).say(w, r, v.Card.Path)
}

// failed writes into the form why an act does not count, and returns the HTTP status.
func (v *formView) failed(err error, c *Console) int {
	if before, ok := errors.AsType[*handoff.DecidedBefore](err); ok {
		v.Conflict = conflictOf(before.Decision, before.Error())
		if before.Next != "" {
			v.Conflict.Next = cardPath(before.Next)
		}
		return http.StatusPreconditionFailed
	}
	switch {
	case errors.Is(err, handoff.ErrNoEscalation):
		v.Errors = append(v.Errors, "This escalation does not exist any more.")
		return http.StatusNotFound
	case errors.Is(err, handoff.ErrApproved):
		v.Errors = append(v.Errors, err.Error())
		return http.StatusConflict
	case errors.Is(err, handoff.ErrChanged), errors.Is(err, handoff.ErrClaimed):
		v.Errors = append(v.Errors, err.Error())
		return http.StatusPreconditionFailed
	case errors.Is(err, handoff.ErrSignIn):
		v.SignIn = signInPath(v.Card.Path + "/" + string(v.Verb))
		v.Errors = append(v.Errors, "Nothing was decided. Deciding what an agent does needs the sign-in code that dispatcher dev printed when it started. Sign in in another tab, then send this again.")
		return http.StatusForbidden
	case errors.Is(err, handoff.ErrNotAllowed), errors.Is(err, people.ErrForbidden):
		v.Errors = append(v.Errors, err.Error())
		return http.StatusForbidden
	case errors.Is(err, handoff.ErrInvalid):
		v.Errors = append(v.Errors, place(v.Fields, err.Error())...)
		return http.StatusUnprocessableEntity
	}
	c.o.Logger.Warn("an act may not count", "id", v.Card.ID, "verb", string(v.Verb), "error", err)
	v.Errors = append(v.Errors, "It is not known whether this was stored. Send it again: it counts only once.", err.Error())
	return http.StatusServiceUnavailable
}

// conflictOf says why a decision does not count, in the same words as the CLI and the API.
func conflictOf(d *steps.Decided, words string) *conflictView {
	v := &conflictView{Words: spoken(words)}
	if d != nil {
		v.Reason = d.Reason
	}
	return v
}

// reopened is the form with what was typed, after somebody went back from the page that asks for confirmation.
func (v formView) reopened() formView {
	v.Errors = nil
	if v.Verb == people.Edit && isObject(v.value) {
		v.Fields = fieldsOf(v.value, v.schema)
		v.Whole, v.AsWhole = editable(v.value), len(v.Fields) == 0
		v.shape(false)
	}
	if v.Verb == people.Extend && isObject(v.value) {
		v.setMore(v.value)
		v.AsWhole = false
	}
	return v
}

// refused says why the reader may not do something.
type refused struct {
	problem
	status   int
	conflict *conflictView
}

// refusal is nil when the reader may do what the form asks for.
func refusal(d view.Dossier, v formView, p people.Actor) *refused {
	switch {
	case d.State != steps.EscalationOpen:
		conflict := conflictOf(d.Decision, settledBy(d))
		return &refused{problem{"This is not open any more", conflict.Words, "The card shows what followed."}, http.StatusPreconditionFailed, conflict}
	case p.May(v.Verb) != nil:
		return &refused{problem{"You may not " + string(v.Verb), "Your role, " + cmp.Or(roleOf(p), "a reader") + ", does not allow it.", "Ask somebody who may."}, http.StatusForbidden, nil}
	case v.Verb == people.Approve && d.Bars(p.Name).Outcome == view.OutcomeApproved:
		return &refused{problem{"You have approved already", spoken(d.Bars(p.Name).Text), "Somebody else has to approve."}, http.StatusConflict, nil}
	case v.Verb == people.Approve && d.Bars(p.Name).Outcome == view.OutcomeUnproven:
		return &refused{problem{"Nobody may approve this", spoken(d.Bars(p.Name).Text), "The card has a button for each other decision."}, http.StatusForbidden, nil}
	case v.Verb == people.Approve && d.Bars(p.Name).Outcome != "":
		return &refused{problem{"You may not approve this", spoken(d.Bars(p.Name).Text), "Somebody else has to approve."}, http.StatusForbidden, nil}
	case v.TakesReason && offerOf(d, v.Verb) == nil:
		return &refused{problem{"You cannot " + string(v.Verb) + " here", "Possible decisions: " + allowed(d) + ".", "The card has a button for each."}, http.StatusForbidden, nil}
	}
	return nil
}

func settledBy(d view.Dossier) string {
	return cmp.Or(d.Settled, "closed by other events before anybody decided")
}

func allowed(d view.Dossier) string {
	var words []string
	for _, o := range d.Offers {
		words = append(words, string(o.Verb))
	}
	return strings.Join(words, ", ")
}
