package dispatch

import (
	"sync"

	"belay/internal/bus"
)

// mailbox is how everything reaches a partition's goroutine. Putting in never blocks, because publishers and readers
// answer from goroutines that others wait for; the consumer's limit of unacknowledged events bounds what lies in it.
type mailbox struct {
	mu   sync.Mutex
	in   mail
	wake chan struct{} // holds one word: there is mail
}

// mail is what came in since the last look.
type mail struct {
	answers []answer
	calls   []func()
	events  []bus.Delivery
}

func newMailbox() *mailbox { return &mailbox{wake: make(chan struct{}, 1)} }

func (m *mailbox) event(d bus.Delivery) {
	m.mu.Lock()
	m.in.events = append(m.in.events, d)
	m.mu.Unlock()
	m.ring()
}

func (m *mailbox) answer(a answer) {
	m.mu.Lock()
	m.in.answers = append(m.in.answers, a)
	m.mu.Unlock()
	m.ring()
}

func (m *mailbox) call(f func()) {
	m.mu.Lock()
	m.in.calls = append(m.in.calls, f)
	m.mu.Unlock()
	m.ring()
}

func (m *mailbox) ring() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// take empties the box into the place of old, whose memory is used again.
func (m *mailbox) take(old mail) mail {
	clear(old.answers)
	clear(old.calls)
	clear(old.events)
	m.mu.Lock()
	defer m.mu.Unlock()
	got := m.in
	m.in = mail{old.answers[:0], old.calls[:0], old.events[:0]}
	return got
}
