package bus

import (
	"fmt"
	"maps"
	"testing"
	"time"

	"belay/internal/bus/embedded"
	"belay/internal/steps"
)

func stepMessage(b *Bus, run string) Message {
	return Message{Subject: b.Names().Step("t", "primary", run, steps.Attempt{Step: "a", Try: 1}), Data: []byte("{}")}
}

func TestThePinMovesWhenItsHolderDies(t *testing.T) {
	t.Parallel()
	s, a := start(t, t.TempDir(), embedded.Interval)
	other := connect(t, s)
	setUp(t, other, SetupOptions{})
	first, second := make(chan Delivery, 10), make(chan Delivery, 10)
	if _, err := a.ConsumeLog(t.Context(), 0, func(d Delivery) { first <- d }); err != nil {
		t.Fatal(err)
	}
	put(t, other, "r1")
	d := within(t, patience, first)
	if d.Pin == "" || d.Count != 1 {
		t.Fatalf("pin %q, count %d", d.Pin, d.Count)
	}
	c, err := other.ConsumeLog(t.Context(), 0, func(d Delivery) { second <- d })
	if err != nil {
		t.Fatal(err)
	}
	defer c.Stop()
	a.nc.Close() // without a word, as a killed process
	killed := time.Now()
	put(t, other, "r2")
	seen := map[uint64]uint64{} // sequence to count
	for len(seen) < 2 {
		got := within(t, patience, second)
		if got.Pin == d.Pin {
			t.Fatal("the pin did not change")
		}
		seen[got.Seq] = got.Count
		_ = got.Ack()
	}
	if took := time.Since(killed); took > 25*time.Second { // after 30 s the server would have given it to anybody
		t.Errorf("the take-over took %s", took)
	}
	if seen[d.Seq] != 2 {
		t.Errorf("what the dead one had in hand came as delivery %d", seen[d.Seq])
	}
}

