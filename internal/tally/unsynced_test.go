package tally

import (
	"context"
	"path/filepath"
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

// TestOnlyWhoIsBesideKeeps: where the server confirms what is not on disk yet, nobody keeps the tally but the process beside it; who
// has just connected waits for that one, and keeps the tally after all where there is none any more.
func TestOnlyWhoIsBesideKeeps(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	beside, elsewhere := New(w.bus, Options{Lossy: true}), New(w.bus, Options{})
	may := func(k *Keeper, what string, want bool) {
		t.Helper()
		got, err := k.mayKeep(t.Context(), w.bucket)
		if err != nil || got != want {
			t.Fatalf("%s: %v, %v", what, got, err)
		}
	}
	may(elsewhere, "nobody is beside the server", true)
	may(beside, "the one beside it", true)
	may(elsewhere, "somebody is", false)
	if err := w.bucket.Delete(t.Context(), besideKey); err != nil {
		t.Fatal(err)
	}
	may(elsewhere, "the store has lost that somebody is", false)
	elsewhere.patience = 0
	may(elsewhere, "nobody has come for long", true)
	may(elsewhere, "and nobody is expected any more", true)
}

// TestWhatWasFoundIsKeptWithoutATally: a process may end, or somebody accept, before anything was noted.
func TestWhatWasFoundIsKeptWithoutATally(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "tally")
	if err := writeDamages(dir, damages{{ID: "a"}}); err != nil {
		t.Fatal(err)
	}
	if got, err := readDamages(dir); err != nil || len(got) != 1 {
		t.Fatal(got, err)
	}
}
