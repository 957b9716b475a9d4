package gate

import (
	"sync"
	"time"
)

// Bounds of wrong tokens from one address.
const (
	mostWrong  = 10          // in a window
	window     = time.Minute // from the first one
	mostSeen   = 10_000      // addresses that are remembered
	forgetting = mostSeen / 10
)

// tries counts wrong tokens by address.
type tries struct {
	mu   sync.Mutex
	seen map[[8]byte]*count
}

type count struct {
	from time.Time
	n    int
}

func newTries() *tries { return &tries{seen: map[[8]byte]*count{}} }

func (t *tries) tooMany(addr string, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.seen[digest(addr)]
	return c != nil && c.n >= mostWrong && now.Before(c.from.Add(window))
}

func (t *tries) wrong(addr string, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	key := digest(addr)
	c := t.seen[key]
	if c == nil || !now.Before(c.from.Add(window)) {
		t.makeRoom(now)
		c = &count{from: now}
		t.seen[key] = c
	}
	c.n++
}

// makeRoom forgets old addresses, and some of the others where that does not help.
func (t *tries) makeRoom(now time.Time) {
	if len(t.seen) < mostSeen {
		return
	}
	for k, c := range t.seen {
		if !now.Before(c.from.Add(window)) {
			delete(t.seen, k)
		}
	}
	for k := range t.seen {
		if len(t.seen) <= mostSeen-forgetting {
			return
		}
		delete(t.seen, k)
	}
}
