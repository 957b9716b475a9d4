package api

import (
	"context"
	"net/http"
	"time"

	"belay/internal/breaker"
	"belay/internal/gates"
	"belay/internal/limits"
	"belay/internal/people"
)

// Gates are what people do about gates, and see of them.
type Gates interface {
	ListBreakers(ctx context.Context) ([]breaker.Record, error)
	ListLimits(ctx context.Context) ([]limits.Limit, error)
	ListGates(ctx context.Context) ([]gates.Progress, error)
	FindGate(ctx context.Context, id string) (gates.Progress, error)
	CloseGate(ctx context.Context, who people.Actor, g gates.Gate) (gates.Gate, error)
	OpenGate(ctx context.Context, who people.Actor, id, reason string) (gates.Gate, error)
}

// gateOrder closes a gate.
type gateOrder struct {
	ID     string       `json:"id,omitempty"`
	Covers gates.Covers `json:"covers"`
	Reason string       `json:"reason"`
	Until  time.Time    `json:"until,omitzero"` // when it opens by itself
}

// gateOpening opens one.
type gateOpening struct {
	Reason string `json:"reason,omitempty"`
}

func (a *api) breakers(w http.ResponseWriter, r *http.Request) {
	all, err := a.Gates.ListBreakers(r.Context())
	if err != nil {
		refuse(w, err)
		return
	}
	answer(w, list[breaker.Record]{Items: all, Total: len(all)})
}

func (a *api) limits(w http.ResponseWriter, r *http.Request) {
	all, err := a.Gates.ListLimits(r.Context())
	if err != nil {
		refuse(w, err)
		return
	}
	answer(w, list[limits.Limit]{Items: all, Total: len(all)})
}

func (a *api) limit(w http.ResponseWriter, r *http.Request) {
	all, err := a.Gates.ListLimits(r.Context())
	if err == nil {
		var l limits.Limit
		if l, err = limits.In(all, r.PathValue("id")); err == nil {
			answer(w, l)
			return
		}
	}
	refuse(w, err)
}

func (a *api) gates(w http.ResponseWriter, r *http.Request) {
	all, err := a.Gates.ListGates(r.Context())
	if err != nil {
		refuse(w, err)
		return
	}
	shown := list[gates.Progress]{Items: []gates.Progress{}}
	for _, p := range all {
		if p.Closed() || r.URL.Query().Get("all") == "true" {
			shown.Items = append(shown.Items, p)
		}
	}
	shown.Total = len(shown.Items)
	answer(w, shown)
}

func (a *api) gate(w http.ResponseWriter, r *http.Request) {
	p, err := a.Gates.FindGate(r.Context(), r.PathValue("id"))
	if err != nil {
		refuse(w, err)
		return
	}
	answer(w, p)
}

func (a *api) closeGate(w http.ResponseWriter, r *http.Request) {
	var o gateOrder
	err := decode(w, r, &o)
	if err == nil {
		var g gates.Gate
		if g, err = a.Gates.CloseGate(r.Context(), a.Who(r), gates.Gate{ID: o.ID, Covers: o.Covers, Reason: o.Reason, Until: o.Until}); err == nil {
			w.Header().Set("Location", "/api/v1/gates/"+g.ID)
			reply(w, http.StatusCreated, g)
			return
		}
	}
	refuse(w, err)
}

func (a *api) openGate(w http.ResponseWriter, r *http.Request) {
	var o gateOpening
	err := decode(w, r, &o)
	if err == nil {
		var g gates.Gate
		if g, err = a.Gates.OpenGate(r.Context(), a.Who(r), r.PathValue("id"), o.Reason); err == nil {
			answer(w, g)
			return
		}
	}
	refuse(w, err)
}