func TestWhoStopsGivesThePinAndTheRestBackAtOnce(t *testing.T) {
	t.Parallel()
	s, a := start(t, t.TempDir(), embedded.Interval)
	other := connect(t, s)
	setUp(t, other, SetupOptions{})
	began, release := make(chan Delivery), make(chan struct{})
	c, err := a.ConsumeLog(t.Context(), 0, func(d Delivery) {
		began <- d
		<-release
		_ = d.Ack()
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 50 {
		put(t, other, fmt.Sprintf("r%d", i))
	}
	within(t, patience, began)
	second := make(chan Delivery, 100)
	next, err := other.ConsumeLog(t.Context(), 0, func(d Delivery) { second <- d })
	if err != nil {
		t.Fatal(err)
	}
	defer next.Stop()
	stopped := time.Now()
	c.Stop()
	close(release)
	within(t, patience, c.Done())
	seen := map[uint64]bool{}
	for len(seen) < 49 {
		d := within(t, patience, second)
		seen[d.Seq] = true
		_ = d.Ack()
	}
	if took := time.Since(stopped); took > pinnedTTL-time.Second {
		t.Errorf("the hand-over took %s, no better than a death", took)
	}
	if seen[1] {
		t.Error("what was acknowledged came again")
	}
}

func TestOneOfTwoHasThePin(t *testing.T) {
	t.Parallel()
	s, a := start(t, t.TempDir(), embedded.Interval)
	other := connect(t, s)
	setUp(t, other, SetupOptions{})
	got := make(chan *Bus, 200)
	for _, b := range []*Bus{a, other} {
		c, err := b.ConsumeLog(t.Context(), 0, func(d Delivery) {
			_ = d.Ack()
			got <- b
		})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Stop()
	}
	for i := range 100 {
		put(t, a, fmt.Sprintf("r%d", i))
	}
	holder := within(t, patience, got)
	for range 99 {
		if within(t, patience, got) != holder {
			t.Fatal("both had events")
		}
	}
}

func TestEventsComeInOrder(t *testing.T) {
	t.Parallel()
	_, b := start(t, t.TempDir(), embedded.Interval)
	const n = 5000 // more than is asked for at once
	got := make(chan uint64, n)
	c, err := b.ConsumeLog(t.Context(), 0, func(d Delivery) {
		_ = d.Ack()
		got <- d.Seq
	})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Stop()
	publishAll(b, b.Names().RunsStream(0), n, func(i int) Message {
		return Message{Subject: fmt.Sprintf("belay.runs.0.r%d.outcome", i%7)}
	})
	for want := uint64(1); want <= n; want++ {
		if seq := within(t, patience, got); seq != want {
			t.Fatalf("%d came instead of %d", seq, want)
		}
	}
}

func TestConsumersOutliveARestart(t *testing.T) {
	t.Parallel()
	r := startRestartable(t, embedded.Fsync)
	b := dial(t, Options{Server: r.URL()})
	setUp(t, b, SetupOptions{Partitions: 1})
	events, tasks := make(chan string, 100), make(chan string, 100)
	_, err := b.ConsumeLog(t.Context(), 0, func(d Delivery) {
		_ = d.Ack()
		events <- d.Subject
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = b.ConsumeSteps(t.Context(), "t", "primary", StepsOptions{AckWait: 2 * time.Second}, func(d Delivery) {
		_ = d.Ack()
		tasks <- d.Subject
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		run := fmt.Sprintf("r%d", i)
		before := b.ConnectedAt()
		put(t, b, run)
		await(t, events, b.Names().Log(0, run, "plan"))
		if err := b.RestoreQueue(t.Context()); err != nil { // it went with the server
			t.Fatal(err)
		}
		if _, err := b.PublishWait(t.Context(), b.Names().StepsStream(), stepMessage(b, run)); err != nil {
			t.Fatal(err)
		}
		await(t, tasks, stepMessage(b, run).Subject)
		r.restart()
		put(t, b, run+"-after")
		await(t, events, b.Names().Log(0, run+"-after", "plan"))
		if !b.ConnectedAt().After(before) {
			t.Error("the new connection is as old as the one before")
		}
	}
}

// await takes values until the wanted one comes; others may come again after a restart.
func await(t *testing.T, c <-chan string, want string) {
	t.Helper()
	for within(t, patience, c) != want {
	}
}

func TestDeletedConsumerIsMadeAgain(t *testing.T) {
	t.Parallel()
	_, b := start(t, t.TempDir(), embedded.Interval)
	got := make(chan string, 10)
	c, err := b.ConsumeSteps(t.Context(), "t", "primary", StepsOptions{}, func(d Delivery) {
		_ = d.Ack()
		got <- d.Subject
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.js.DeleteConsumer(t.Context(), b.Names().StepsStream(), b.Names().StepConsumer("t", "primary")); err != nil {
		t.Fatal(err)
	}
	m := stepMessage(b, "r")
	if _, err := b.PublishWait(t.Context(), b.Names().StepsStream(), m); err != nil {
		t.Fatal(err)
	}
	await(t, got, m.Subject)
	c.Stop()
	within(t, patience, c.Done())
}

func TestConsumptionEndsWithItsBus(t *testing.T) {
	t.Parallel()
	_, b := start(t, t.TempDir(), embedded.Interval)
	c, err := b.ConsumeSteps(t.Context(), "t", "primary", StepsOptions{}, func(Delivery) {})
	if err != nil {
		t.Fatal(err)
	}
	b.Close()
	within(t, patience, c.Done())
}

func TestStopWithoutAServerDoesNotHang(t *testing.T) {
	t.Parallel()
	r := startRestartable(t, embedded.Interval)
	b := dial(t, Options{Server: r.URL()})
	setUp(t, b, SetupOptions{Partitions: 1})
	c, err := b.ConsumeLog(t.Context(), 0, func(Delivery) {})
	if err != nil {
		t.Fatal(err)
	}
	r.Shutdown()
	c.Stop()
	within(t, patience, c.Done())
	r.begin()
}

func TestAckWaitAndParking(t *testing.T) {
	t.Parallel()
	_, b := start(t, t.TempDir(), embedded.Interval)
	type came struct {
		count uint64
		at    time.Time
	}
	got := make(chan came, 10)
	c, err := b.ConsumeSteps(t.Context(), "t", "primary", StepsOptions{AckWait: time.Second}, func(d Delivery) {
		got <- came{d.Count, time.Now()}
		switch d.Count {
		case 1: // lost: the ack wait brings it back
		case 2:
			_ = d.Park(1500 * time.Millisecond)
		case 3:
			_ = d.Park(0)
		default:
			_ = d.Ack()
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Stop()
	if _, err := b.PublishWait(t.Context(), b.Names().StepsStream(), stepMessage(b, "r")); err != nil {
		t.Fatal(err)
	}
	var all []came
	for i := range 4 {
		all = append(all, within(t, patience, got))
		if all[i].count != uint64(i+1) {
			t.Fatalf("delivery %d has count %d", i+1, all[i].count)
		}
	}
	pauses := []time.Duration{all[1].at.Sub(all[0].at), all[2].at.Sub(all[1].at), all[3].at.Sub(all[2].at)}
	if pauses[0] < 900*time.Millisecond || pauses[1] < 1400*time.Millisecond || pauses[2] > 500*time.Millisecond {
		t.Errorf("pauses of %s", pauses)
	}
}

func TestBacklogs(t *testing.T) {
	t.Parallel()
	_, b := start(t, t.TempDir(), embedded.Interval)
	held := make(chan Delivery, 20)
	c, err := b.ConsumeSteps(t.Context(), "t", "primary", StepsOptions{}, func(d Delivery) { held <- d })
	if err != nil {
		t.Fatal(err)
	}
	defer c.Stop()
	if err := b.ensureConsumer(t.Context(), b.Names().StepsStream(), b.stepConsumer("orders.lookup", "cached", time.Second), &[]error{}); err != nil {
		t.Fatal(err)
	}
	unserved := Message{Subject: b.Names().Step("orders.lookup", "cached", "r", steps.Attempt{Step: "a", Try: 1})}
	for _, m := range []Message{stepMessage(b, "r1"), stepMessage(b, "r2"), unserved} {
		if _, err := b.PublishWait(t.Context(), b.Names().StepsStream(), m); err != nil {
			t.Fatal(err)
		}
	}
	within(t, patience, held)
	within(t, patience, held)
	want := map[string]Backlog{
		"t/primary":            {Tool: "t", Rung: "primary", InFlight: 2, Waiting: 1, AckWait: 30 * time.Second, Last: 3},
		"orders.lookup/cached": {Tool: "orders.lookup", Rung: "cached", Pending: 1, AckWait: time.Second, Last: 3},
	}
	var by map[string]Backlog
	for begun := time.Now(); time.Since(begun) < patience; time.Sleep(10 * time.Millisecond) { // what a consumer says of itself lags
		all, err := b.Backlogs(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		by = map[string]Backlog{}
		for _, l := range all {
			l.Waiting = min(l.Waiting, 1)
			by[l.Tool+"/"+l.Rung] = l
		}
		if maps.Equal(by, want) {
			return
		}
	}
	t.Errorf("%+v, want %+v", by, want)
}
