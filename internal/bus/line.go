package bus

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"
)

// Line is the way to the server of a program that may have to lose it on purpose, see [Options.Line]. A cut loses what is
// sent and what comes, as a network does: nobody is notified, and what was open before is of no use afterwards.
type Line struct {
	mu    sync.Mutex
	until time.Time
	open  map[*cuttable]struct{}
}

// errCut is what dialing gets meanwhile.
var errCut = errors.New("cut off the server on purpose")

// Cut cuts the line for a while, from now on. It returns at once.
func (l *Line) Cut(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if until := time.Now().Add(d); until.After(l.until) {
		l.until = until
	}
	cut := l.open
	l.open = nil
	for c := range cut {
		close(c.cut)
		time.AfterFunc(d, func() { _ = c.Close() }) // it has lost bytes: whoever has it must connect anew
	}
}

// Dial connects to a server, unless the line is cut; it implements the client library's dialer.
func (l *Line) Dial(network, address string) (net.Conn, error) {
	if l.isCut() {
		return nil, errCut
	}
	ctx, cancel := context.WithTimeout(context.Background(), defaultTimeout)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if time.Now().Before(l.until) { // it was cut meanwhile
		_ = conn.Close()
		return nil, errCut
	}
	c := &cuttable{Conn: conn, line: l, cut: make(chan struct{}), closed: make(chan struct{})}
	if l.open == nil {
		l.open = map[*cuttable]struct{}{}
	}
	l.open[c] = struct{}{}
	return c, nil
}

func (l *Line) isCut() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return time.Now().Before(l.until)
}

// cuttable is a connection over a line.
type cuttable struct {
	net.Conn
	line   *Line
	cut    chan struct{} // closed when the line is cut
	once   sync.Once
	closed chan struct{}
}

// Read implements [net.Conn].
func (c *cuttable) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	select {
	case <-c.cut:
		<-c.closed
		return 0, net.ErrClosed
	default:
		return n, err
	}
}

// Write implements [net.Conn].
func (c *cuttable) Write(p []byte) (int, error) {
	select {
	case <-c.cut:
		return len(p), nil // lost on the way, as far as anybody here can see
	default:
		return c.Conn.Write(p)
	}
}

// Close implements [net.Conn].
func (c *cuttable) Close() error {
	c.once.Do(func() { close(c.closed) })
	c.line.mu.Lock()
	delete(c.line.open, c)
	c.line.mu.Unlock()
	return c.Conn.Close()
}
