package gate

import (
	"testing"

	"belay/internal/people"
)

// TestWhoHasLeftWaitsNoMore: nothing is kept of those who have left, however they were told apart.
func TestWhoHasLeftWaitsNoMore(t *testing.T) {
	t.Parallel()
	w := NewWaits()
	var all []func()
	for _, who := range []people.Actor{{Name: "mia", Token: "1"}, {Name: "mia", Token: "1"}, {Name: "mia", Token: "2"}, {Name: "mia"}, {Name: "1"}} {
		leave, err := w.Enter(who)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, leave)
	}
	if w.all != 5 || len(w.by) != 4 {
		t.Errorf("%d wait, %v", w.all, w.by)
	}
	for _, leave := range all {
		leave()
	}
	if w.all != 0 || len(w.by) != 0 {
		t.Errorf("%d and %v are left", w.all, w.by)
	}
}
