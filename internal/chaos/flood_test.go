package chaos

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"belay"
)

// flood submits runs of a plan, 64 at a time, and waits for each; took is called for each, one after the other.
func flood(t *testing.T, client *belay.Client, plan *belay.Plan, runs int, took func(run string, d time.Duration)) {
	t.Helper()
	var busy sync.WaitGroup
	var mu sync.Mutex
	var next atomic.Int64
	for range min(64, runs) {
		busy.Go(func() {
			for next.Add(1) <= int64(runs) {
				began := time.Now()
				run, err := client.Submit(t.Context(), plan, belay.Submission{})
				if err == nil {
					_, err = run.Wait(t.Context())
				}
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				took(run.ID(), time.Since(began))
				mu.Unlock()
			}
		})
	}
	busy.Wait()
}

// planOf parses a plan for programs outside.
func planOf(t *testing.T, tools, text string) *belay.Plan {
	t.Helper()
	parsed, err := belay.ParseTools("tools.yaml", []byte(tools))
	if err != nil {
		t.Fatal(err)
	}
	p, err := belay.ParsePlan("plan.yaml", []byte(text), parsed)
	if err != nil {
		t.Fatal(err)
	}
	return p
}
