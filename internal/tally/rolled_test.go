package tally

import (
	"context"
	"testing"
)

// TestARolledBackLogThatWentOn: entries have the sequences of those that are lost. Nothing is thought to have been changed.
func TestARolledBackLogThatWentOn(t *testing.T) {
	t.Parallel()
	for _, more := range []int{20, 200} {
		w := newWorld(t)
		w.publish(20, 50)
		w.look()
		w.close()
		old := w.copy(t)
		w.open()
		w.publishMore(t, 100)
		w.look()
		w.close()
		rollBack(t, w, old)
		w.open()
		w.publishMore(t, more)
		found := w.look()
		entries := 0
		for _, d := range found {
			entries += d.Entries
			if d.Kind != Rolled || !d.Any {
				t.Errorf("%d more: %s", more, d.Text())
			}
		}
		if entries != 100 {
			t.Errorf("%d more: %d entries are lost, 100 were: %v", more, entries, found)
		}
	}
}

// TestAServerThatIsBehind does not know yet of the last entries that another one has confirmed: they are not taken for lost. Where they
// are, they are found.
func TestAServerThatIsBehind(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.publish(20, 50)
	w.look()
	w.keeper.replicated = true
	stale := func() {
		part := w.keeper.parts[0]
		info, err := w.bus.About(t.Context(), part.stream)
		if err != nil {
			t.Fatal(err)
		}
		info.LastSeq = part.book.UpTo - 12
		if err := w.keeper.compareEnd(context.Background(), part, info); err != nil {
			t.Fatal(err)
		}
	}
	stale()
	if found := w.look(); found != nil {
		t.Errorf("nothing is lost, and this was found: %v", found)
	}
	w.close()
	old := w.copy(t)
	w.open()
	w.publishMore(t, 100)
	w.look()
	w.close()
	rollBack(t, w, old)
	w.open()
	w.keeper.replicated = true
	entries := 0
	for _, d := range w.look() {
		entries += d.Entries
	}
	if entries != 100 {
		t.Errorf("%d entries are lost, 100 were", entries)
	}
}
