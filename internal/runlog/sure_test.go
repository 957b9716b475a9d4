package runlog

import (
	"context"
	"testing"
	"time"

	"belay/internal/bus"
	"belay/internal/steps"
)

// lostAnswer submits a run by a call that began at a time, and does not hear what the server said to its first write.
func lostAnswer(t *testing.T, l *Log, run string, began time.Time) (created bool) {
	t.Helper()
	w, err := l.submitting(run, submitted(t))
	if err != nil {
		t.Fatal(err)
	}
	w.began = began
	_ = w.write(t.Context()) // stored, or refused because it is there
	if err := w.confirm(t.Context(), bus.ErrUncertain); err != nil {
		t.Fatal(err)
	}
	return w.created
}

// TestWhoseRunItIsAfterALostAnswer: what the first write stored is from the call, what has been there for longer is not, and whoever waits
// for its end then looks for it.
func TestWhoseRunItIsAfterALostAnswer(t *testing.T) {
	t.Parallel()
	l, w, b := listening(t) // somebody has waited: a subscription is there that will not tell of what ended before it
	if _, err := b.AskTime(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !lostAnswer(t, l, "mine", time.Now()) {
		t.Error("a run is not from the call that has stored it")
	}
	before := New(b, l.programs)
	submit(t, before, "theirs", submitted(t))
	finish(t, before, "theirs")
	later := time.Now().Add(2 * clusterClocks)
	if lostAnswer(t, l, "theirs", later) {
		t.Error("a run that was there is from the call")
	}
	ctx, cancel := context.WithTimeout(t.Context(), checkEvery-5*time.Second)
	defer cancel()
	if s, err := w.Ended(ctx, "theirs", Known{Exists: true}); err != nil || s.State != steps.RunSucceeded {
		t.Errorf("%v, %v", s.State, err)
	}
}
