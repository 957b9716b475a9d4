package bus

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"belay/internal/bus/embedded"
	"belay/internal/freeport"
)

// TestAServerThatConfirmsNothingIsLeft for another one, although it answers pings: so does one that is cut off from its cluster.
func TestAServerThatConfirmsNothingIsLeft(t *testing.T) {
	t.Parallel()
	urls := ""
	for range 2 {
		s := serve(t, embedded.Options{StoreDir: t.TempDir(), Durability: embedded.Interval, Listen: freeport.Address(t)})
		setUp(t, dial(t, Options{Server: s.URL()}), SetupOptions{Partitions: 1})
		urls += "," + s.URL()
	}
	b := dial(t, Options{Server: urls[1:], Timeout: time.Second})
	if err := b.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.leaveAfter = time.Second
	first, stream := b.URL(), b.Names().RunsStream(0)
	put(t, b, "r0")
	alter(t, b, stream, func(c *jetstream.StreamConfig) { c.NoAck = true })
	timeout := time.Now().Add(30 * time.Second)
	for b.URL() == first && time.Now().Before(timeout) {
		if _, err := b.PublishWait(t.Context(), stream, plan(1)); err == nil {
			t.Log("a write was confirmed")
		}
	}
	if b.URL() == first {
		t.Fatal("it stays at a server that confirms nothing")
	}
	put(t, b, "r0")
}
