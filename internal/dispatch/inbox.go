package dispatch

import (
	"sync"

	"belay/internal/bus"
)

// inbox is how everything reaches a partition's goroutine. Adding never blocks, because publishers and readers answer from
// goroutines that others wait for; the consumer's limit on unacknowledged events bounds its size.
type inbox struct {
	mu   sync.Mutex
	in   arrivals
	wake chan struct{} // has one value when something has arrived
}

// arrivals are what came in since the last turn.
type arrivals struct {
	answers []answer
	calls   []func()
	events  []bus.Delivery
}

func newInbox() *inbox { return &inbox{wake: make(chan struct{}, 1)} }

func (m *inbox) event(d bus.Delivery) {
	m.mu.Lock()
	m.in.events = append(m.in.events, d)
	m.mu.Unlock()
	m.ring()
}

func (m *inbox) answer(a answer) {
	m.mu.Lock()
	m.in.answers = append(m.in.answers, a)
	m.mu.Unlock()
	m.ring()
}

func (m *inbox) call(f func()) {
	m.mu.Lock()
	m.in.calls = append(m.in.calls, f)
	m.mu.Unlock()
	m.ring()
}

func (m *inbox) ring() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// collect empties the inbox; it reuses the memory of old.
func (m *inbox) collect(old arrivals) arrivals {
	clear(old.answers)
	clear(old.calls)
	clear(old.events)
	m.mu.Lock()
	defer m.mu.Unlock()
	got := m.in
	m.in = arrivals{old.answers[:0], old.calls[:0], old.events[:0]}
	return got
}
