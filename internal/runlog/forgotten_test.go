package runlog

import (
	"testing"

	"belay/internal/bus/bustest"
	"belay/internal/plan"
	"belay/internal/steps"
)

// TestWhatTheServerForgot: a server whose disk failed may come back without the end of a log, and give its sequences to other
// entries. Who has read the lost end before does not take it for what the log says, and does not miss what stands there now.
func TestWhatTheServerForgot(t *testing.T) {
	t.Parallel()
	f := bustest.StartForgetful(t, 1)
	l := New(f.Bus, plan.NewCache(8))
	submit(t, l, "run", submitted(t))
	f.Keep()
	lost := steps.Claimed{Attempt: steps.Attempt{Step: "a", Try: 1}, Worker: "lost"}
	appendAll(t, l, "run", lost, steps.Started{Attempt: lost.Attempt, Worker: "lost"}, steps.Cancelled{By: "lost", Reason: "lost"})

	fold, err := l.ReadOn(t.Context(), "run", nil)
	if err != nil || fold.Seq != 4 {
		t.Fatalf("before: %+v, %v", fold, err)
	}
	var h History
	if err := l.ReadHistory(t.Context(), "run", &h); err != nil || len(h.About("a", "t")) != 4 {
		t.Fatalf("before: %+v, %v", h.About("a", "t"), err)
	}

	f.Forget()
	appendAll(t, l, "run", steps.Claimed{Attempt: lost.Attempt, Worker: "kept"})
	fold, err = l.ReadOn(t.Context(), "run", fold)
	if err != nil || fold.Seq != 2 {
		t.Errorf("the fold still has what is lost: %+v, %v", fold, err)
	}
	if err := l.ReadHistory(t.Context(), "run", &h); err != nil {
		t.Fatal(err)
	}
	about := h.About("a", "t")
	if len(about) != 2 {
		t.Fatalf("the history is of other entries: %+v", about)
	}
	if c, ok := about[1].Event.(steps.Claimed); !ok || c.Worker != "kept" {
		t.Errorf("%+v", about[1])
	}
}
