package bus

import (
	"errors"
	"testing"
	"time"

	"belay/internal/bus/embedded"
)

func TestTheQueueGoesWithItsServer(t *testing.T) {
	t.Parallel()
	r := startRestartable(t, embedded.Fsync)
	b := dial(t, Options{Server: r.URL()})
	setUp(t, b, SetupOptions{Partitions: 1})
	tasks := make(chan Delivery, 100)
	_, err := b.ConsumeSteps(t.Context(), "t", "primary", StepsOptions{AckWait: time.Minute}, func(d Delivery) { tasks <- d })
	if err != nil {
		t.Fatal(err)
	}
	publish := func(run string) {
		t.Helper()
		if _, err := b.PublishWait(t.Context(), b.Names().StepsStream(), stepMessage(b, run)); err != nil {
			t.Fatal(err)
		}
	}
	publish("before")
	old := within(t, patience, tasks)
	r.restart()
	within(t, patience, b.Moved())
	if err := b.RestoreQueue(t.Context()); err != nil {
		t.Fatal(err)
	}
	publish("after")
	d := within(t, patience, tasks)
	if d.Seq != old.Seq {
		t.Fatalf("the new queue begins at %d, the old one at %d: then this test proves nothing", d.Seq, old.Seq)
	}
	for _, err := range []error{old.Ack(), old.InProgress(), old.Park(0)} {
		if !errors.Is(err, ErrGone) {
			t.Errorf("a word about a message of the old queue was sent: %v", err)
		}
	}
	if left, err := b.Subjects(t.Context(), b.Names().StepsStream(), b.Names().StepsSubjects()); err != nil || len(left) != 1 {
		t.Fatalf("the new message is not there any more: %v, %v", left, err)
	}
	if err := d.Ack(); err != nil {
		t.Fatal(err)
	}
}
