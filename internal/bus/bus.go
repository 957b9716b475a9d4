package bus

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"belay/internal/wire"
)

// Bus is a connection with the names of one prefix. It is safe for concurrent use.
type Bus struct {
	nc         *nats.Conn
	js         jetstream.JetStream
	names      wire.Names
	place      string // the other end, without credentials
	partitions int
	replicated bool // the log has replicas, and some may be behind
	timeout    time.Duration
	log        *slog.Logger
	replies    *replies

	mu         sync.Mutex
	connected  time.Time
	reconnects uint64 // when connected was noted
	publishers map[string]*publisher
	closing    bool
	server     string // id of the server process at the other end
	moved      chan struct{}
}

// Connect connects, or says within the timeout why it cannot.
func Connect(ctx context.Context, o Options) (*Bus, error) {
	if o.Timeout <= 0 {
		o.Timeout = defaultTimeout
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Prefix == "" {
		o.Prefix = wire.Default.Prefix
	}
	b := &Bus{names: wire.Names{Prefix: o.Prefix}, timeout: o.Timeout, log: o.Log, publishers: map[string]*publisher{}, moved: make(chan struct{}, 1)}
	d := o.dial(ctx, b)
	if d.err != nil {
		return nil, d.err
	}
	b.nc, b.place, b.connected = d.nc, d.place, time.Now()
	b.noteServer()
	if err := b.start(ctx, d.domain); err != nil {
		b.nc.Close()
		return nil, err
	}
	return b, nil
}

func (b *Bus) start(ctx context.Context, domain string) (err error) {
	if v := b.nc.ConnectedServerVersion(); older(v, oldest) {
		return fmt.Errorf("the NATS server at %s is version %s: Belay needs %s or newer; upgrade it, or use the embedded server (dispatcher dev)",
			b.place, v, oldest)
	}
	if domain != "" {
		b.js, err = jetstream.NewWithDomain(b.nc, domain, jetstream.WithDefaultTimeout(b.timeout))
	} else {
		b.js, err = jetstream.New(b.nc, jetstream.WithDefaultTimeout(b.timeout))
	}
	if err != nil {
		return fmt.Errorf("jetstream: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()
	if _, err := b.js.AccountInfo(ctx); err != nil {
		return fmt.Errorf("JetStream does not answer at %s (is it enabled for this account?): %w", b.place, err)
	}
	b.replies, err = newReplies(b.nc)
	return err
}

// Names are the names of this bus.
func (b *Bus) Names() wire.Names { return b.names }

// Partitions is the number of log partitions, known after Setup or Open.
func (b *Bus) Partitions() int { return b.partitions }

// ConnectedAt is when the current connection was made, or a little later, but never earlier: whoever handles a message
// of a new connection must not take it for one of the old connection. The client tells of a reconnect only some time
// after the first messages, so its count is asked.
func (b *Bus) ConnectedAt() time.Time {
	n := b.nc.Stats().Reconnects
	b.mu.Lock()
	defer b.mu.Unlock()
	if n != b.reconnects {
		b.reconnects, b.connected = n, time.Now()
	}
	return b.connected
}

// URL is the server at the other end, without credentials.
func (b *Bus) URL() string { return b.nc.ConnectedUrlRedacted() }

// NATS and JetStream are for the few packages that speak NATS themselves.
func (b *Bus) NATS() *nats.Conn               { return b.nc }
func (b *Bus) JetStream() jetstream.JetStream { return b.js }

// Close takes no more publishes, waits a moment for those on their way, and closes the connection.
func (b *Bus) Close() {
	b.mu.Lock()
	if b.closing {
		b.mu.Unlock()
		return
	}
	b.closing = true
	all := b.publishers
	b.mu.Unlock()
	for _, p := range all { // nobody adds to the map any more
		p.close()
	}
	_ = b.nc.FlushTimeout(time.Second) // acks are on their way without an answer; a dead server keeps nobody
	b.nc.Close()
}

// gone says that this bus will never be connected again.
func (b *Bus) gone() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.closing || b.nc.IsClosed()
}

// Tell says something on a core NATS subject; nothing stores it.
func (b *Bus) Tell(subject string, data []byte) error {
	if err := b.nc.Publish(subject, data); err != nil {
		return fmt.Errorf("tell %s: %w", subject, err)
	}
	return nil
}

func (b *Bus) disconnected(_ *nats.Conn, err error) {
	if err != nil {
		b.log.Warn("lost the NATS connection; reconnecting", "error", err)
	}
}

func (b *Bus) reconnected(nc *nats.Conn) {
	if b.nc == nil {
		return // lost and found again while it was made
	}
	b.ConnectedAt()
	b.noteServer()
	b.log.Info("reconnected to NATS", "server", nc.ConnectedUrlRedacted())
}

func (b *Bus) trouble(_ *nats.Conn, _ *nats.Subscription, err error) {
	b.log.Warn("NATS reports an error", "error", err)
}
