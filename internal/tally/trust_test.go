package tally

import (
	"testing"
	"time"
)

// TestWhoKeepsNoTally asks who does whether the log was looked at, and need not wait until that is said anyway.
func TestWhoKeepsNoTally(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.publish(3, 20)
	if err := w.keeper.keep(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	other := New(w.bus, Options{})
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(30 * time.Second); !other.Safe() && time.Now().Before(end); <-tick.C {
		if err := other.trust(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := w.keeper.keep(t.Context(), false); err != nil { // which tells nobody by itself
			t.Fatal(err)
		}
	}
	if !other.Safe() {
		t.Error("it does not hear that the log was looked at")
	}
}

// TestAnnouncedRemovals are forgotten once they are long over, and not before.
func TestAnnouncedRemovals(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	names := w.bus.Names()
	if err := Leave(t.Context(), w.bus, 0, names.LogOf(0, "run-7")); err != nil {
		t.Fatal(err)
	}
	for n, before := range []time.Time{time.Now().Add(-leavingKept), time.Now().Add(time.Minute)} {
		if err := w.keeper.shelf.forgetLeft(t.Context(), 0, before); err != nil {
			t.Fatal(err)
		}
		if left, err := w.keeper.shelf.left(t.Context(), 0); err != nil || len(left) != 1-n {
			t.Errorf("%d are left: %v", len(left), err)
		}
	}
}
