// Package bustest starts a real embedded server for a test: nothing that touches NATS is tested against anything else.
package bustest

import (
	"testing"
	"time"

	"belay/internal/bus"
	"belay/internal/bus/embedded"
)

// Connect starts a server and connects to it; it has no streams yet. Both end with the test.
func Connect(t testing.TB) *bus.Bus {
	t.Helper()
	server, err := embedded.Start(embedded.Options{StoreDir: t.TempDir(), Durability: embedded.Interval})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Shutdown)
	return Dial(t, server)
}

// Dial connects to a server for the time of the test.
func Dial(t testing.TB, server *embedded.Server) *bus.Bus {
	t.Helper()
	b, err := bus.Connect(t.Context(), bus.Options{InProcess: server, Timeout: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

// Start is [Connect] with Belay's streams, the log in so many partitions.
func Start(t testing.TB, partitions int) *bus.Bus {
	t.Helper()
	b := Connect(t)
	if err := b.Setup(t.Context(), bus.SetupOptions{Partitions: partitions, Replicas: 1}); err != nil {
		t.Fatal(err)
	}
	return b
}
