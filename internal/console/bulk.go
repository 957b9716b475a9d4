package console

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	"belay/internal/handoff"
	"belay/internal/steps"
)

const (
	maxBulk      = 500 // items that one form may decide
	bulkParallel = 8   // of them at once
)

// bulkVerbs are what may be done to many items at once: decisions in waves, by whoever does [Together]. Approvals are not among them: each is of its own parameters,
// which somebody must have read. Nor is what is typed for one item.
var bulkVerbs = []handoff.Action{
	handoff.Action(steps.VerbRetry), handoff.Action(steps.VerbVerify), handoff.Action(steps.VerbSkip), handoff.Action(steps.VerbReject), handoff.Action(steps.VerbAbort),
	handoff.ActClaim,
}

type bulkChoice struct {
	Verb  handoff.Action
	Label string
}

// bulkChoices are what the reader may do to at least one of these items.
func bulkChoices(items []*handoff.Item, p Person) []bulkChoice {
	var list []bulkChoice
	for _, a := range bulkVerbs {
		takes := func(it *handoff.Item) bool {
			return a == handoff.ActClaim || slices.Contains(it.Allowed, steps.Verb(a))
		}
		if p.may(a) && slices.ContainsFunc(items, takes) {
			list = append(list, bulkChoice{a, verbWords[a].Label})
		}
	}
	return list
}

// bulkView is the page that says what would happen to each item, and then what happened.
type bulkView struct {
	Verb        handoff.Action
	Label       string
	Group       string
	Lines       []bulkLine
	Can         int // lines that it would be done to
	Reason      string
	NeedsReason bool
	Error       string
	Done        bool
}

// Waves reports whether it goes in waves.
func (v bulkView) Waves() bool { return v.Verb.Decides() && v.Can > 1 }

type bulkLine struct {
	ID, Short, Path string
	What            string
	Why             string
	Revision        uint64
	Effect          string // what it does, or did
	Refused         string // why not
	needsReason     bool
}

// bulk shows what a decision would do to each chosen item, and does it when it is sent again from there.
func (c *Console) bulk(w http.ResponseWriter, r *http.Request) {
	if !c.parse(w, r) {
		return
	}
	v := bulkView{Verb: handoff.Action(r.PostForm.Get("verb")), Group: r.PostForm.Get("group"), Reason: r.PostForm.Get("reason")}
	v.Label = verbWords[v.Verb].Label
	p := c.o.Who(r)
	if !slices.Contains(bulkVerbs, v.Verb) || !p.may(v.Verb) {
		c.showProblem(w, r, http.StatusForbidden, problem{"This cannot be done to many at once", "Retry, verify, skip, reject, abort and claim can, where your role may.", "Open the items one by one."})
		return
	}
	if r.PostForm.Get("sure") == "yes" {
		c.bulkAct(w, r, p, v)
		return
	}
	ids, err := c.bulkIDs(r)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	if len(ids) == 0 || len(ids) > maxBulk {
		c.showProblem(w, r, http.StatusUnprocessableEntity, problem{count(len(ids), "item is", "items are") + " chosen", "From 1 to " + strconv.Itoa(maxBulk) + " can be decided together.", "Go back and choose."})
		return
	}
	c.preview(r, p, &v, ids)
	c.showBulk(w, r, http.StatusOK, v)
}

func (c *Console) showBulk(w http.ResponseWriter, r *http.Request, status int, v bulkView) {
	c.show(w, r, status, "bulk", page{Title: v.Label + " " + count(len(v.Lines), "item", "items"), Nav: "inbox", Body: v})
}

// bulkIDs are the chosen items, or all of the group.
func (c *Console) bulkIDs(r *http.Request) ([]string, error) {
	if r.PostForm.Get("all") != "yes" {
		return r.PostForm["id"], nil
	}
	items, err := c.o.Desk.Inbox(r.Context())
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, it := range pick(items, parseQuery(""), r.PostForm.Get("group"), c.o.Now()) {
		ids = append(ids, it.ID)
	}
	return ids, nil
}

