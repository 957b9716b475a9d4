package server

import (
	"context"
	"log/slog"
	"sync/atomic"

	"belay/internal/bus"
	"belay/internal/injection"
)

// followFaults keeps the faults on purpose that people have asked for until ctx ends, so that a page need not ask for them.
func followFaults(ctx context.Context, b *bus.Bus, logger *slog.Logger) func() []injection.Order {
	var known atomic.Pointer[[]injection.Order]
	orders := injection.Of(b)
	_ = orders.Prepare(ctx) // so that the first fault is heard at once; without the right to it, it is found a moment later
	go orders.Follow(ctx, func(all []injection.Order) { known.Store(&all) }, func(err error) {
		logger.Warn("cannot hear of faults on purpose: pages may not say that there are any", "error", err)
	})
	return func() []injection.Order {
		if all := known.Load(); all != nil {
			return *all
		}
		return nil
	}
}
