package api

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"belay/internal/people"
	"belay/internal/runlog"
	"belay/internal/steps"
)

func (a *api) runs(w http.ResponseWriter, r *http.Request) {
	who, look, owner := a.Who(r), people.Look, ""
	if who.Role == people.Submitter {
		look, owner = people.LookAtOwn, who.Name
	}
	err := who.May(look)
	var f runlog.Filter
	if err == nil {
		f, err = filterOf(r, a.Desk.Now())
	}
	if err == nil && f.After != "" { // the place of a run in the list tells that there is one
		err = a.own(r.Context(), who, f.After)
	}
	if err != nil {
		refuse(w, err)
		return
	}
	f.Owner = owner
	page, err := a.Runs.List(r.Context(), f)
	if err != nil {
		refuse(w, err)
		return
	}
	if page.Items == nil {
		page.Items = []runlog.Summary{}
	}
	answer(w, list[runlog.Summary]{Items: page.Items, Total: page.Total, Next: page.Next, Short: page.Short, Read: page.Read})
}

// filterOf reads what a list of runs is narrowed to.
func filterOf(r *http.Request, now time.Time) (f runlog.Filter, err error) {
	q := r.URL.Query()
	if f, err = runlog.ParseQuery(q.Get("where"), now); err != nil {
		return f, fault{http.StatusBadRequest, "invalid", "where", err.Error()}
	}
	for name, into := range map[string]*string{"workflow": &f.Workflow, "tool": &f.Tool, "fault_text": &f.Text} {
		if text := q.Get(name); text != "" {
			*into = text
		}
	}
	if f.After = q.Get("after"); q.Get("state") != "" {
		f.State = steps.RunState(q.Get("state"))
	}
	if f.State != "" && !slices.Contains(runlog.States, f.State) {
		return f, fault{http.StatusBadRequest, "invalid", "state", fmt.Sprintf("state is one of %v", runlog.States)}
	}
	for name, set := range map[string]func(string) error{"fault": f.SetClass, "fault_reason": f.SetReason} {
		if text := q.Get(name); text != "" {
			if err := set(text); err != nil {
				return f, fault{http.StatusBadRequest, "invalid", name, err.Error()}
			}
		}
	}
	if f.Limit, err = limitOf(r); err != nil {
		return f, err
	}
	return f, timesAndPairs(q, &f)
}

func timesAndPairs(q url.Values, f *runlog.Filter) (err error) {
	for name, into := range map[string]*time.Time{"since": &f.Since, "until": &f.Until, "ended_since": &f.EndedSince, "ended_until": &f.EndedUntil} {
		if text := q.Get(name); text != "" {
			if *into, err = time.Parse(time.RFC3339, text); err != nil {
				return fault{http.StatusBadRequest, "invalid", name, name + " is a time like 2026-01-02T15:04:05Z"}
			}
		}
	}
	for name, into := range map[string]*map[string]string{"label": &f.Labels, "input": &f.Input} {
		given, err := pairsOf(q, name)
		if err != nil {
			return err
		}
		if given != nil {
			*into = given
		}
	}
	for path := range f.Input {
		if err := runlog.CheckPath(path); err != nil {
			return fault{http.StatusBadRequest, "invalid", "input", err.Error()}
		}
	}
	return nil
}

// pairsOf reads a parameter that is given as name=value, as often as one likes.
func pairsOf(q url.Values, name string) (map[string]string, error) {
	var all map[string]string
	for _, text := range q[name] {
		k, v, ok := strings.Cut(text, "=")
		if !ok || k == "" {
			return nil, fault{http.StatusBadRequest, "invalid", name, name + " is name=value, such as " + name + "=customer=17"}
		}
		if all == nil {
			all = map[string]string{}
		}
		all[k] = v
	}
	return all, nil
}
