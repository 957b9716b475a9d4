package pages

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"belay/internal/handoff"
	"belay/internal/people"
	"belay/internal/steps"
)

// runVerbs are what can be done to all runs that a search finds.
var runVerbs = []struct {
	Verb  people.Action
	Label string
}{{people.Cancel, "Cancel"}, {people.Retry, "Retry"}}

func runVerb(a people.Action) string {
	for _, v := range runVerbs {
		if v.Verb == a {
			return v.Label
		}
	}
	return ""
}

// runsForm is the page that says which runs something would be done to.
type runsForm struct {
	Verb   people.Action
	Label  string
	Effect string
	Query  string
	Back   string // path of the list
	Lines  []runLine
	IDs    []string // of the lines
	Total  int
	More   bool // not all are in Lines
	Before int  // of a retry: how many match and were retried before
	Short  string
}

var runEffects = map[people.Action]string{
	people.Cancel: "What they execute is stopped, and completed steps are undone where plan or tools say how.",
	people.Retry:  "Each goes on as a new run, without the steps that were done.",
}

// alikePaths are what the reader can do to all runs that a search finds.
func (c *Console) alikePaths(p people.Actor, query string) (list []choice) {
	if strings.TrimSpace(query) == "" {
		return nil
	}
	for _, v := range runVerbs {
		if p.May(v.Verb) == nil {
			list = append(list, choice{Label: v.Label + " all …", Path: "/redrives/runs?" + url.Values{"verb": {string(v.Verb)}, "q": {query}}.Encode()})
		}
	}
	return list
}

// asked is what was searched for, with the state that the list was narrowed to.
func asked(query, state string) string {
	if state == "" || strings.Contains(query, "state:") {
		return query
	}
	return strings.TrimSpace(query + " state:" + state)
}

func (c *Console) runsForm(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	o := handoff.RunOrder{Verb: people.Action(q.Get("verb")), Where: q.Get("q")}
	if !c.mayRedriveRuns(w, r, o) {
		return
	}
	found, err := c.o.Redrives.FindRuns(r.Context(), o)
	if errors.Is(err, handoff.ErrInvalid) {
		c.showProblem(w, r, http.StatusBadRequest, problem{"This is not understood", err.Error(), "Go back and search first."})
		return
	}
	if err != nil {
		c.fail(w, r, err)
		return
	}
	v := runsForm{Verb: o.Verb, Label: runVerb(o.Verb), Effect: runEffects[o.Verb], Query: o.Where, Back: runsPath("", o.Where, ""), Total: found.Total, More: found.More, Before: found.Before, Short: found.Short}
	for _, s := range found.Runs {
		v.Lines, v.IDs = append(v.Lines, runLineOf(s, c.o.Now())), append(v.IDs, s.ID)
	}
	c.show(w, r, http.StatusOK, "redrive_runs", page{Title: v.Label + " " + count(len(v.Lines), "run", "runs"), Nav: "runs", Body: v})
}

func (c *Console) mayRedriveRuns(w http.ResponseWriter, r *http.Request, o handoff.RunOrder) bool {
	if runVerb(o.Verb) != "" && c.o.Who(r).May(o.Verb) == nil {
		return true
	}
	c.showProblem(w, r, http.StatusForbidden, problem{"You may not do this to runs", "To cancel or retry runs takes an operator.", "Ask somebody who may."})
	return false
}

// redriveRuns begins it, and redirects to the page that shows the progress.
func (c *Console) redriveRuns(w http.ResponseWriter, r *http.Request) {
	if !c.parse(w, r) {
		return
	}
	form := r.PostForm
	o := handoff.RunOrder{Verb: people.Action(form.Get("verb")), Where: form.Get("where"), Reason: strings.TrimSpace(form.Get("reason"))}
	if !c.mayRedriveRuns(w, r, o) {
		return
	}
	ids, states := form["id"], form["state"]
	if len(ids) == 0 || len(ids) != len(states) {
		c.showProblem(w, r, http.StatusBadRequest, brokenForm)
		return
	}
	list := make([]handoff.Chosen, len(ids))
	for i := range ids {
		list[i] = handoff.Chosen{ID: ids[i], State: steps.RunState(states[i])}
	}
	p := c.o.Who(r)
	s, err := c.o.Redrives.StartRuns(r.Context(), p, o, list, nil)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	c.o.Logger.InfoContext(r.Context(), "a person does the same to many runs", "verb", string(o.Verb), "by", p.Name, "runs", strconv.Itoa(len(list)), "redrive", s.ID)
	http.Redirect(w, r, redrivePath(s.ID), http.StatusSeeOther)
}

func (c *Console) resumeRedrive(w http.ResponseWriter, r *http.Request) {
	s, err := c.o.Redrives.Resume(r.Context(), c.o.Who(r), r.PathValue("id"), nil)
	switch {
	case errors.Is(err, people.ErrForbidden):
		c.showProblem(w, r, http.StatusForbidden, problem{"You may not go on with this", "Only people who may do this to runs can.", "Ask somebody who may."})
	case err != nil:
		c.failRedrive(w, r, err)
	default:
		http.Redirect(w, r, redrivePath(s.ID), http.StatusSeeOther)
	}
}
