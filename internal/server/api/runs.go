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
		f, err = filterOf(r)
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
	answer(w, list[runlog.Summary]{Items: page.Items, Total: page.Total, Next: page.Next, Short: page.Short})
}

// filterOf reads what a list of runs is narrowed to.
func filterOf(r *http.Request) (f runlog.Filter, err error) {
	q := r.URL.Query()
	f = runlog.Filter{State: steps.RunState(q.Get("state")), Workflow: q.Get("workflow"), After: q.Get("after")}
	if f.State != "" && !slices.Contains(runStates, f.State) {
		return f, fault{http.StatusBadRequest, "invalid", "state", fmt.Sprintf("state is one of %v", runStates)}
	}
	if f.Limit, err = limitOf(r); err != nil {
		return f, err
	}
	for name, into := range map[string]*time.Time{"since": &f.Since, "until": &f.Until} {
		if text := q.Get(name); text != "" {
			if *into, err = time.Parse(time.RFC3339, text); err != nil {
				return f, fault{http.StatusBadRequest, "invalid", name, name + " is a time like 2026-01-02T15:04:05Z"}
			}
		}
	}
	if f.Labels, err = pairsOf(q, "label"); err != nil {
		return f, err
	}
	f.Input, err = pairsOf(q, "input")
	return f, err
}

var runStates = []steps.RunState{
	steps.RunScheduled, steps.RunRunning, steps.RunWaiting, steps.RunSucceeded, steps.RunDegraded, steps.RunFailed, steps.RunAborted, steps.RunCancelled,
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
