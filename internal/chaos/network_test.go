package chaos

import (
	"net"
	"sync"
	"testing"
	"time"
)

// way is one of the two directions of everything that two processes say to each other.
type way struct{ from, to string }

func (w way) back() way { return way{w.to, w.from} }

// network carries connections between processes. What is on its way can be held up, as a network does that loses every packet: nobody
// is told, and what was under way arrives later, if its connection is still there. Or connections are broken and refused.
type network struct {
	mu      sync.Mutex
	held    map[way]bool
	refused map[way]bool
	changed chan struct{} // closed when held changes
	open    map[net.Conn]way
	done    chan struct{}
}

func newNetwork(t *testing.T) *network {
	n := &network{held: map[way]bool{}, refused: map[way]bool{}, changed: make(chan struct{}), open: map[net.Conn]way{}, done: make(chan struct{})}
	t.Cleanup(func() {
		close(n.done)
		n.mu.Lock()
		defer n.mu.Unlock()
		for c := range n.open {
			c.Close()
		}
	})
	return n
}

// link returns the address by which one process reaches another, which listens at to's.
func (n *network) link(t *testing.T, from, to, address string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // until the test ends
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go n.carry(way{from, to}, c, address)
		}
	}()
	return l.Addr().String()
}

// carry connects what has come in with whom it wants to reach.
func (n *network) carry(w way, in net.Conn, address string) {
	defer in.Close()
	if !n.pass(w) || !n.pass(w.back()) || !n.keep(in, w) {
		return
	}
	defer n.drop(in)
	out, err := net.DialTimeout("tcp", address, time.Second) //nolint:noctx // on this machine
	if err != nil {
		return
	}
	defer out.Close()
	if !n.keep(out, w) {
		return
	}
	defer n.drop(out)
	var both sync.WaitGroup
	both.Go(func() { n.pump(w, in, out) })
	both.Go(func() { n.pump(w.back(), out, in) })
	both.Wait()
}

// pump carries bytes one way. That a side is gone is news that goes the same way.
func (n *network) pump(w way, from, to net.Conn) {
	buf := make([]byte, 64<<10)
	for {
		k, err := from.Read(buf)
		if !n.pass(w) {
			break
		}
		if k > 0 {
			if _, err := to.Write(buf[:k]); err != nil {
				break
			}
		}
		if err != nil {
			break
		}
	}
	from.Close()
	to.Close()
}

// pass waits until bytes may go that way, or everything ends.
func (n *network) pass(w way) bool {
	for {
		n.mu.Lock()
		held, changed := n.held[w], n.changed
		n.mu.Unlock()
		if !held {
			return true
		}
		select {
		case <-changed:
		case <-n.done:
			return false
		}
	}
}

// keep notes a connection, unless it is refused.
func (n *network) keep(c net.Conn, w way) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.refused[w] {
		return false
	}
	n.open[c] = w
	return true
}

func (n *network) drop(c net.Conn) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.open, c)
}

// hold holds up these ways until heal.
func (n *network) hold(ways ...way) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, w := range ways {
		n.held[w] = true
	}
	n.change()
}

// refuse breaks the connections of these ways, and takes no new ones until heal.
func (n *network) refuse(ways ...way) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, w := range ways {
		n.refused[w] = true
	}
	for c, w := range n.open {
		if n.refused[w] || n.refused[w.back()] {
			c.Close()
		}
	}
}

func (n *network) heal() {
	n.mu.Lock()
	defer n.mu.Unlock()
	clear(n.held)
	clear(n.refused)
	n.change()
}

// change wakes who waits; n.mu is held.
func (n *network) change() {
	close(n.changed)
	n.changed = make(chan struct{})
}
