package bus_test

import (
	"os"
	"testing"
	"time"

	"belay/internal/bus"
	"belay/internal/bus/bustest"
)

func TestWorkersAreSeenWhileTheyRun(t *testing.T) {
	t.Parallel()
	b := bustest.Connect(t)
	seen := func() []bus.Worker {
		t.Helper()
		all, err := b.Workers(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	if all := seen(); len(all) != 0 {
		t.Fatalf("%+v", all)
	}
	executing := 1
	state := func() bus.Worker {
		return bus.Worker{Name: "w2", Serves: []string{"pay/primary"}, Concurrency: 4, Executing: executing, InHand: 3}
	}
	for version, name := range map[string]string{"1.2.3": "w2", "nightly build": "w1"} {
		gone, err := bus.AnnounceWorker(b, version, func() bus.Worker {
			w := state()
			w.Name = name
			return w
		})
		if err != nil {
			t.Fatal(err)
		}
		defer gone()
	}
	executing = 2
	all := seen()
	if len(all) != 2 || all[0].Name != "w1" || all[0].Version != "nightly build" {
		t.Fatalf("%+v", all)
	}
	if w := all[1]; w.Name != "w2" || w.Version != "1.2.3" || w.PID != os.Getpid() || w.Host == "" || w.Started.IsZero() || w.Executing != 2 || w.InHand != 3 || w.Serves[0] != "pay/primary" {
		t.Errorf("%+v", w)
	}
	gone, err := bus.AnnounceWorker(b, "1.2.3", state)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(seen()); n != 3 {
		t.Errorf("%d", n)
	}
	gone()
	if n := len(seen()); n != 2 {
		t.Errorf("one that is gone is seen: %d", n)
	}
}

// TestWhatNoWorkerServesIsSaid by the dispatchers that have seen it; several are one answer.
func TestWhatNoWorkerServesIsSaid(t *testing.T) {
	t.Parallel()
	b := bustest.Connect(t)
	now := time.Now().UTC().Truncate(time.Second)
	for i, name := range []string{"d1", "d2"} {
		gone, err := bus.AnnounceDispatcher(b, "1.2.3", func() bus.Dispatcher {
			return bus.Dispatcher{Name: name, Unserved: []bus.Unserved{{Tool: "ship", Rung: "primary", Steps: 2, Since: now, Asks: now.Add(time.Duration(60-i) * time.Second)}}}
		})
		if err != nil {
			t.Fatal(err)
		}
		defer gone()
	}
	all, err := b.Dispatchers(t.Context())
	if err != nil || len(all) != 2 {
		t.Fatalf("%v %v", all, err)
	}
	if u := bus.UnservedBy(all); len(u) != 1 || u[0].Tool != "ship" || u[0].Steps != 2 || !u[0].Asks.Equal(now.Add(59*time.Second)) {
		t.Errorf("%+v", u)
	}
}
