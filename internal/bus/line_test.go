package bus

import (
	"context"
	"errors"
	"testing"
	"time"

	"belay/internal/bus/embedded"
	"belay/internal/wire"
)

// TestALineThatIsCut: what is sent meanwhile does not arrive and is not confirmed, and afterwards everything goes on over a
// connection of its own.
func TestALineThatIsCut(t *testing.T) {
	t.Parallel()
	s := serve(t, embedded.Options{StoreDir: t.TempDir(), Durability: embedded.Interval, Listen: "127.0.0.1:0"})
	line := &Line{}
	b := dial(t, Options{Server: s.URL(), Line: line, Timeout: 500 * time.Millisecond})
	setUp(t, b, SetupOptions{Partitions: 1})
	other := connect(t, s)
	if err := other.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	send := func(run string) error {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		_, err := b.PublishWait(ctx, b.names.RunsStream(0), Message{Subject: b.names.Log(0, run, wire.KindPlan), Data: []byte("{}")})
		return err
	}
	there := func(run string) bool {
		_, ok, err := other.Last(t.Context(), b.names.RunsStream(0), b.names.Log(0, run, wire.KindPlan))
		if err != nil {
			t.Fatal(err)
		}
		return ok
	}
	if err := send("before"); err != nil || !there("before") {
		t.Fatal(err)
	}
	cut := time.Now()
	line.Cut(1500 * time.Millisecond)
	if err := send("meanwhile"); err == nil || there("meanwhile") {
		t.Fatalf("it has gone through a line that is cut: %v", err)
	}
	if _, err := line.Dial("tcp", "127.0.0.1:1"); !errors.Is(err, errCut) {
		t.Error(err)
	}
	for send("after") != nil {
		if time.Since(cut) > 20*time.Second {
			t.Fatal("it does not come back")
		}
	}
	if time.Since(cut) < 1500*time.Millisecond || !there("after") {
		t.Errorf("it is back after %s", time.Since(cut))
	}
}
