package belay

import (
	"errors"
	"testing"

	"belay/internal/steps"
)

// TestWaitFindsTheEndBehindLaterRecords: a worker that was told to stop says how it ended after the run has.
func TestWaitFindsTheEndBehindLaterRecords(t *testing.T) {
	tools, err := ParseTools("tools.yaml", []byte("tools: {work: {effects: none, rungs: [{name: primary, command: {argv: [sleep, \"60\"]}}]}}"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := Open(t.Context(), Options{Embedded: t.TempDir(), Tools: tools})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	p, err := ParsePlan("plan.yaml", []byte("name: one\nsteps: [{id: s, tool: work}]"), tools)
	if err != nil {
		t.Fatal(err)
	}
	r := c.Submit(t.Context(), p, Submission{})
	if err := r.Cancel(t.Context(), "ann", "not needed"); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		doc, err := r.Wait(t.Context())
		var ended *Ended
		if !errors.As(err, &ended) || doc.State != Cancelled {
			t.Fatalf("%v, state %q", err, doc.State)
		}
		if _, err := c.engine.Runs.Append(t.Context(), r.ID(), steps.Progress{Attempt: steps.Attempt{Step: "s", Try: 1}, Message: "late"}); err != nil {
			t.Fatal(err)
		}
	}
}
