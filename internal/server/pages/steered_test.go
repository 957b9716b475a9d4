package pages

import (
	"fmt"
	"log/slog"
	"net/http"
	"testing"

	"belay/internal/runlog"
	"belay/internal/steps/view"
)

// TestAMessageThatMayStandOnTheLog is never said not to be written.
func TestAMessageThatMayStandOnTheLog(t *testing.T) {
	t.Parallel()
	c := &Console{o: Options{Logger: slog.New(slog.DiscardHandler)}}
	for outcome, want := range map[view.Outcome]int{
		view.OutcomeUncertain: http.StatusServiceUnavailable, view.OutcomeNotAllowed: http.StatusConflict, view.OutcomeRunOver: http.StatusConflict,
	} {
		v := newSteer("r", "s", nil)
		id := v.ID
		status := v.failed(view.Reply{Outcome: outcome, Text: "why"}, fmt.Errorf("write: %w", runlog.ErrNoAgent), c)
		if status != want || (v.Conflict != "") != (want == http.StatusConflict) || v.ID != id {
			t.Errorf("%s: %d, %+v", outcome, status, v)
		}
	}
}
