package bus

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
)

// Hearing is somebody who listens to core NATS subjects.
type Hearing struct {
	bus *Bus
	sub *nats.Subscription
}

// Hear listens to core NATS subjects until stop is called.
func (b *Bus) Hear(subject string, f func(subject string, data []byte)) (stop func(), err error) {
	h, err := b.Listen(subject, f)
	if err != nil {
		return nil, err
	}
	return h.Stop, nil
}

// Listen is Hear for those who must know how far they have heard.
func (b *Bus) Listen(subject string, f func(subject string, data []byte)) (*Hearing, error) {
	sub, err := b.nc.Subscribe(subject, func(m *nats.Msg) { f(m.Subject, m.Data) })
	if err != nil {
		return nil, fmt.Errorf("listen to %s: %w", subject, err)
	}
	if err := sub.SetPendingLimits(-1, -1); err != nil { // a word that is dropped is not heard
		return nil, fmt.Errorf("listen to %s: %w", subject, err)
	}
	return &Hearing{b, sub}, nil
}

// Stop ends the listening.
func (h *Hearing) Stop() { _ = h.sub.Unsubscribe() }

// CaughtUp returns once everything has been heard that the server had passed on to this connection before the call. It
// costs a ping, which the server answers behind all that; what was lost with an earlier connection is not heard.
func (h *Hearing) CaughtUp(ctx context.Context) error {
	if err := h.bus.nc.FlushWithContext(ctx); err != nil {
		return fmt.Errorf("hear what was said: %w", h.bus.away(err))
	}
	for {
		waiting, _, err := h.sub.Pending() // counts what is being handled, too
		if err != nil {
			return fmt.Errorf("hear what was said: %w", err)
		}
		if waiting == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("hear what was said: %w", context.Cause(ctx))
		case <-time.After(100 * time.Microsecond):
		}
	}
}
