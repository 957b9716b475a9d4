package gates_test

import (
	"strings"
	"testing"

	"belay/internal/bus/bustest"
	"belay/internal/gates"
	"belay/internal/stepstest"
)

// TestReleased: a run is, once all gates that hold it back are open, and only then.
func TestReleased(t *testing.T) {
	t.Parallel()
	book := gates.Of(bustest.Start(t, 1))
	st := stepstest.NewStory(t)
	for line := range strings.Lines("tool pay max=1\nstep a tool=pay\nstep b tool=pay needs=\nsubmit") {
		st.Command(strings.TrimSpace(line))
	}
	want := func(when string, is bool) {
		t.Helper()
		if got := book.Released(t.Context(), st.State); got != is {
			t.Errorf("%s: %t", when, got)
		}
	}
	want("it runs", false)
	for line := range strings.Lines("held a 0-0-1 g1 mia wrong\nwithdrawn a 0-0-1\nheld b 0-0-1 g2 mia wrong\nwithdrawn b 0-0-1") {
		st.Command(strings.TrimSpace(line))
	}
	want("gates that nobody knows", false)
	for _, id := range []string{"g1", "g2"} {
		if err := book.Close(t.Context(), gates.Gate{ID: id, Covers: gates.Covers{All: true}, Reason: "wrong"}); err != nil {
			t.Fatal(err)
		}
		want("gates that are closed", false)
	}
	for _, id := range []string{"g2", "g1"} {
		if _, err := book.Open(t.Context(), id, gates.Opening{By: "mia"}); err != nil {
			t.Fatal(err)
		}
		want("after "+id+" was opened", id == "g1")
	}
}
