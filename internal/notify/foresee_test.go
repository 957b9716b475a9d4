package notify

import (
	"testing"
	"time"
)

// TestWhoWillBeNotifiedIsKnown to whoever reads the bucket: the tiers to come, but not what was sent already.
func TestWhoWillBeNotifiedIsKnown(t *testing.T) {
	t.Parallel()
	n := newTown(t)
	if list, err := Foresee(t.Context(), n.bus, nil, time.Now()); err != nil || list != nil {
		t.Errorf("nobody is notified, and it says %v %v", list, err)
	}
	n.setup.Policy.Tiers = append(n.setup.Policy.Tiers, Tier{Name: "lead", Notify: []string{"pager"}, After: time.Hour})
	stop := n.run()
	defer stop()
	n.ask("a-1", "timeout")
	n.page()
	for len(n.notified("a-1", "timeout")) == 0 {
		if t.Context().Err() != nil {
			t.Fatal("it is not remembered")
		}
	}
	items, err := n.desk.Items(t.Context())
	if err != nil || len(items) != 1 {
		t.Fatal(items, err)
	}
	list, err := Foresee(t.Context(), n.bus, items, time.Now())
	if err != nil || len(list) != 1 || list[0].Tier != "lead" || list[0].ID != "a-1" || !list[0].At.Equal(items[0].Opened.Add(time.Hour)) {
		t.Errorf("%+v %v", list, err)
	}
}
