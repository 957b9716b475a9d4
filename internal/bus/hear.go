package bus

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
)

// Hearing is a subscription to core NATS subjects.
type Hearing struct {
	bus *Bus
	sub *nats.Subscription
}

// Hear calls f for messages on core NATS subjects until stop is called.
func (b *Bus) Hear(subject string, f func(subject string, data []byte)) (stop func(), err error) {
	h, err := b.Listen(subject, f)
	if err != nil {
		return nil, err
	}
	return h.Stop, nil
}

// Listen is Hear for callers that need [Hearing.CaughtUp].
func (b *Bus) Listen(subject string, f func(subject string, data []byte)) (*Hearing, error) {
	sub, err := b.nc.Subscribe(subject, func(m *nats.Msg) { f(m.Subject, m.Data) })
	if err != nil {
		return nil, fmt.Errorf("listen to %s: %w", subject, err)
	}
	if err := sub.SetPendingLimits(-1, -1); err != nil { // never drop messages
		return nil, fmt.Errorf("listen to %s: %w", subject, err)
	}
	return &Hearing{b, sub}, nil
}

// Stop ends the subscription.
func (h *Hearing) Stop() { _ = h.sub.Unsubscribe() }

// CaughtUp returns once every message has been handled that the server had sent on this connection before the call. It
// costs a ping, whose answer comes after these messages; those that were lost with an earlier connection are not received.
func (h *Hearing) CaughtUp(ctx context.Context) error {
	if err := h.bus.nc.FlushWithContext(ctx); err != nil {
		return fmt.Errorf("catch up with messages: %w", h.bus.away(err))
	}
	for {
		waiting, _, err := h.sub.Pending() // includes messages that are being handled
		if err != nil {
			return fmt.Errorf("catch up with messages: %w", err)
		}
		if waiting == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("catch up with messages: %w", context.Cause(ctx))
		case <-time.After(100 * time.Microsecond):
		}
	}
}
