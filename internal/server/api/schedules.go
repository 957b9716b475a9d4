package api

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"time"

	"belay/internal/catalog"
	"belay/internal/people"
	"belay/internal/schedules"
	"belay/internal/steps"
)

// Schedules are what people do about schedules, and see of them.
type Schedules interface {
	ListSchedules(ctx context.Context) ([]schedules.Schedule, error)
	FindSchedule(ctx context.Context, name string) (schedules.Schedule, error)
	AddSchedule(ctx context.Context, who people.Actor, s schedules.Schedule, order steps.Submitted, replace bool) (schedules.Schedule, error)
	ChangeSchedule(ctx context.Context, who people.Actor, name string, do schedules.Act, reason string) (schedules.Schedule, error)
	FireSchedule(ctx context.Context, who people.Actor, name string, at time.Time) (schedules.Schedule, schedules.Firing, error)
	// Now is the log's time.
	Now() time.Time
}

// scheduleOrder adds a schedule.
type scheduleOrder struct {
	Name    string                     `json:"name"` // of it; empty = that of the plan
	Plan    json.RawMessage            `json:"plan"` // the name of one, or a whole one
	Input   map[string]json.RawMessage `json:"input"`
	Labels  map[string]string          `json:"labels"`
	Cron    string                     `json:"cron"`
	TZ      string                     `json:"tz"`
	Jitter  steps.Duration             `json:"jitter"` // in seconds
	Overlap schedules.Overlap          `json:"overlap"`
	CatchUp schedules.CatchUp          `json:"catch_up"`
	Window  steps.Duration             `json:"catch_up_window"` // in seconds
	Replace bool                       `json:"replace"`         // one of its name may be there
}

func (a *api) schedules(w http.ResponseWriter, r *http.Request) {
	all, err := a.Schedules.ListSchedules(r.Context())
	if err != nil {
		refuse(w, err)
		return
	}
	answer(w, list[schedules.Schedule]{Items: all, Total: len(all)})
}

func (a *api) schedule(w http.ResponseWriter, r *http.Request) {
	s, err := a.Schedules.FindSchedule(r.Context(), r.PathValue("name"))
	if err != nil {
		refuse(w, err)
		return
	}
	answer(w, s)
}

func (a *api) addSchedule(w http.ResponseWriter, r *http.Request) {
	var o scheduleOrder
	body, err := decodeBody(w, r, &o)
	var sub steps.Submitted
	if err == nil {
		sub, err = a.scheduled(r, &o, body)
	}
	if err != nil {
		refuse(w, err)
		return
	}
	var doc steps.Definition
	if err := json.Unmarshal(sub.Document, &doc); err != nil {
		refuse(w, err)
		return
	}
	s := schedules.Schedule{Name: o.Name, Plan: doc.Plan.Name, Cron: o.Cron, TZ: o.TZ, Jitter: o.Jitter, Overlap: o.Overlap, CatchUp: o.CatchUp, Window: o.Window}
	if s, err = a.Schedules.AddSchedule(r.Context(), a.Who(r), s, sub, o.Replace); err != nil {
		refuse(w, err)
		return
	}
	w.Header().Set("Location", "/api/v1/schedules/"+s.Name)
	reply(w, http.StatusCreated, s)
}

// scheduled is what the runs of a schedule begin with, for somebody who may start them.
func (a *api) scheduled(r *http.Request, o *scheduleOrder, body []byte) (sub steps.Submitted, err error) {
	order := catalog.Order{Input: o.Input, Labels: o.Labels}
	if order.Strict, err = strictOf(r); err != nil {
		return sub, err
	}
	act := people.Submit
	switch plan := bytes.TrimSpace(o.Plan); {
	case bytes.HasPrefix(plan, []byte(`{`)):
		order.Whole, order.At, act = plan, placeOf(body, "plan"), people.SubmitWhole
	case json.Unmarshal(plan, &order.Plan) != nil || order.Plan == "":
		return sub, fault{http.StatusUnprocessableEntity, "invalid", "plan", "plan is the name of a plan that the server has, or a whole plan as an object"}
	}
	who := a.Who(r)
	for _, needed := range []people.Action{people.ChangeSchedule, act} {
		if err := who.May(needed); err != nil {
			return sub, err
		}
	}
	if a.Catalog == nil {
		return sub, noCatalog
	}
	return a.Catalog.Prepare(order)
}

// changeSchedule is the handler that does one thing about a schedule.
func (a *api) changeSchedule(do schedules.Act) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var o struct {
			Reason string `json:"reason"`
		}
		err := decode(w, r, &o)
		if err == nil {
			var s schedules.Schedule
			if s, err = a.Schedules.ChangeSchedule(r.Context(), a.Who(r), r.PathValue("name"), do, o.Reason); err == nil {
				answer(w, s)
				return
			}
		}
		refuse(w, err)
	}
}

func (a *api) fireSchedule(w http.ResponseWriter, r *http.Request) {
	var o struct{}
	err := decode(w, r, &o)
	if err == nil {
		var f schedules.Firing
		if _, f, err = a.Schedules.FireSchedule(r.Context(), a.Who(r), r.PathValue("name"), a.Schedules.Now()); err == nil {
			w.Header().Set("Location", "/api/v1/runs/"+f.Run)
			reply(w, http.StatusCreated, f)
			return
		}
	}
	refuse(w, err)
}
