package bus

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
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
	place      string       // what it is connected to, without credentials
	partitions atomic.Int64 // of the log
	replicas   atomic.Int64 // of the log; where there is more than one, some may be behind
	maxBytes   atomic.Int64 // of a partition of the log; 0 = it has no limit
	limited    bool         // the account requires a limit in bytes for each stream
	timeout    time.Duration
	patience   time.Duration
	logger     *slog.Logger
	replies    *replies
	user       User
	foreign    bool          // nc belongs to the caller: it is not closed
	left       chan struct{} // closed by Close
	buckets    sync.Map      // those that are open, by name
	published  published
	proofs     proofs
	writings   writings
	leaveAfter time.Duration         // without a confirmed write
	clock      atomic.Pointer[Clock] // the server's time
	doubt      chan struct{}         // has a value if that may be wrong
	following  sync.Once             // is it kept right
	refusals   refusals
	opening    string                              // see [Options.Opening]; empty = the server is no part of this process
	mend       func(stream, consumer string) error // see [SetupOptions.Mend]; nil = nothing can be mended

	mu         sync.Mutex
	connected  time.Time
	reconnects uint64 // the client's count when connected was set
	publishers map[string]*publisher
	closing    bool
	server     string // id of the connected server process

	timeMu sync.Mutex
	wrong  bool // it was said that this machine's clock is wrong

	moved chan struct{}
}

// Connect connects, or returns an error within the timeout.
func Connect(ctx context.Context, o Options) (*Bus, error) {
	if o.Timeout <= 0 {
		o.Timeout = defaultTimeout
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Prefix == "" {
		o.Prefix = wire.Default.Prefix
	}
	o.Patience = max(o.Patience, o.Timeout)
	b := &Bus{patience: o.Patience, leaveAfter: leaveAfter, names: wire.Names{Prefix: o.Prefix}, timeout: o.Timeout, logger: o.Logger, publishers: map[string]*publisher{}, moved: make(chan struct{}, 1), foreign: o.Conn != nil, left: make(chan struct{}), doubt: make(chan struct{}, 1), opening: o.Opening}
	b.clock.Store(&Clock{})
	d := o.dial(ctx, b)
	if d.err != nil {
		return nil, d.err
	}
	b.nc, b.place, b.connected = d.nc, d.place, time.Now()
	b.noteServer()
	if err := b.start(ctx, d.domain); err != nil {
		b.leave()
		return nil, err
	}
	if b.foreign {
		go b.watchForeign(b.nc.StatusChanged(nats.CONNECTED, nats.CLOSED))
	}
	return b, nil
}

func (b *Bus) start(ctx context.Context, domain string) (err error) {
	if v := b.nc.ConnectedServerVersion(); older(v, Oldest) {
		return fmt.Errorf("%w: the NATS server at %s is version %s, Belay needs %s or newer; upgrade it, or use the embedded server (dispatcher dev)",
			ErrUnfit, b.place, v, Oldest)
	}
	b.user = whoami(ctx, b.nc)
	if domain == "" {
		domain = b.user.domain()
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
	account, err := b.js.AccountInfo(ctx)
	if err != nil {
		return fmt.Errorf("%w: JetStream does not answer at %s (is it enabled for this account?): %w", ErrUnfit, b.place, err)
	}
	b.limited = requiresLimits(account)
	b.replies, err = newReplies(b.nc)
	return err
}

// Names returns the names of this bus's prefix.
func (b *Bus) Names() wire.Names { return b.names }

// Partitions returns the number of log partitions, which is known after Setup or Open.
func (b *Bus) Partitions() int { return int(b.partitions.Load()) }

// ConnectedAt returns when the current connection was made, or a little later, but never earlier: a handler must not mistake
// a message of a new connection for one of the old. The client reports a reconnect only some time after the first messages,
// so its counter of reconnects is read.
func (b *Bus) ConnectedAt() time.Time {
	n := b.nc.Stats().Reconnects
	b.mu.Lock()
	defer b.mu.Unlock()
	if n != b.reconnects {
		b.reconnects, b.connected = n, time.Now()
	}
	return b.connected
}

// URL returns the URL of the connected server, without credentials.
func (b *Bus) URL() string { return b.nc.ConnectedUrlRedacted() }

// NATS and JetStream are for the few packages that use NATS themselves.
func (b *Bus) NATS() *nats.Conn               { return b.nc }
func (b *Bus) JetStream() jetstream.JetStream { return b.js }

// OnThisMachine reports whether the server is the only one, and shares this machine: then it shares its cores and disk too.
func (b *Bus) OnThisMachine() bool {
	if b.Clustered() {
		return false
	}
	host, _, err := net.SplitHostPort(b.nc.ConnectedAddr())
	return err == nil && net.ParseIP(host).IsLoopback()
}

// Close accepts no more publishes, waits a moment for those in flight, and closes the connection.
func (b *Bus) Close() {
	b.mu.Lock()
	if b.closing {
		b.mu.Unlock()
		return
	}
	b.closing = true
	all := b.publishers
	b.mu.Unlock()
	for _, p := range all { // nothing is added to the map any more
		p.close()
	}
	_ = b.nc.FlushTimeout(time.Second) // acks have no answer; a dead server does not block this for longer
	b.leave()
}

// leave closes the connection or, if it belongs to the caller, only this bus's subscriptions on it.
func (b *Bus) leave() {
	close(b.left)
	if !b.foreign {
		b.nc.Close()
		return
	}
	if b.replies != nil {
		b.replies.stop()
	}
}

// watchForeign notices reconnects of a connection that belongs to the caller, and so do its handlers.
func (b *Bus) watchForeign(status chan nats.Status) {
	defer b.nc.RemoveStatusListener(status)
	for {
		select {
		case <-b.left:
			return
		case s := <-status:
			if s == nats.CLOSED {
				return
			}
			b.reconnected(b.nc)
		}
	}
}

// Gone reports whether this bus will never be connected again.
func (b *Bus) Gone() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.closing || b.nc.IsClosed()
}

// Tell sends a message on a core NATS subject; nothing stores it.
func (b *Bus) Tell(subject string, data []byte) error {
	err := b.may(subject)
	if err == nil {
		err = b.nc.Publish(subject, data)
	}
	if err != nil {
		return fmt.Errorf("tell %s: %w", subject, err)
	}
	return nil
}

func (b *Bus) disconnected(_ *nats.Conn, err error) {
	if err != nil {
		b.logger.Warn("lost the NATS connection; reconnecting", "error", err)
	}
}

func (b *Bus) reconnected(nc *nats.Conn) {
	if b.nc == nil {
		return // reconnected during Connect
	}
	b.ConnectedAt()
	b.noteServer()
	b.doubtTime() // another server of a cluster may have another time
	b.logger.Info("reconnected to NATS", "server", nc.ConnectedUrlRedacted())
}

func (b *Bus) trouble(_ *nats.Conn, _ *nats.Subscription, err error) {
	if !b.refusals.note(err) {
		b.logger.Warn("NATS reports an error", "error", err)
	}
}
