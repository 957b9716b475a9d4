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
	of *holds
}

func newHolds() *holds { return &holds{all: map[*held]struct{}{}} }

func (h *holds) take(d bus.Delivery) *held {
	m := &held{d, h}
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

func (h *holds) beat(ctx context.Context, every time.Duration) {
	tick := time.NewTicker(every)
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
			_ = m.InProgress() // a beat that is lost is followed by two more before the message goes
		}
	}
}
