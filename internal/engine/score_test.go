package engine

import (
	"context"
	"fmt"
	"testing"
	"time"

	"belay/internal/bus"
	"belay/internal/dispatch"
	"belay/internal/score"
	"belay/internal/steps"
)

const scoredTools = `tools:
  ship.order:
    effects: idempotent
    slo: {primary: 90%}
    rungs:
      - {name: fast, http: {method: POST, url: "http://127.0.0.1:9/ship"}, retry: {max_attempts: 1}}
      - {name: slow, static: {output: {by: post}}}
`

const scoredPlan = `name: ship
input: {orders: [1, 2, 3]}
steps: [{id: ship, tool: ship.order, for_each: input.orders}]
`

// another starts one more dispatcher.
func (r *rig) another(t *testing.T, name string) *Engine {
	t.Helper()
	e, err := Start(t.Context(), Options{Connect: bus.Options{InProcess: r.Server}, Dispatch: &dispatch.Options{Name: name}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Stop)
	return e
}

// counted follows what is counted of a tool until so many results are, and says what is then.
func (r *rig) counted(t *testing.T, results int) score.Outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		report, err := score.HowItGoes(ctx, r.Bus, 0)
		if err != nil {
			t.Fatal(err)
		}
		if len(report.Tools) > 0 && report.Tools[0].Results >= results {
			return report.Tools[0]
		}
		select {
		case <-ctx.Done():
			t.Fatalf("after a minute: %+v", report)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// TestNothingIsCountedTwice: while dispatchers come and go and take over from one another, each result is counted once; also where
// what was counted is removed, and counted again from the logs.
func TestNothingIsCountedTwice(t *testing.T) {
	t.Parallel()
	r := fleet(t, scoredTools)
	const runs, each = 40, 3
	var third *Engine
	for n := range runs {
		r.submit(t, fmt.Sprintf("run-%d", n), scoredPlan)
		switch n {
		case 10:
			third = r.another(t, "third")
		case 25:
			third.Stop()
		}
	}
	for n := range runs {
		r.until(t, fmt.Sprintf("run-%d", n), "ended", func(s *steps.State) bool { return s.Status().Ended() })
	}
	want := func(when string) {
		o := r.counted(t, runs*each)
		if o.Results != runs*each || o.Degraded != runs*each || len(o.Rungs) != 2 || o.Rungs[0].Faulted != runs*each || o.Rungs[1].Answered != runs*each || o.Rungs[1].Gave != runs*each || o.Objective == nil || o.Objective.Met {
			t.Errorf("%s: %+v", when, o)
		}
	}
	want("at the end")
	causes, err := score.Causes(t.Context(), r.Bus, score.CauseFilter{})
	if err != nil || len(causes) != 1 || causes[0].Count != runs*each || causes[0].Class != steps.Connection {
		t.Errorf("%+v, %v", causes, err)
	}
	bucket, err := r.Bus.Bucket(t.Context(), r.Bus.Names().ScoreBucket(), "")
	if err != nil {
		t.Fatal(err)
	}
	items, err := bucket.All(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, it := range items {
		if err := bucket.Delete(t.Context(), it.Key); err != nil {
			t.Fatal(err)
		}
	}
	for n := range 16 { // what is stored next finds that somebody has changed it
		r.run(t, fmt.Sprintf("more-%d", n), "name: more\nsteps: [{id: ship, tool: ship.order}]\n")
	}
	o := r.counted(t, runs*each+16)
	if o.Results != runs*each+16 || o.Rungs[0].Faulted != runs*each+16 {
		t.Errorf("counted again: %+v", o)
	}
}
