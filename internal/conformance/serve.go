package conformance

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/nats-io/nats.go"

	"belay/internal/bus"
	"belay/internal/bus/embedded"
	"belay/internal/wire"
)

// Serve probes the worker that connects to a server of its own: it has Belay's streams, no dispatcher, and is gone
// afterwards. Listen is host:port on the loopback; waiting is called with the server's URL once a worker may connect. The
// names and the partitions of o are filled in.
func Serve(ctx context.Context, listen, prefix string, o Options, waiting func(url string)) ([]Finding, error) {
	dir, err := os.MkdirTemp("", "belay-conformance")
	if err != nil {
		return nil, fmt.Errorf("conformance: a folder for the server: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	server, err := embedded.Start(embedded.Options{StoreDir: dir, Durability: embedded.Interval, Listen: listen})
	if err != nil {
		return nil, fmt.Errorf("conformance: %w", err)
	}
	defer server.Shutdown()
	b, err := bus.Connect(ctx, bus.Options{InProcess: server, Timeout: 5 * time.Second, Prefix: prefix})
	if err != nil {
		return nil, fmt.Errorf("conformance: %w", err)
	}
	defer b.Close()
	o.Names, o.Partitions = b.Names(), wire.DefaultPartitions
	if err := b.Setup(ctx, bus.SetupOptions{Partitions: o.Partitions, Replicas: 1}); err != nil {
		return nil, fmt.Errorf("conformance: %w", err)
	}
	nc, err := nats.Connect("", nats.InProcessServer(server), nats.NoEcho())
	if err != nil {
		return nil, fmt.Errorf("conformance: %w", err)
	}
	defer nc.Close()
	waiting(server.URL())
	return Worker(ctx, nc, o)
}
