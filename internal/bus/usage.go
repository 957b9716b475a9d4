package bus

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
)

// ErrNoStream says that there is no such stream.
var ErrNoStream = jetstream.ErrStreamNotFound

// Usage is how much of a limit of the account is used.
type Usage struct {
	What       string
	Used, Most int64 // Most of 0 or below: there is no limit
}

// Usage lists the limits of the account.
func (b *Bus) Usage(ctx context.Context) ([]Usage, error) {
	a, err := insist(ctx, b, b.js.AccountInfo)
	if err != nil {
		return nil, fmt.Errorf("ask for the limits of the account: %w", err)
	}
	all := ofTier("", a.Tier)
	for name, t := range a.Tiers {
		all = append(all, ofTier(" with "+name, t)...)
	}
	return all, nil
}

func ofTier(tier string, t jetstream.Tier) []Usage {
	return []Usage{
		{"bytes on disk" + tier, int64(max(t.Store, t.ReservedStore)), t.Limits.MaxStore}, {"bytes in memory" + tier, int64(max(t.Memory, t.ReservedMemory)), t.Limits.MaxMemory},
		{"streams" + tier, int64(t.Streams), int64(t.Limits.MaxStreams)}, {"consumers" + tier, int64(t.Consumers), int64(t.Limits.MaxConsumers)},
	}
}

// ServerVersion is the version of the connected server.
func (b *Bus) ServerVersion() string { return b.nc.ConnectedServerVersion() }

// Place is what the bus is connected to, without credentials.
func (b *Bus) Place() string { return b.place }
