package herald

import (
	"testing"
	"time"

	"belay/internal/notify"
)

// TestWhoWillBeToldIsKnown to whoever reads the bucket: the tiers to come, but not what was said already.
func TestWhoWillBeToldIsKnown(t *testing.T) {
	n := newTown(t)
	if list, err := Foresee(t.Context(), n.bus, nil, time.Now()); err != nil || list != nil {
		t.Errorf("nobody is told anything, and it says %v %v", list, err)
	}
	n.setup.Policy.Tiers = append(n.setup.Policy.Tiers, notify.Tier{Name: "lead", Notify: []string{"pager"}, After: time.Hour})
	stop := n.herald()
	defer stop()
	n.ask("a-1", "timeout")
	n.page()
	for len(n.told("a-1", "timeout")) == 0 {
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
