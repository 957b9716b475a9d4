package pages

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	"belay/internal/handoff"
	"belay/internal/people"
	"belay/internal/steps"
)

const (
	maxRedrive      = 500 // items that one form may decide
	redriveParallel = 8   // at the same time
)

// redriveVerbs are what can be done to many items: decisions in waves, by [Redrives], and claims. An approval is not among
// them, because somebody must have read its parameters, nor is anything that is typed for a single item.
var redriveVerbs = []people.Action{
	people.Retry, people.Verify, people.Skip, people.Reject, people.Abort,
	people.Claim,
}

type redriveChoice struct {
	Verb  people.Action
	Label string
}

// redriveChoices lists what the reader may do to at least one of these items.
func redriveChoices(items []*handoff.Item, p people.Actor) []redriveChoice {
	var list []redriveChoice
	for _, a := range redriveVerbs {
		takes := func(it *handoff.Item) bool {
			return a == people.Claim || slices.Contains(it.Allowed, steps.Verb(a))
		}
		if p.May(a) == nil && slices.ContainsFunc(items, takes) {
			list = append(list, redriveChoice{a, verbWords[a].Label})
		}
	}
	return list
}

// redriveForm is the page that shows what would happen to each item, and then what happened.
type redriveForm struct {
	Verb        people.Action
	Label       string
	Group       string
	Lines       []redriveFormLine
	Can         int // items to which it applies
	Reason      string
	NeedsReason bool
	Error       string
	Done        bool
}

// Waves reports whether it is done in waves.
func (v redriveForm) Waves() bool { return v.Verb.Decides() && v.Can > 1 }

type redriveFormLine struct {
	ID, Short, Path string
	What            string
	Why             string
	Revision        uint64
	Effect          string // what it does, or did
	Refused         string // why not
	needsReason     bool
}

// redrive shows what a decision would do to each chosen item, and does it when the form is sent from there.
func (c *Console) redrive(w http.ResponseWriter, r *http.Request) {
	if !c.parse(w, r) {
		return
	}
	v := redriveForm{Verb: people.Action(r.PostForm.Get("verb")), Group: r.PostForm.Get("group"), Reason: r.PostForm.Get("reason")}
	v.Label = verbWords[v.Verb].Label
	p := c.o.Who(r)
	if !slices.Contains(redriveVerbs, v.Verb) || p.May(v.Verb) != nil {
		c.showProblem(w, r, http.StatusForbidden, problem{"This cannot be done to many at once", "Retry, verify, skip, reject, abort and claim can, if your role allows it.", "Open them one by one."})
		return
	}
	if r.PostForm.Get("sure") == "yes" {
		c.redriveAct(w, r, p, v)
		return
	}
	ids, err := c.redriveIDs(r)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	if len(ids) == 0 || len(ids) > maxRedrive {
		c.showProblem(w, r, http.StatusUnprocessableEntity, problem{count(len(ids), "escalation is", "escalations are") + " selected", "From 1 to " + strconv.Itoa(maxRedrive) + " can be redriven.", "Go back and select."})
		return
	}
	c.preview(r, p, &v, ids)
	c.showRedriveForm(w, r, http.StatusOK, v)
}

func (c *Console) showRedriveForm(w http.ResponseWriter, r *http.Request, status int, v redriveForm) {
	c.show(w, r, status, "redrive_form", page{Title: v.Label + " " + count(len(v.Lines), "item", "items"), Nav: "inbox", Body: v})
}

// redriveIDs returns the selected items, or all of the group.
func (c *Console) redriveIDs(r *http.Request) ([]string, error) {
	if r.PostForm.Get("all") != "yes" {
		return r.PostForm["id"], nil
	}
	items, err := c.o.Desk.Items(r.Context())
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, it := range pick(items, parseQuery(""), r.PostForm.Get("group"), c.o.Now()) {
		ids = append(ids, it.ID)
	}
	return ids, nil
}

func (c *Console) preview(r *http.Request, p people.Actor, v *redriveForm, ids []string) {
	v.Lines = make([]redriveFormLine, len(ids))
	each(len(ids), func(i int) { v.Lines[i] = c.previewLine(r, p, v.Verb, ids[i]) })
	for _, l := range v.Lines {
		if l.Refused == "" {
			v.Can++
			v.NeedsReason = v.NeedsReason || l.needsReason
		}
	}
}

