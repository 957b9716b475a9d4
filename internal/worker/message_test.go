package worker

import (
	"slices"
	"testing"

	"belay/internal/ladder"
	"belay/internal/steps"
	"belay/internal/wire"
)

// TestWhatAWorkerWritesNamesItsRun: whoever reads the log with other tools finds a run by a header that every message of
// it has, whoever wrote it.
func TestWhatAWorkerWritesNamesItsRun(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.submit(steps.EffectsUnsafe)
	r.start(Options{}, ladder.Rung{Effects: steps.EffectsUnsafe, Executor: ok(func() {}).Executor})
	r.queue(message(steps.EffectsUnsafe))
	r.until(isOutcome)
	r.drained()
	entries, err := r.ReadLog(t.Context(), "r", 1)
	if err != nil || len(entries) < 2 {
		t.Fatalf("%d entries, want a claim and an outcome; %v", len(entries), err)
	}
	for _, e := range entries {
		if got := e.Header[wire.HeaderRun]; !slices.Equal(got, []string{"r"}) {
			t.Errorf("%s has %s %q, want r", e.Subject, wire.HeaderRun, got)
		}
	}
}