func (c *Console) preview(r *http.Request, p Person, v *bulkView, ids []string) {
	v.Lines = make([]bulkLine, len(ids))
	each(len(ids), func(i int) { v.Lines[i] = c.previewLine(r, p, v.Verb, ids[i]) })
	for _, l := range v.Lines {
		if l.Refused == "" {
			v.Can++
			v.NeedsReason = v.NeedsReason || l.needsReason
		}
	}
}

func (c *Console) previewLine(r *http.Request, p Person, verb handoff.Action, id string) bulkLine {
	l := bulkLine{ID: id, Short: shortID(id), Path: cardPath(id)}
	card, err := c.o.Desk.Card(r.Context(), id)
	if err != nil {
		l.Refused = err.Error()
		return l
	}
	f := newForm(card, verb, p, c.o.Now())
	l.What, l.Why, l.Revision = what(card.Dossier.EscalationView), cut(card.Dossier.Message, 120), card.Dossier.Revision
	l.Effect, l.needsReason = f.Effect, f.NeedsReason
	if why := refusal(card.Dossier, f, p); why != nil {
		l.Refused = why.Title + ". " + why.Detail
	}
	return l
}

var brokenForm = problem{"The form did not arrive whole", "", "Nothing was changed. Go back and send it again."}

// bulkAct does it. Each item is decided by itself: one that somebody else decided first does not hold the others.
func (c *Console) bulkAct(w http.ResponseWriter, r *http.Request, p Person, v bulkView) {
	ids, revisions := r.PostForm["id"], r.PostForm["revision"]
	if len(ids) == 0 || len(ids) > maxBulk || len(ids) != len(revisions) {
		c.showProblem(w, r, http.StatusBadRequest, brokenForm)
		return
	}
	if r.PostForm.Get("needs-reason") == "yes" && strings.TrimSpace(v.Reason) == "" {
		c.preview(r, p, &v, ids)
		v.Error = "This decision needs a reason; the runs' logs keep it."
		c.showBulk(w, r, http.StatusUnprocessableEntity, v)
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
		c.startBatch(w, r, p, v, list)
		return
	}
	v.Lines, v.Done = make([]bulkLine, len(ids)), true
	each(len(ids), func(i int) { v.Lines[i] = c.bulkOne(r, p, v, list[i]) })
	for _, l := range v.Lines {
		if l.Refused == "" {
			v.Can++
		}
	}
	c.showBulk(w, r, http.StatusOK, v)
}

// startBatch lets decisions go in waves, and shows how far they are.
func (c *Console) startBatch(w http.ResponseWriter, r *http.Request, p Person, v bulkView, list []handoff.Chosen) {
	s, err := c.o.Together.Start(r.Context(), p, list, handoff.Act{Verb: v.Verb, Reason: strings.TrimSpace(v.Reason)})
	if err != nil {
		c.fail(w, r, err)
		return
	}
	c.o.Log.InfoContext(r.Context(), "a person decides many", "verb", string(v.Verb), "by", p.Name, "items", len(list), "redrive", s.ID)
	http.Redirect(w, r, batchPath(s.ID), http.StatusSeeOther)
}

func (c *Console) bulkOne(r *http.Request, p Person, v bulkView, it handoff.Chosen) bulkLine {
	l := bulkLine{ID: it.ID, Short: shortID(it.ID), Path: cardPath(it.ID)}
	done, err := c.o.Desk.Act(r.Context(), p, it.ID, handoff.Act{Verb: v.Verb, Revision: it.Revision, Many: true})
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

// each calls do for 0 to n-1, some at once.
func each(n int, do func(i int)) {
	var wg sync.WaitGroup
	slots := make(chan struct{}, bulkParallel)
	for i := range n {
		slots <- struct{}{}
		wg.Go(func() {
			do(i)
			<-slots
		})
	}
	wg.Wait()
}
