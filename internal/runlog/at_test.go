package runlog

import (
	"errors"
	"testing"

	"belay/internal/steps"
	"belay/internal/steps/view"
)

// TestAt is the run as it was then, whatever came later.
func TestAt(t *testing.T) {
	t.Parallel()
	l, b := online(t)
	submit(t, l, "run", submitted(t))
	appendAll(t, l, "run", succeeded("a"), succeeded("b"))
	entries, err := b.ReadLog(t.Context(), "run", 0)
	if err != nil {
		t.Fatal(err)
	}
	for n, want := range []int{0, 1, 2} {
		s, err := l.At(t.Context(), "run", entries[n].Seq)
		done := 0
		for i := range s.Units {
			if s.Units[i].State() == steps.StepSucceeded {
				done++
			}
		}
		if err != nil || done != want || s.Seq != entries[n].Seq {
			t.Errorf("at %d %d steps are done, want %d: %v", entries[n].Seq, done, want, err)
		}
	}
	if s, err := l.At(t.Context(), "nobody", 9); s != nil || err != nil {
		t.Errorf("%v, %v", s, err)
	}
}

// TestCancelSaysWhatCameOfIt, also to whom it came too late.
func TestCancelSaysWhatCameOfIt(t *testing.T) {
	t.Parallel()
	l, _ := online(t)
	submit(t, l, "run", submitted(t))
	appendAll(t, l, "run", steps.Started{Attempt: steps.Attempt{Step: "a", Try: 1}, Worker: "w"})
	first, err := l.Cancel(t.Context(), "run", steps.Cancelled{By: "mia", Via: "cli", Reason: "not needed"})
	if err != nil || first.Outcome != view.OutcomeCounts || first.Ended {
		t.Errorf("%+v, %v", first, err)
	}
	again, err := l.Cancel(t.Context(), "run", steps.Cancelled{By: "bo"})
	if err != nil || again.Outcome != view.OutcomeRepeated || again.Text != "it is ending already: cancelled by mia: not needed" {
		t.Errorf("%+v, %v", again, err)
	}
	submit(t, l, "done", submitted(t))
	appendAll(t, l, "done", succeeded("a"), succeeded("b"))
	if w, err := l.Cancel(t.Context(), "done", steps.Cancelled{By: "bo"}); !errors.Is(err, ErrEnded) || w.Text != "it succeeded" {
		t.Errorf("%+v, %v", w, err)
	}
}