func (c *Console) previewLine(r *http.Request, p people.Actor, verb people.Action, id string) redriveFormLine {
	l := redriveFormLine{ID: id, Short: shortID(id), Path: cardPath(id)}
	card, err := c.o.Desk.Question(r.Context(), id)
	if err != nil {
		l.Refused = err.Error()
		return l
	}
	f := newForm(card, verb, p, c.o.Now())
	l.What, l.Why, l.Revision = what(card.Dossier.Escalation), cut(card.Dossier.Message, 120), card.Dossier.Revision
	l.Effect, l.needsReason = f.Effect, f.NeedsReason
	if why := refusal(card.Dossier, f, p); why != nil {
		l.Refused = why.Title + ". " + why.Detail
	}
	return l
}

var brokenForm = problem{"The form arrived incomplete", "", "Nothing was changed. Go back and send it again."}

// redriveAct does it. Each item is decided by itself: one that somebody else decided first does not stop the others.
func (c *Console) redriveAct(w http.ResponseWriter, r *http.Request, p people.Actor, v redriveForm) {
	ids, revisions := r.PostForm["id"], r.PostForm["revision"]
	if len(ids) == 0 || len(ids) > maxRedrive || len(ids) != len(revisions) {
		c.showProblem(w, r, http.StatusBadRequest, brokenForm)
		return
	}
	if r.PostForm.Get("needs-reason") == "yes" && strings.TrimSpace(v.Reason) == "" {
		c.preview(r, p, &v, ids)
		v.Error = "This decision needs a reason; it is kept in the runs' logs."
		c.showRedriveForm(w, r, http.StatusUnprocessableEntity, v)
		return
	}
	list := make([]handoff.Chosen, len(ids))
	for i := range ids {
		rev, err := strconv.ParseUint(revisions[i], 10, 64)
		if err != nil {
			c.showProblem(w, r, http.StatusBadRequest, brokenForm)
			return
		}
		list[i] = handoff.Chosen{ID: ids[i], Revision: rev}
	}
	if v.Verb.Decides() {
		c.startRedrive(w, r, p, v, list)
		return
	}
	v.Lines, v.Done = make([]redriveFormLine, len(ids)), true
	each(len(ids), func(i int) { v.Lines[i] = c.redriveOne(r, p, v, list[i]) })
	for _, l := range v.Lines {
		if l.Refused == "" {
			v.Can++
		}
	}
	c.showRedriveForm(w, r, http.StatusOK, v)
}

// startRedrive starts deciding in waves, and redirects to the page that shows the progress.
func (c *Console) startRedrive(w http.ResponseWriter, r *http.Request, p people.Actor, v redriveForm, list []handoff.Chosen) {
	s, err := c.o.Redrives.Start(r.Context(), p, list, people.Act{Verb: v.Verb, Reason: strings.TrimSpace(v.Reason)})
	if err != nil {
		c.fail(w, r, err)
		return
	}
	c.o.Logger.InfoContext(r.Context(), "a person decides many", "verb", string(v.Verb), "by", p.Name, "items", len(list), "redrive", s.ID)
	http.Redirect(w, r, redrivePath(s.ID), http.StatusSeeOther)
}

func (c *Console) redriveOne(r *http.Request, p people.Actor, v redriveForm, it handoff.Chosen) redriveFormLine {
	l := redriveFormLine{ID: it.ID, Short: shortID(it.ID), Path: cardPath(it.ID)}
	done, err := c.o.Desk.Act(r.Context(), p, it.ID, people.Act{Verb: v.Verb, Revision: it.Revision, Many: true})
	if before, ok := errors.AsType[*handoff.DecidedBefore](err); ok {
		l.Refused = spoken(before.Error())
		return l
	}
	if err != nil {
		l.Refused = err.Error()
		return l
	}
	l.Effect = done.Effect
	return l
}

// each calls do for 0 to n-1, several at the same time.
func each(n int, do func(i int)) {
	var wg sync.WaitGroup
	slots := make(chan struct{}, redriveParallel)
	for i := range n {
		slots <- struct{}{}
		wg.Go(func() {
			do(i)
			<-slots
		})
	}
	wg.Wait()
}
