package api

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"belay/internal/catalog"
	"belay/internal/people"
	"belay/internal/requests"
	"belay/internal/runlog"
	"belay/internal/steps"
)

// migrateOrder is how somebody wants an open run to go on under another plan.
type migrateOrder struct {
	ID     string          `json:"id"`      // of the run that it goes on as; empty = one from the Idempotency-Key, or a free one
	Plan   json.RawMessage `json:"plan"`    // the other plan: the name of one, or a whole one
	Drop   []string        `json:"drop"`    // steps that are done, and that the plan may do without
	Reason string          `json:"reason"`  // why
	DryRun bool            `json:"dry_run"` // only say whether what is done fits
}

// migration is a request for one.
type migration struct {
	migrateOrder
	run     string // that goes on as another one
	next    string // the id of that one; empty = a free one
	act     people.Action
	order   catalog.Order
	request string // digest of what the caller sent
}

func (a *api) migrate(w http.ResponseWriter, r *http.Request) {
	m := migration{run: r.PathValue("id")}
	who := a.Who(r)
	body, err := decodeBody(w, r, &m.migrateOrder)
	if err == nil {
		m.order.Strict, err = strictOf(r)
	}
	if err == nil {
		m.act, err = planOf(&m.order, bytes.TrimSpace(m.Plan), body)
	}
	if err == nil {
		err = a.mayMigrate(r.Context(), who, m)
	}
	if err == nil {
		m.next, err = a.runOf(r, who, m.ID)
	}
	if err != nil {
		refuse(w, err)
		return
	}
	m.request = digest(map[string]any{"migrate": m.run, "plan": m.Plan, "drop": m.Drop, "reason": m.Reason})
	if m.DryRun {
		a.sayMigration(w, r, who, m)
		return
	}
	a.goOn(w, r, who, m)
}

// mayMigrate refuses who may not let a run go on under another plan, before that plan is looked at.
func (a *api) mayMigrate(ctx context.Context, who people.Actor, m migration) error {
	return cmp.Or(who.May(requests.Cancels(who)), who.May(m.act), a.rights().MayRetry(ctx, who, m.run), who.MayStart(m.order.Plan, ""))
}

// under is how a run is to go on, if who wants that may have it.
func (a *api) under(ctx context.Context, who people.Actor, m migration) (o runlog.Migrating, err error) {
	if a.Catalog == nil {
		return o, noCatalog
	}
	o.Drop = m.Drop
	if o.Plan, o.ToolsFile, err = a.Catalog.Document(m.order); err != nil {
		return o, visible(who, err)
	}
	return o, a.rights().MayMigrate(ctx, who, m.run, o.Plan.JSON)
}

func (a *api) sayMigration(w http.ResponseWriter, r *http.Request, who people.Actor, m migration) {
	o, err := a.under(r.Context(), who, m)
	var proof steps.Migration
	if err == nil {
		proof, err = a.Runs.PlanMigration(r.Context(), m.run, m.next, o)
	}
	if err != nil {
		refuse(w, err)
		return
	}
	answer(w, proof)
}

// submitsWithin is how long a request waits until a dispatcher has submitted the run that one goes on as.
const submitsWithin = 10 * time.Second

// goOn lets a run go on as another one, and answers with that one. Where no dispatcher has submitted it yet, that is the run that it goes
// on from.
func (a *api) goOn(w http.ResponseWriter, r *http.Request, who people.Actor, m migration) {
	wait, err := waitOf(r)
	leave := func() {}
	if err == nil {
		leave, err = a.enter(who, true)
	}
	defer func() { leave() }()
	repeated := false
	if err == nil {
		repeated, err = a.migrateOnce(r.Context(), who, m)
	}
	if err != nil {
		refuse(w, err)
		return
	}
	status := http.StatusCreated
	if repeated {
		w.Header().Set("Idempotency-Replayed", "true")
		status = http.StatusOK
	}
	ctx, cancel := context.WithTimeout(r.Context(), submitsWithin)
	defer cancel()
	old, err := a.Watch.Ended(ctx, m.run, runlog.Known{Exists: true})
	if err != nil {
		w.Header().Set("Location", runsAt+m.run)
		a.show(w, r, m.run, http.StatusAccepted, 0)
		return
	}
	w.Header().Set("Location", runsAt+old.GoesOnAs)
	a.show(w, r, old.GoesOnAs, status, wait)
}

// migrateOnce lets a run go on, or finds that the same request has done so.
func (a *api) migrateOnce(ctx context.Context, who people.Actor, m migration) (repeated bool, err error) {
	if done, err := a.migratedBefore(ctx, who, m); done || err != nil {
		return done, err
	}
	o, err := a.under(ctx, who, m)
	if err != nil {
		return false, err
	}
	_, err = a.Runs.Migrate(ctx, m.run, m.next, o, runlog.Retried{By: who.Name, Via: who.Via, Reason: m.Reason, Request: m.request, Token: who.Token, Prove: a.proves(who)})
	if errors.Is(err, runlog.ErrConflict) || errors.Is(err, runlog.ErrNoMigration) { // somebody else may have been faster
		if done, failed := a.migratedBefore(ctx, who, m); done || failed != nil {
			return done, failed
		}
	}
	return false, err
}

// migratedBefore reports whether the same request, by its id or its key, has let the run go on.
func (a *api) migratedBefore(ctx context.Context, who people.Actor, m migration) (bool, error) {
	if m.next == "" {
		return false, nil
	}
	s, err := a.Runs.Load(ctx, m.run)
	if err != nil {
		return false, err
	}
	by := s.MigratedBy()
	if by == nil || by.To != m.next {
		return false, nil
	}
	return true, same(who, by.Next, starting{id: m.ID, request: m.request})
}

// unmigratable is the fault, and the list of all that is in the way, of a run that does not go on under another plan.
func unmigratable(e *runlog.Unmigratable) (fault, any) {
	list := []catalog.Mistake{}
	for _, reason := range e.Reasons() {
		list = append(list, catalog.Mistake{Message: reason})
	}
	return fault{http.StatusConflict, "not_migratable", "It cannot go on like that", "nothing was changed: run " + e.Migration.Of + " cannot go on under this plan as it stands"}, list
}
