package tally

import (
	"context"
	"strings"
	"testing"
	"time"

	"belay/internal/bus"
)

// TestAMachineThatWentDown: where the server confirms what is not on disk yet, any run may have lost its last second, although
// nothing that was noted is missing. A process that was killed, or has ended, loses nothing.
func TestAMachineThatWentDown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.publish(3, 20)
	begin := func(boot string, lossy bool) []Damage {
		w.keeper = New(w.bus, Options{Dir: w.tally(), Lossy: lossy, Boot: boot})
		if _, err := w.keeper.open(t.Context()); err != nil {
			t.Fatal(err)
		}
		return w.look()
	}
	killed := func() { w.keeper.forget() }
	for _, way := range []struct {
		name  string
		boot  string
		lossy bool
		found bool
	}{
		{"the first start", "a", true, false},
		{"killed, and started again", "a", true, false},
		{"the machine went down, and every write was synced", "b", false, false},
		{"it went down before that, and not every write is", "b", true, true},
	} {
		found := begin(way.boot, way.lossy)
		if (found != nil) != way.found {
			t.Fatalf("%s: %v", way.name, found)
		}
		killed()
	}
	d := begin("b", true)[0]
	due, open := w.keeper.Doubts(0, "run-1", 1, time.Now())
	if d.Kind != Unsynced || !strings.Contains(d.Text(), "this machine went down") || len(due) != 0 || len(open) != 1 {
		t.Errorf("%s: %v, %v", d.Text(), due, open)
	}
	if _, err := w.keeper.Accept(t.Context(), Verdict{By: "mia", Reason: "looked"}); err != nil {
		t.Fatal(err)
	}
	w.keeper.leave(context.Background(), bus.NewLease(w.bucket, leaseKey, term))
	if found := begin("c", true); found != nil {
		t.Errorf("it had ended before the machine did: %v", found)
	}
}
