package console

import (
	"cmp"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"belay/internal/handoff"
	"belay/internal/steps"
)

// maxForm bounds what a form may send, in bytes: parameters, each byte of them written out as three.
const maxForm = 3*steps.MaxParams + 64<<10

// act does what a form asks for, or shows the form again with what was typed and what is wrong with it.
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
		v.Errors = append(v.Errors, "This question is not the one that your page showed. Read it again, then send.")
		c.showForm(w, r, http.StatusPreconditionFailed, v)
		return
	}
	c.settle(w, r, p, v)
}

func (c *Console) parse(w http.ResponseWriter, r *http.Request) bool {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	err := r.ParseForm()
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		c.showProblem(w, r, http.StatusRequestEntityTooLarge, problem{"This is too large", "A form may send " + strconv.Itoa(maxForm>>20) + " MiB.", "Nothing was changed. Go back and shorten it."})
		return false
	}
	if err != nil {
		c.showProblem(w, r, http.StatusBadRequest, problem{"The form did not arrive whole", err.Error(), "Nothing was changed. Go back and send it again."})
		return false
	}
	return true
}

// settle sends a form that is filled in: what is wrong in it goes back, what is grave is asked once more.
func (c *Console) settle(w http.ResponseWriter, r *http.Request, p Person, v formView) {
	if !v.valid() {
		c.showForm(w, r, http.StatusUnprocessableEntity, v)
		return
	}
	isEdit := v.Verb == handoff.Action(steps.VerbEdit)
	v.Take = v.Holder != "" && steps.SamePerson(r.PostForm.Get("take"), v.Holder)
	if (isEdit || v.Grave) && r.PostForm.Get("sure") != "yes" || v.Holder != "" && !v.Take {
		v.Value = string(v.value)
		if isEdit {
			v.Changes = shownChanges(differences(v.before, v.value))
		}
		c.show(w, r, http.StatusOK, "confirm", page{Title: v.Label + " " + v.Card.Short + "?", Body: v})
		return
	}
	done, err := c.o.Desk.Act(r.Context(), p, v.Card.ID, v.act(c.o.Now()))
	if err != nil {
		c.showForm(w, r, v.failed(err, c), v)
		return
	}
	c.o.Log.InfoContext(r.Context(), "a person acted", "id", v.Card.ID, "verb", string(v.Verb), "by", p.Name)
	say(w, r, v.Card.ID, done)
}

// failed writes into the form why an act does not count, and says which status that is.
func (v *formView) failed(err error, c *Console) int {
	if before, ok := errors.AsType[*handoff.DecidedBefore](err); ok {
		v.Conflict = conflictOf(before.Decision, before.Error())
		if before.Again != "" {
			v.Conflict.Again = cardPath(before.Again)
		}
		return http.StatusPreconditionFailed
	}
	switch {
	case errors.Is(err, handoff.ErrNoEscalation):
		v.Errors = append(v.Errors, "There is no such question any more.")
		return http.StatusNotFound
	case errors.Is(err, handoff.ErrApproved):
		v.Errors = append(v.Errors, err.Error())
		return http.StatusConflict
	case errors.Is(err, handoff.ErrChanged), errors.Is(err, handoff.ErrClaimed):
		v.Errors = append(v.Errors, err.Error())
		return http.StatusPreconditionFailed
	case errors.Is(err, handoff.ErrNotAllowed), errors.Is(err, handoff.ErrForbidden):
		v.Errors = append(v.Errors, err.Error())
		return http.StatusForbidden
	case errors.Is(err, handoff.ErrInvalid):
		v.Errors = append(v.Errors, place(v.Fields, err.Error())...)
		return http.StatusUnprocessableEntity
	}
	c.o.Log.Warn("an act may not count", "id", v.Card.ID, "verb", string(v.Verb), "error", err)
	v.Errors = append(v.Errors, "It is not known whether this counts. Send it again: twice is once.", err.Error())
	return http.StatusServiceUnavailable
}

// conflictOf is why a decision does not count, in the words that everybody is told.
func conflictOf(d *steps.Decided, words string) *conflictView {
	v := &conflictView{Words: spoken(words)}
	if d != nil {
		v.Reason = d.Reason
	}
	return v
}

// reopened is the form again after the page that asked once more, with what was typed.
func (v formView) reopened() formView {
	v.Errors = nil
	if v.Verb == handoff.Action(steps.VerbEdit) && isObject(v.value) {
		v.Fields = fieldsOf(v.value, v.schema)
		v.Whole, v.AsWhole = editable(v.value), len(v.Fields) == 0
		v.shape(false)
	}
	return v
}

// refused says why an act is not the reader's to do here.
type refused struct {
	problem
	status   int
	conflict *conflictView
}

// refusal is nil when the reader may do what the form asks for.
func refusal(d steps.Dossier, v formView, p Person) *refused {
	switch {
	case d.State != steps.EscalationOpen:
		conflict := conflictOf(d.Decision, settledBy(d))
		return &refused{problem{"This is settled already", conflict.Words, "The card shows what came of it."}, http.StatusPreconditionFailed, conflict}
	case !p.may(v.Verb):
		return &refused{problem{"You may not " + string(v.Verb), "As " + cmp.Or(p.Role, "a reader") + " you may read this and must leave it to others.", "Ask somebody who may."}, http.StatusForbidden, nil}
	case v.Verb == handoff.Action(steps.VerbApprove) && d.Bars(p.Name).Outcome == steps.OutcomeApproved:
		return &refused{problem{"You have approved already", spoken(d.Bars(p.Name).Text), "Leave it to somebody else."}, http.StatusConflict, nil}
	case v.Verb == handoff.Action(steps.VerbApprove) && d.Bars(p.Name).Outcome != "":
		return &refused{problem{"You may not approve this", spoken(d.Bars(p.Name).Text), "Leave it to somebody else."}, http.StatusForbidden, nil}
	case v.TakesReason && offerOf(d, v.Verb) == nil:
		return &refused{problem{"This cannot be decided by " + string(v.Verb), "What may be decided: " + allowed(d) + ".", "The card has a button for each."}, http.StatusForbidden, nil}
	}
	return nil
}

func settledBy(d steps.Dossier) string {
	return cmp.Or(d.Settled, "events answered it before anybody decided")
}

func allowed(d steps.Dossier) string {
	var words []string
	for _, o := range d.Offers {
		words = append(words, string(o.Verb))
	}
	return strings.Join(words, ", ")
}
