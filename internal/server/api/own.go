package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"belay/internal/catalog"
	"belay/internal/people"
	"belay/internal/requests"
	"belay/internal/runlog"
)

// This file keeps a submitter to what is its own: its runs, and the plans and tools that its token names.

// looking lets in who may look at everybody's work.
func (a *api) looking(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := a.Who(r).May(people.Look); err != nil {
			refuse(w, err)
			return
		}
		next(w, r)
	}
}

// ofRun lets in who may look at the run that a path names. To a submitter there are only the runs that it has started: of
// any other it is told what it is told of one that does not exist.
func (a *api) ofRun(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		who := a.Who(r)
		act := people.Look
		if who.Role == people.Submitter {
			act = people.LookAtOwn
		}
		err := who.May(act)
		if err == nil {
			err = a.own(r.Context(), who, r.PathValue("id"))
		}
		if err != nil {
			refuse(w, err)
			return
		}
		next(w, r)
	}
}

// rights are those that are asked for over NATS too.
func (a *api) rights() requests.Rights {
	r := requests.Rights{Runs: a.Runs}
	if a.Catalog != nil {
		r.Named = a.Catalog.Named
	}
	return r
}

// own says that there is no such run to a submitter who has not started it.
func (a *api) own(ctx context.Context, who people.Actor, run string) error {
	err := a.rights().Own(ctx, who, run)
	if errors.Is(err, runlog.ErrNoRun) {
		return fault{http.StatusNotFound, "no_run", "No such run", "you have started no run " + run}
	}
	return err
}

// visible leaves out of mistakes what a submitter is not told: which other plans and tools there are.
func visible(who people.Actor, err error) error {
	if who.Role != people.Submitter {
		return err
	}
	if u, ok := errors.AsType[*catalog.Unknown](err); ok {
		return fault{http.StatusUnprocessableEntity, "unknown_" + u.Kind, "No such " + u.Kind, fmt.Sprintf("the server has no %s %q", u.Kind, u.Name)}
	}
	if list, ok := errors.AsType[catalog.InvalidPlan](err); ok {
		list = slices.Clone(list)
		for i := range list {
			if strings.HasPrefix(list[i].Message, "unknown tool ") {
				list[i].Hint = ""
			}
		}
		return list
	}
	return err
}

// shownTo is a line of a run's log as an actor gets it: a submitter is not told where the server's tools file is.
func shownTo(who people.Actor, line []byte) []byte {
	if who.Role != people.Submitter || !bytes.Contains(line, []byte(`"tools_file"`)) {
		return line
	}
	var entry, event, next map[string]json.RawMessage
	if json.Unmarshal(line, &entry) != nil || json.Unmarshal(entry["event"], &event) != nil {
		return line
	}
	delete(event, "tools_file")
	if json.Unmarshal(event["next"], &next) == nil && next != nil { // what the run that it goes on as is submitted with
		delete(next, "tools_file")
		event["next"] = rewritten(next)
	}
	entry["event"] = rewritten(event)
	return append(rewritten(entry), '\n')
}

// rewritten is an object that was read a moment ago.
func rewritten(object map[string]json.RawMessage) []byte {
	text, err := json.Marshal(object)
	if err != nil {
		return []byte("{}")
	}
	return text
}
