package bus

import (
	"fmt"
	"testing"
	"time"

	"belay/internal/bus/embedded"
)

func TestNothingIsAskedForThatNobodyWaitsFor(t *testing.T) {
	t.Parallel()
	_, b := start(t, t.TempDir(), embedded.Interval)
	got := make(chan Delivery, 100)
	d := NewDemand()
	c, err := b.ConsumeSteps(t.Context(), "t", "primary", StepsOptions{Demand: d}, func(m Delivery) {
		d.Set(int(d.n.Load()) - 1) // who waited has something now
		got <- m
	})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Stop()
	const n = 40
	for i := range n {
		if _, err := b.PublishWait(t.Context(), b.Names().StepsStream(), stepMessage(b, fmt.Sprint("r", i))); err != nil {
			t.Fatal(err)
		}
	}
	awaitBacklog(t, b, func(l Backlog) bool { return l.Pending == n }) // the server counts after it has acknowledged
	if l := backlog(t, b); l.InFlight != 0 || l.Waiting != 0 || len(got) != 0 {
		t.Fatalf("without demand: %+v, %d came", l, len(got))
	}
	come := 0
	for _, wanted := range []int{1, 3, 1, n - 5} { // the last in two pulls
		d.Set(wanted)
		for range wanted {
			_ = within(t, patience, got).Ack()
			come++
		}
		if l := backlog(t, b); l.Pending != uint64(n-come) || l.Waiting != 0 || len(got) > 0 {
			t.Fatalf("after %d: %+v, %d more came", come, l, len(got))
		}
	}
}

func TestDemandLastsLongerThanAPull(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for a pull to expire")
	}
	t.Parallel()
	_, b := start(t, t.TempDir(), embedded.Interval)
	got := make(chan Delivery, 10)
	d := NewDemand()
	c, err := b.ConsumeSteps(t.Context(), "t", "primary", StepsOptions{Demand: d}, func(m Delivery) { got <- m })
	if err != nil {
		t.Fatal(err)
	}
	defer c.Stop()
	d.Set(1)
	// In real time, since the server is another program with its own clock: for longer than a pull lives.
	for begun := time.Now(); time.Since(begun) < workerExpiry+time.Second; time.Sleep(100 * time.Millisecond) {
		if backlog(t, b).Waiting > 1 {
			t.Fatal("more was asked for than is wanted")
		}
	}
	if _, err := b.PublishWait(t.Context(), b.Names().StepsStream(), stepMessage(b, "r")); err != nil {
		t.Fatal(err)
	}
	_ = within(t, patience, got).Ack()
}

func TestPullsOfThoseWhoLeftAreTakenBack(t *testing.T) {
	t.Parallel()
	_, b := start(t, t.TempDir(), embedded.Interval)
	got := make(chan Delivery, 10)
	d := NewDemand()
	c, err := b.ConsumeSteps(t.Context(), "t", "primary", StepsOptions{Demand: d}, func(m Delivery) { got <- m })
	if err != nil {
		t.Fatal(err)
	}
	defer c.Stop()
	for round := range 3 {
		d.Set(2)
		awaitBacklog(t, b, func(l Backlog) bool { return l.Waiting > 0 })
		d.Set(0)
		awaitBacklog(t, b, func(l Backlog) bool { return l.Waiting == 0 })
		if _, err := b.PublishWait(t.Context(), b.Names().StepsStream(), stepMessage(b, fmt.Sprint("r", round))); err != nil {
			t.Fatal(err)
		}
		awaitBacklog(t, b, func(l Backlog) bool { return l.Pending == 1 })
		if l := backlog(t, b); l.InFlight != 0 || len(got) != 0 {
			t.Fatalf("round %d: nobody waits, and the queue is %+v", round, l)
		}
		d.Set(1)
		_ = within(t, patience, got).Ack()
		d.Set(0)
	}
}

// awaitBacklog polls until the queue is as is says, for less time than a pull lives: the server does not signal what
// pulls it has. What counts are its looks, since a busy machine stands still for seconds.
func awaitBacklog(t *testing.T, b *Bus, is func(Backlog) bool) {
	t.Helper()
	const every = 10 * time.Millisecond
	for looks := 0; looks < int((workerExpiry-time.Second)/(every+2*time.Millisecond)); looks++ {
		time.Sleep(every)
		if is(backlog(t, b)) {
			return
		}
	}
	t.Fatalf("the queue is %+v", backlog(t, b))
}

func backlog(t *testing.T, b *Bus) Backlog {
	t.Helper()
	all, err := b.Backlogs(t.Context())
	if err != nil || len(all) != 1 {
		t.Fatalf("backlogs: %+v, %v", all, err)
	}
	return all[0]
}
