package worker

import "sync"

// hands counts what is in hand, so that a stop can wait for it. A sync.WaitGroup will not do: messages still come while
// the stop waits.
type hands struct {
	mu      sync.Mutex
	n       int
	stopped bool
	empty   chan struct{} // closed once it is stopped and nothing is in hand
}

func newHands() *hands { return &hands{empty: make(chan struct{})} }

// take takes one thing in hand, unless there was a stop.
func (h *hands) take() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.stopped {
		return false
	}
	h.n++
	return true
}

// also takes one more thing in hand, on behalf of one that is.
func (h *hands) also() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.n++
}

// put puts one thing down.
func (h *hands) put() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.n--
	h.check()
}

// count is how much is in hand.
func (h *hands) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.n
}

// stop lets nothing more be taken; the channel is closed when all has been put down.
func (h *hands) stop() <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stopped = true
	h.check()
	return h.empty
}

func (h *hands) check() {
	if !h.stopped || h.n > 0 {
		return
	}
	select {
	case <-h.empty:
	default:
		close(h.empty)
	}
}
