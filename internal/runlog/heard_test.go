package runlog

import (
	"context"
	"fmt"
	"testing"
	"time"

	"belay/internal/steps"
)

// TestARunThatEndedBeforeAnybodyWaited: who submits, and waits only later, hears of an end that came meanwhile, also where
// the subscription of others makes a look at the log needless.
func TestARunThatEndedBeforeAnybodyWaited(t *testing.T) {
	t.Parallel()
	l, w, _ := watching(t)
	ctx, cancel := context.WithTimeout(t.Context(), checkEvery-2*time.Second)
	defer cancel()
	for i := range 40 {
		run, began := fmt.Sprintf("r%d", i), time.Now()
		submit(t, l, run, submitted(t))
		ended := func() {
			if s, err := w.Ended(ctx, run, Known{Exists: true, Since: began}); err != nil || s.State != steps.RunSucceeded {
				t.Errorf("%s: %v, %v", run, s.State, err)
			}
		}
		if i%2 == 0 {
			finish(t, l, run)
			ended()
			continue
		}
		done := make(chan struct{})
		go func() { ended(); close(done) }()
		finish(t, l, run)
		<-done
	}
}

// TestWhatWasHeard: what was forgotten is not taken for what never was.
func TestWhatWasHeard(t *testing.T) {
	t.Parallel()
	h := heard{}
	before := time.Now()
	if h.silent("a", before.Add(time.Hour)) {
		t.Error("nothing is heard before the line has begun")
	}
	h.since = before
	h.note("a")
	after := time.Now().Add(time.Nanosecond)
	if h.silent("a", after) || !h.silent("b", after) || h.silent("b", before) {
		t.Error("of a it has heard, of b only after its beginning not")
	}
	for i := range 2 * heardKeeps {
		h.note(fmt.Sprint(i))
		h.note(fmt.Sprint(i))
	}
	if len(h.about) != heardKeeps || h.silent("a", after) {
		t.Errorf("%d runs are remembered; a was forgotten", len(h.about))
	}
	if last := fmt.Sprint(2*heardKeeps - 1); h.silent(last, time.Now()) || !h.silent("b", time.Now()) {
		t.Error("the latest are not remembered")
	}
}
