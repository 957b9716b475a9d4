package api

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"belay/internal/catalog"
	"belay/internal/exactjson"
	"belay/internal/people"
	"belay/internal/runlog"
	"belay/internal/steps"
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

// own says that there is no such run to a submitter who has not started it. A run is started by whose token was shown for
// it; a name that somebody gave is not enough.
func (a *api) own(ctx context.Context, who people.Actor, run string) error {
	if who.Role != people.Submitter {
		return nil
	}
	there, err := a.Runs.Submitted(ctx, run)
	switch {
	case err == nil && there != nil && there.Token != "" && there.By == who.Name:
		return nil
	case err == nil || errors.Is(err, runlog.ErrFrozen):
		return fault{http.StatusNotFound, "no_run", "No such run", "you have started no run " + run}
	}
	return err
}

// cancels is the act of an actor who cancels a run that they may see.
func cancels(who people.Actor) people.Action {
	if who.Role == people.Submitter {
		return people.CancelOwn
	}
	return people.Cancel
}

// steers is the act of an actor who writes to an agent of a run that they may see.
func steers(who people.Actor) people.Action {
	if who.Role == people.Submitter {
		return people.SteerOwn
	}
	return people.Steer
}

// permitted says why a submitter may not start what was made of its order: the tools of a whole plan must be in its
// limits, and so must unsafe effects, whoever has written the plan.
func permitted(who people.Actor, act people.Action, document json.RawMessage) error {
	if who.Role != people.Submitter {
		return nil
	}
	var doc steps.Definition
	if err := exactjson.Unmarshal(document, &doc); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(doc.Tools)) {
		if act == people.SubmitWhole {
			if err := who.MayStart("", name); err != nil {
				return err
			}
		}
		if tool := doc.Tools[name]; tool.Effects.Unsafe() {
			if err := who.MayUseUnsafe(name); err != nil {
				return err
			}
		}
	}
	return nil
}

// mayRetry says why a submitter may not go on from a run of its own: another token of the same person may have started it,
// one that may start more.
func (a *api) mayRetry(ctx context.Context, who people.Actor, run string) error {
	if who.Role != people.Submitter {
		return nil
	}
	there, err := a.Runs.Submitted(ctx, run)
	if err != nil || there == nil || there.Token == who.Token {
		return err // what is not there is refused where it is read
	}
	if a.Catalog != nil {
		if plan, ok := a.Catalog.Named(there.Document); ok {
			return cmp.Or(who.MayStart(plan, ""), permitted(who, people.Submit, there.Document))
		}
	}
	return cmp.Or(who.May(people.SubmitWhole), permitted(who, people.SubmitWhole, there.Document))
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
	var entry, event map[string]json.RawMessage
	if json.Unmarshal(line, &entry) != nil || json.Unmarshal(entry["event"], &event) != nil || event["tools_file"] == nil {
		return line
	}
	delete(event, "tools_file")
	var err error
	if entry["event"], err = json.Marshal(event); err != nil {
		return line // what was read a moment ago can be written
	}
	if out, err := json.Marshal(entry); err == nil {
		return append(out, '\n')
	}
	return line
}
