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
	b := dial(t, Options{Server: s.URL(), Line: line, Timeout: 20 * time.Second})
	setUp(t, b, SetupOptions{Partitions: 1})
	other := connect(t, s)
	if err := other.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	send := func(run string, within time.Duration) error {
		ctx, cancel := context.WithTimeout(t.Context(), within)
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
	if err := send("before", patience); err != nil || !there("before") {
		t.Fatal(err)
	}
	const cutFor = 5 * time.Second
	cut := time.Now()
	line.Cut(cutFor)
	if err := send("meanwhile", 300*time.Millisecond); err == nil || there("meanwhile") {
		t.Fatalf("it has gone through a line that is cut: %v", err)
	}
	if _, err := line.Dial("tcp", "127.0.0.1:1"); !errors.Is(err, errCut) {
		t.Error(err)
	}
	for send("after", 2*time.Second) != nil {
		if time.Since(cut) > patience {
			t.Fatal("it does not come back")
		}
	}
	if time.Since(cut) < cutFor || !there("after") {
		t.Errorf("it is back after %s", time.Since(cut))
	}
}
