package worker

import "sync"

// pending counts messages in hand, so that a stop can wait for them. A sync.WaitGroup does not work: messages still arrive
// while the stop waits.
type pending struct {
	mu      sync.Mutex
	n       int
	stopped bool
	empty   chan struct{} // closed once it is stopped and n is 0
}

func newPending() *pending { return &pending{empty: make(chan struct{})} }

// add counts one more, and returns false after a stop.
func (h *pending) add() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.stopped {
		return false
	}
	h.n++
	return true
}

// addMore counts one more for one that is counted already, even after a stop.
func (h *pending) addMore() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.n++
}

// done counts one less.
func (h *pending) done() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.n--
	h.check()
}

// count returns how many are in hand.
func (h *pending) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.n
}

// stop refuses further messages; the channel is closed when all are done.
func (h *pending) stop() <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stopped = true
	h.check()
	return h.empty
}

func (h *pending) check() {
	if !h.stopped || h.n > 0 {
		return
	}
	select {
	case <-h.empty:
	default:
		close(h.empty)
	}
}
