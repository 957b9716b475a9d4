package notify

import (
	"strings"
	"testing"
	"time"

	"belay/internal/gates"
	"belay/internal/limits"
	"belay/internal/steps"
	"belay/internal/steps/view"
	"belay/internal/stepstest"
)

// TestBehindAnOpenedGate: whoever asks why a step waits is not told to open a gate that is open. One that is closed stays as the log has it.
func TestBehindAnOpenedGate(t *testing.T) {
	t.Parallel()
	n := newTown(t)
	now, until := n.bus.Now(), n.bus.Now().Add(time.Hour)
	for _, id := range []string{"open", "closed"} {
		if err := gates.Of(n.bus).Close(t.Context(), gates.Gate{ID: id, Covers: gates.Covers{All: true}, By: "mia", Reason: "so", Since: now, Until: until}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := gates.Of(n.bus).Open(t.Context(), "open", gates.Opening{By: "ben", At: now}); err != nil {
		t.Fatal(err)
	}
	w := view.Why{Waits: []view.Wait{
		{For: view.ForGate, Gate: "open", Until: &until, Text: "as the log has it"}, {For: view.ForGate, Gate: "closed", Until: &until, Text: "as the log has it"},
	}}
	if err := openedGates(t.Context(), n.bus, &w); err != nil {
		t.Fatal(err)
	}
	if x := w.Waits[0]; x.Until != nil || x.Opened == nil || !strings.HasPrefix(x.Text, "behind gate open, which was opened at ") {
		t.Errorf("%+v", x)
	}
	if x := w.Waits[1]; x.Until == nil || x.Opened != nil || x.Text != "as the log has it" {
		t.Errorf("%+v", x)
	}
}

// TestBehindABreakerInItsRamp: a breaker whose target answers again is not said to be open, though the log has it so until the step's turn comes.
func TestBehindABreakerInItsRamp(t *testing.T) {
	t.Parallel()
	s := stepstest.Tell(t, `
tool t breaker=15m timeout=3h
step a tool=t
submit
limited a 0-0-1 breaker t/primary open
withdrawn a 0-0-1
`)
	for _, c := range []struct{ covers, begins, ends string }{
		{"t/primary", "behind the breaker of t/primary, whose target answers again: ", "of 7 that wait none has a higher priority, and it is one of 4 that are new"},
		{"other/primary", "held back by the open breaker of t/primary: open", ""},
	} {
		w := view.WhyOf(s, view.Foresight{})
		placed([]limits.Limit{{Why: steps.HoldBreaker, Covers: c.covers, Waiting: 7, Of: map[string]int{"new": 4, "redone": 3}}}, s, &w.Waits[0])
		if is := w.Waits[0].Text; !strings.HasPrefix(is, c.begins) || !strings.HasSuffix(is, c.ends) {
			t.Errorf("%s: %q", c.covers, is)
		}
	}
}
