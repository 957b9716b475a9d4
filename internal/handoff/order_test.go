package handoff

import (
	"slices"
	"strings"
	"testing"
	"time"

	"belay/internal/steps"
	"belay/internal/steps/view"
)

// TestWhatHarmsByWaitingComesFirst: an unknown outcome above what has no harm in waiting, however old that is.
func TestWhatHarmsByWaitingComesFirst(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	item := func(id string, kind steps.EscalationKind, age, left time.Duration) Item {
		it := Item{Escalation: view.Escalation{ID: id, Kind: kind, Opened: now.Add(-age)}}
		if left != 0 {
			end := now.Add(left)
			it.Deadline = &end
		}
		return it
	}
	list := []Item{
		item("old-failure", steps.KindFailure, 99*time.Hour, 0),
		item("approval", steps.KindApproval, time.Minute, 0),
		item("tomorrow", steps.KindApproval, time.Minute, 24*time.Hour),
		item("unknown", steps.KindUnknown, time.Minute, 0),
		item("older-unknown", steps.KindUnknown, time.Hour, 0),
		item("tonight", steps.KindQuestion, time.Minute, 8*time.Hour),
		item("in-5-minutes", steps.KindApproval, time.Minute, 5*time.Minute),
		item("over", steps.KindApproval, time.Minute, -time.Minute),
		item("letter", steps.KindDeadLetter, 2*time.Minute, 0),
	}
	slices.SortFunc(list, Urgency(now))
	var ids []string
	for _, it := range list {
		ids = append(ids, it.ID)
	}
	if got, want := strings.Join(ids, " "), "over in-5-minutes older-unknown unknown tonight tomorrow old-failure letter approval"; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}
