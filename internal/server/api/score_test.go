package api

import (
	"context"
	"testing"
	"time"

	"belay/internal/score"
	"belay/internal/steps"
)

// scored says how it goes with one tool.
func scored() *score.Counts {
	now := time.Now().UTC()
	return &score.Counts{
		Since: now.Add(-48 * time.Hour), Hours: []score.Slot{{At: now.Truncate(time.Hour), Tools: map[string]*score.Numbers{"pay": {Primary: 9, Degraded: 1}}}},
		Tools:  map[string]*score.Tool{"pay": {SLO: &steps.SLO{Primary: 0.99, Window: score.Span(score.DefaultWindow)}, Changed: now}},
		Causes: []score.Cause{{ID: "c0ffee", Tool: "pay", Class: steps.Timeout, Message: "order #", Sample: "order 17", Run: "r", First: now, Last: now, Count: 3, Days: map[string]int{}}},
	}
}

func (d doors) HowItGoes(_ context.Context, window time.Duration) (score.Report, error) {
	return scored().Report(time.Now(), window, nil), nil
}

func (d doors) Causes(_ context.Context, f score.CauseFilter) ([]score.CauseReport, error) {
	return scored().Pick(f, time.Now()), nil
}

// TestHowItGoes: results and causes are asked for, over a window and of a tool, and wrong questions are refused.
func TestHowItGoes(t *testing.T) {
	t.Parallel()
	o := open(t)
	a := o.ask("GET", "/api/v1/slo?window=24h", "")
	tool := a.body["tools"].([]any)[0].(map[string]any)
	if a.StatusCode != 200 || tool["tool"] != "pay" || tool["results"] != 10.0 || tool["share"] != 0.9 || tool["window"] != 86400.0 || tool["objective"].(map[string]any)["met"] != false {
		t.Errorf("%d %v", a.StatusCode, a.body)
	}
	if a := o.ask("GET", "/api/v1/slo?window=90d", ""); a.StatusCode != 400 || a.body["code"] != "invalid" {
		t.Errorf("%d %v", a.StatusCode, a.body)
	}
	c := o.ask("GET", "/api/v1/causes?tool=pay&new=true", "")
	if c.StatusCode != 200 || c.body["total"] != 1.0 || c.body["items"].([]any)[0].(map[string]any)["new"] != true {
		t.Errorf("%d %v", c.StatusCode, c.body)
	}
	if a := o.ask("GET", "/api/v1/causes?tool=ship", ""); a.body["total"] != 0.0 {
		t.Errorf("%v", a.body)
	}
	if a := o.ask("GET", "/api/v1/causes?since=yesterday", ""); a.StatusCode != 400 {
		t.Errorf("%d %v", a.StatusCode, a.body)
	}
}
