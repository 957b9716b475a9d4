package bus

import (
	"testing"
	"time"
)

func TestTimersFireAndAreTakenBack(t *testing.T) {
	_, b := start(t, t.TempDir(), DurabilityInterval)
	due := make(chan string, 10)
	c, err := b.ConsumeTimers(t.Context(), func(d Delivery) {
		_, run, _ := b.Names().ParseTimer(d.Subject)
		_ = d.Ack()
		due <- run
	})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Stop()
	wait := make(chan error, 10)
	done := func(err error) { wait <- err }
	b.SetTimer(0, "kept", time.Now().Add(time.Hour), done)
	b.SetTimer(0, "kept", time.Now().Add(2*time.Second), done) // an earlier time replaces it
	b.SetTimer(0, "back", time.Now().Add(time.Second), done)
	b.CancelTimer(0, "back", done)
	b.CancelTimer(0, "never-set", done)
	for range 5 {
		if err := <-wait; err != nil {
			t.Fatal(err)
		}
	}
	select {
	case run := <-due:
		if run != "kept" {
			t.Fatalf("the timer of %s fired", run)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("no timer fired")
	}
}
