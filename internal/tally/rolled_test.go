package tally

import "testing"

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
