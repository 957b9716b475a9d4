package worker

import (
	"context"
	"sync"
	"time"

	"belay/internal/bus"
)

// keeper sends heartbeats for all messages in hand from one goroutine, so that the server does not give them to another
// worker while they wait for a slot, are executed, or wait for their outcome to be stored.
type keeper struct {
	mu  sync.Mutex
	all map[*inHand]struct{}
}

// inHand is a message that was pulled and is neither acknowledged nor handed back.
type inHand struct {
	bus.Delivery
	by      *keeper
	renewed time.Time // when the server last got a heartbeat for it in time; under the lock of keeper
}

// ours reports whether the server can still consider the message this worker's. Only heartbeats in time count: after an ack
// wait without one, another worker may have the message, and a later heartbeat does not change that.
func (m *inHand) ours(ackWait time.Duration) bool {
	m.by.mu.Lock()
	defer m.by.mu.Unlock()
	return time.Since(m.renewed) < ackWait
}

func newKeeper() *keeper { return &keeper{all: map[*inHand]struct{}{}} }

func (h *keeper) keep(d bus.Delivery) *inHand {
	m := &inHand{d, h, time.Now()}
	h.mu.Lock()
	h.all[m] = struct{}{}
	h.mu.Unlock()
	return m
}

func (h *keeper) drop(m *inHand) {
	h.mu.Lock()
	delete(h.all, m)
	h.mu.Unlock()
}

func (h *keeper) beat(ctx context.Context, ackWait time.Duration) {
	tick := time.NewTicker(ackWait / 3)
	defer tick.Stop()
	var all []*inHand
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		all = all[:0]
		h.mu.Lock()
		for m := range h.all {
			all = append(all, m)
		}
		h.mu.Unlock()
		for _, m := range all {
			if m.InProgress() == nil { // if one is lost, two more follow within the ack wait
				h.renew(m, ackWait)
			}
		}
	}
}

// renew notes a heartbeat, unless the message's ack wait has passed.
func (h *keeper) renew(m *inHand, ackWait time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if now := time.Now(); now.Sub(m.renewed) < ackWait {
		m.renewed = now
	}
}
