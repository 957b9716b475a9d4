package api

import (
	"context"
	"fmt"
	"testing"
	"time"

	"belay/internal/breaker"
	"belay/internal/gates"
	"belay/internal/limits"
	"belay/internal/people"
	"belay/internal/steps"
)

// doors close and open gates without an audit trail.
type doors struct{ *gates.Book }

func (d doors) ListBreakers(context.Context) ([]breaker.Record, error) {
	return []breaker.Record{breaker.Trip(breaker.Target{Tool: "ship.order", Rung: "drone", Host: "shop.example"}, steps.Breaker{Min: 20}, 20, 12, "timeout: x", time.Unix(1_800_000_000, 0).UTC())}, nil
}

func (d doors) ListLimits(context.Context) ([]limits.Limit, error) {
	return []limits.Limit{{ID: "s1", Why: steps.HoldConcurrency, Covers: "ship.order", Waiting: 1, Most: 1, InHand: 1, Calls: []limits.Slot{{Attempt: "a/ship/0-0-1"}}, Waits: []limits.Waiter{{Attempt: "b/ship/0-0-1", Most: 1}}}}, nil
}

func (d doors) ListGates(ctx context.Context) ([]gates.Progress, error) { return d.List(ctx) }

func (d doors) FindGate(ctx context.Context, id string) (gates.Progress, error) {
	return d.Find(ctx, id)
}

func (d doors) CloseGate(ctx context.Context, who people.Actor, g gates.Gate) (gates.Gate, error) {
	if err := who.May(people.CloseGate); err != nil {
		return g, fmt.Errorf("%w: %w", gates.ErrDenied, err)
	}
	g.By, g.Since = who.Name, time.Now()
	if err := g.Check(); err != nil {
		return g, fmt.Errorf("%w: %w", gates.ErrWrong, err)
	}
	return g, d.Close(ctx, g)
}

func (d doors) OpenGate(ctx context.Context, who people.Actor, id, reason string) (gates.Gate, error) {
	if err := who.May(people.OpenGate); err != nil {
		return gates.Gate{}, fmt.Errorf("%w: %w", gates.ErrDenied, err)
	}
	return d.Open(ctx, id, gates.Opening{By: who.Name, Reason: reason, At: time.Now()})
}

// TestGates are closed, listed and opened, by those who may.
func TestGates(t *testing.T) {
	t.Parallel()
	o := open(t)
	const order = `{"id":"pays","covers":{"tool":"pay*"},"reason":"wrong amounts"}`
	for _, try := range []struct {
		who, method, path, body string
		status                  int
		code                    string
	}{
		{"eve", "POST", "/gates", order, 403, "forbidden"},
		{"mia", "POST", "/gates", `{"covers":{},"reason":"why"}`, 422, "invalid"},
		{"mia", "POST", "/gates", `{"covers":{"tool":"pay"}}`, 422, "invalid"},
		{"mia", "POST", "/gates", `{"covers":{"tol":"pay"},"reason":"why"}`, 400, "invalid"},
		{"mia", "POST", "/gates/pays/open", "", 404, "no_gate"},
		{"mia", "GET", "/gates/pays", "", 404, "no_gate"},
		{"mia", "POST", "/gates", order, 201, ""},
		{"mia", "POST", "/gates", order, 409, "closed"},
		{"eve", "GET", "/gates/pays", "", 200, ""},
		{"eve", "POST", "/gates/pays/open", "", 403, "forbidden"},
	} {
		a := o.ask(try.method, "/api/v1"+try.path, try.body, "X-Who", try.who)
		if code, _ := a.body["code"].(string); a.StatusCode != try.status || code != try.code {
			t.Errorf("%+v: %d %s", try, a.StatusCode, a.text)
		}
	}
	if all := o.ask("GET", "/api/v1/breakers", ""); all.body["total"] != 1.0 || all.body["items"].([]any)[0].(map[string]any)["state"] != "open" {
		t.Error(all.text)
	}
	if all := o.ask("GET", "/api/v1/limits", ""); all.body["total"] != 1.0 || all.body["items"].([]any)[0].(map[string]any)["in_hand"] != 1.0 {
		t.Error(all.text)
	}
	if one := o.ask("GET", "/api/v1/limits/ship.order", ""); one.StatusCode != 200 || one.body["id"] != "s1" {
		t.Error(one.text)
	}
	if none := o.ask("GET", "/api/v1/limits/x", ""); none.StatusCode != 404 || none.body["code"] != "no_limit" {
		t.Error(none.text)
	}
	if all := o.ask("GET", "/api/v1/gates", ""); all.body["total"] != 1.0 {
		t.Error(all.text)
	}
	if a := o.ask("POST", "/api/v1/gates/pays/open", `{"reason":"mended"}`); a.StatusCode != 200 || a.body["opened"].(map[string]any)["reason"] != "mended" {
		t.Error(a.text)
	}
	if a := o.ask("POST", "/api/v1/gates/pays/open", ""); a.StatusCode != 409 || a.body["code"] != "open" {
		t.Error(a.text)
	}
	if closed, all := o.ask("GET", "/api/v1/gates", ""), o.ask("GET", "/api/v1/gates?all=true", ""); closed.body["total"] != 0.0 || all.body["total"] != 1.0 {
		t.Error(closed.text, all.text)
	}
}
