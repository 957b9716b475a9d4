package api

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"

	"belay/internal/catalog"
	"belay/internal/people"
	"belay/internal/requests"
	"belay/internal/runlog"
)

// replayOrder is how somebody wants an ended run done again.
type replayOrder struct {
	ID        string                     `json:"id"`      // of the new run; empty = one from the Idempotency-Key, or a new one
	From      []string                   `json:"from"`    // steps from which on it is done again
	Confirmed []string                   `json:"again"`   // steps of which calls may be made again that had been made
	Input     map[string]json.RawMessage `json:"input"`   // over the input that the run had
	Plan      json.RawMessage            `json:"plan"`    // another version: the name of a plan, or a whole one; none = the run's own
	Reason    string                     `json:"reason"`  // why
	DryRun    bool                       `json:"dry_run"` // only say what would become of each step
}

func (a *api) replay(w http.ResponseWriter, r *http.Request) {
	var o replayOrder
	body, err := decodeBody(w, r, &o)
	s := starting{act: people.Submit, id: o.ID, replayOf: r.PathValue("id"), reason: o.Reason, replay: runlog.Replaying{From: o.From, Confirmed: o.Confirmed}}
	if err == nil {
		s.order.Strict, err = strictOf(r)
	}
	if err == nil && len(o.Plan) > 0 && !bytes.Equal(o.Plan, []byte("null")) {
		s.act, err = planOf(&s.order, o.Plan, body)
	}
	if err == nil && o.Input != nil {
		s.replay.Input = runlog.Given(o.Input)
	}
	if err != nil {
		refuse(w, err)
		return
	}
	s.request = digest(map[string]any{"replay": s.replayOf, "from": o.From, "again": o.Confirmed, "input": o.Input, "plan": o.Plan, "reason": o.Reason})
	if !o.DryRun {
		a.start(w, r, s)
		return
	}
	who := a.Who(r)
	if err = a.mayStart(r.Context(), who, s); err == nil {
		err = a.otherPlan(who, &s)
	}
	if err != nil {
		refuse(w, visible(who, err))
		return
	}
	would, err := a.Runs.PlanReplay(r.Context(), s.replayOf, s.replay)
	if err != nil {
		refuse(w, err)
		return
	}
	answer(w, would)
}

// otherPlan reads the plan that a run is to be done again by, where that is not its own.
func (a *api) otherPlan(who people.Actor, s *starting) error {
	if s.order.Plan == "" && s.order.Whole == nil {
		return nil
	}
	if a.Catalog == nil {
		return noCatalog
	}
	doc, tools, err := a.Catalog.Document(s.order)
	if err != nil {
		return err
	}
	s.replay.Plan, s.replay.ToolsFile = doc, tools
	return requests.Permitted(who, s.act, doc.JSON)
}

// again starts a run that does another one again.
func (a *api) redo(ctx context.Context, who people.Actor, run, trace string, s starting) (id string, created bool, err error) {
	if err := a.otherPlan(who, &s); err != nil {
		return "", false, visible(who, err)
	}
	return a.Runs.Replay(ctx, s.replayOf, run, s.replay, runlog.Retried{By: who.Name, Via: who.Via, Reason: s.reason, Request: s.request, Token: who.Token, Trace: trace, Prove: a.proves(who)})
}

// unreplayable is the fault, and the list of all that is in the way, of a run that is not done again.
func unreplayable(e *runlog.Unreplayable) (fault, any) {
	f := fault{http.StatusConflict, "not_replayable", "It cannot be done again like that", e.Error()}
	if e.Unconfirmed() {
		f = fault{http.StatusConflict, "confirm", "Calls would be made again", e.Error()}
	}
	list := []catalog.Mistake{}
	for _, reason := range e.Reasons() {
		list = append(list, catalog.Mistake{Message: reason})
	}
	return f, list
}
