package worker

import (
	"context"
	"sync"
	"time"

	"belay/internal/bus"
)

// holds are the messages in hand. One goroutine beats for all of them, so that the server does not give them to
// another worker while they wait for a slot, are executed, or wait for their outcome to be stored.
type holds struct {
	mu  sync.Mutex
	all map[*held]struct{}
}

// held is one message in hand.
type held struct {
	bus.Delivery
	of      *holds
	renewed time.Time // when the server was last told that it is in hand; under the lock of holds
}

// ours reports whether the server can still think that the message is in this hand. Only what it was told in time
// counts: after an ack wait of silence the message is another's, and to be told then changes nothing.
func (m *held) ours(ackWait time.Duration) bool {
	m.of.mu.Lock()
	defer m.of.mu.Unlock()
	return time.Since(m.renewed) < ackWait
}

func newHolds() *holds { return &holds{all: map[*held]struct{}{}} }

func (h *holds) take(d bus.Delivery) *held {
	m := &held{d, h, time.Now()}
	h.mu.Lock()
	h.all[m] = struct{}{}
	h.mu.Unlock()
	return m
}

func (h *holds) drop(m *held) {
	h.mu.Lock()
	delete(h.all, m)
	h.mu.Unlock()
}

func (h *holds) beat(ctx context.Context, ackWait time.Duration) {
	tick := time.NewTicker(ackWait / 3)
	defer tick.Stop()
	var all []*held
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
			if m.InProgress() == nil { // a beat that is lost is followed by two more before the message goes
				h.renew(m, ackWait)
			}
		}
	}
}

// renew notes that the server was told in time. What it has given up on already does not come back by that.
func (h *holds) renew(m *held, ackWait time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if now := time.Now(); now.Sub(m.renewed) < ackWait {
		m.renewed = now
	}
}
