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
