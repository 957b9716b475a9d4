package bus

import (
	"fmt"
	"testing"
	"time"
)

func TestThePinMovesWhenItsHolderDies(t *testing.T) {
	s, a := start(t, t.TempDir(), DurabilityInterval)
	other := connect(t, s)
	if err := other.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	first, second := make(chan Delivery, 10), make(chan Delivery, 10)
	if _, err := a.ConsumeLog(t.Context(), 0, func(d Delivery) { first <- d }); err != nil {
		t.Fatal(err)
	}
	put := func(i int) {
		t.Helper()
		if _, err := other.PublishWait(t.Context(), a.Names().RunsStream(0), Message{Subject: fmt.Sprintf("belay.runs.0.r%d.plan", i)}); err != nil {
			t.Fatal(err)
		}
	}
	put(1)
	d := <-first
	if d.Pin == "" || d.Count != 1 {
		t.Fatalf("pin %q, count %d", d.Pin, d.Count)
	}
	c, err := other.ConsumeLog(t.Context(), 0, func(d Delivery) { second <- d })
	if err != nil {
		t.Fatal(err)
	}
	defer c.Stop()
	a.nc.Close() // without a word, as a killed process
	put(2)
	seen := map[uint64]bool{}
	for len(seen) < 2 {
		select {
		case got := <-second:
			if got.Pin == d.Pin {
				t.Fatal("the pin did not change")
			}
			seen[got.Seq] = true
			_ = got.Ack()
		case <-time.After(15 * time.Second):
			t.Fatalf("after 15 s only %v came", seen)
		}
	}
}

func TestConsumerThatWasDeletedEnds(t *testing.T) {
	_, b := start(t, t.TempDir(), DurabilityInterval)
	c, err := b.ConsumeSteps(t.Context(), "t", "primary", StepsOptions{}, func(Delivery) {})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.JetStream().DeleteConsumer(t.Context(), b.Names().StepsStream(), b.Names().StepConsumer("t", "primary")); err != nil {
		t.Fatal(err)
	}
	select {
	case <-c.Done():
	case <-time.After(20 * time.Second):
		t.Fatal("the consumption goes on without a consumer")
	}
}
