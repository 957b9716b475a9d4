package notify

import (
	"strings"
	"testing"
	"time"

	"belay/internal/gates"
	"belay/internal/steps/view"
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
