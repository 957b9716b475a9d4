package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/natscontext"

	"belay/internal/wire"
)

// Options say how to connect, with the words of the nats CLI. One of InProcess, Server and Context is needed: a
// connection never falls back to localhost silently.
type Options struct {
	Server      string // one or more nats:// URLs, comma separated
	Context     string // a context of the nats CLI
	Creds, NKey string // files
	User        string
	Password    string
	Token       string
	TLSCert     string
	TLSKey      string
	TLSCA       string
	TLSFirst    bool
	Name        string // shown by the server's connection list
	InboxPrefix string
	Domain      string        // JetStream domain
	Timeout     time.Duration // of one request; default 5 s
	InProcess   *Server       // connect inside the process instead
	Prefix      string        // of all names; default "belay"
	Log         *slog.Logger
}

// Bus is a connection with the names of one prefix. It is safe for concurrent use.
type Bus struct {
	nc         *nats.Conn
	js         jetstream.JetStream
	names      wire.Names
	partitions int
	timeout    time.Duration
	log        *slog.Logger
	connected  atomic.Int64

	mu         sync.Mutex
	publishers map[string]*publisher
	replies    *replies
	closed     chan struct{}
}

// oldest is the lowest server version that has what the streams need.
const oldest = "2.15.0"

// Connect connects, or says within the timeout why it cannot.
func Connect(ctx context.Context, o Options) (*Bus, error) {
	if o.Timeout <= 0 {
		o.Timeout = 5 * time.Second
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Prefix == "" {
		o.Prefix = wire.Default.Prefix
	}
	b := &Bus{
		names: wire.Names{Prefix: o.Prefix}, timeout: o.Timeout, log: o.Log,
		publishers: map[string]*publisher{}, closed: make(chan struct{}),
	}
	nc, domain, err := o.dial(b)
	if err != nil {
		return nil, err
	}
	b.nc = nc
	b.connected.Store(time.Now().UnixNano())
	if err := b.start(ctx, domain); err != nil {
		nc.Close()
		return nil, err
	}
	return b, nil
}

func (b *Bus) start(ctx context.Context, domain string) (err error) {
	if v := b.nc.ConnectedServerVersion(); older(v, oldest) {
		return fmt.Errorf("the NATS server at %s is version %s: Belay needs %s or newer; upgrade it, or use the embedded server (dispatcher dev)",
			b.nc.ConnectedUrlRedacted(), v, oldest)
	}
	if domain != "" {
		b.js, err = jetstream.NewWithDomain(b.nc, domain)
	} else {
		b.js, err = jetstream.New(b.nc)
	}
	if err != nil {
		return fmt.Errorf("jetstream: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()
	if _, err := b.js.AccountInfo(ctx); err != nil {
		return fmt.Errorf("JetStream does not answer at %s (is it enabled for this account?): %w", b.nc.ConnectedUrlRedacted(), err)
	}
	b.replies, err = newReplies(b.nc)
	return err
}

// dial makes the connection and says which JetStream domain it is for.
func (o Options) dial(b *Bus) (*nats.Conn, string, error) {
	opts := o.connection(b)
	switch {
	case o.InProcess != nil:
		nc, err := nats.Connect("", append(opts, nats.InProcessServer(o.InProcess.ns))...)
		return nc, o.Domain, wrap("the embedded server", err)
	case o.Context != "":
		nc, s, err := natscontext.Connect(o.Context, opts...)
		domain := o.Domain
		if domain == "" {
			domain = s.JSDomain
		}
		return nc, domain, wrap(fmt.Sprintf("NATS context %q", o.Context), err)
	case o.Server == "":
		return nil, "", errors.New("no NATS server is named: give --server, --context or NATS_URL")
	}
	nc, err := nats.Connect(o.Server, opts...)
	return nc, o.Domain, wrap("NATS at "+redact(o.Server), err)
}

func wrap(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("cannot reach %s: %w (is it running, and are address and credentials right?)", what, err)
}

// connection lists what every connection has: it never gives up, notices a dead peer within seconds, and keeps no
// publish for later, because one that was given up as uncertain must not be stored afterwards.
func (o Options) connection(b *Bus) []nats.Option {
	opts := []nats.Option{
		nats.Name(o.Name), nats.Timeout(o.Timeout), nats.MaxReconnects(-1), nats.ReconnectWait(250 * time.Millisecond),
		nats.ReconnectJitter(100*time.Millisecond, 100*time.Millisecond), nats.PingInterval(2 * time.Second),
		nats.MaxPingsOutstanding(2), nats.ReconnectBufSize(-1),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				b.log.Warn("lost the NATS connection; reconnecting", "error", err)
			}
		}),
		nats.ReconnectHandler(func(nc *nats.Conn) {
			b.connected.Store(time.Now().UnixNano())
			b.log.Info("reconnected to NATS", "server", nc.ConnectedUrlRedacted())
		}),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { b.log.Warn("NATS reports an error", "error", err) }),
	}
	add := func(ok bool, opt func() nats.Option) {
		if ok {
			opts = append(opts, opt())
		}
	}
	add(o.Creds != "", func() nats.Option { return nats.UserCredentials(o.Creds) })
	add(o.User != "", func() nats.Option { return nats.UserInfo(o.User, o.Password) })
	add(o.Token != "", func() nats.Option { return nats.Token(o.Token) })
	add(o.TLSCert != "", func() nats.Option { return nats.ClientCert(o.TLSCert, o.TLSKey) })
	add(o.TLSCA != "", func() nats.Option { return nats.RootCAs(o.TLSCA) })
	add(o.TLSFirst, nats.TLSHandshakeFirst)
	add(o.InboxPrefix != "", func() nats.Option { return nats.CustomInboxPrefix(o.InboxPrefix) })
	add(o.NKey != "", o.nkey)
	return opts
}

func (o Options) nkey() nats.Option {
	opt, err := nats.NkeyOptionFromSeed(o.NKey)
	if err != nil {
		return func(*nats.Options) error { return fmt.Errorf("nkey file %s: %w", o.NKey, err) }
	}
	return opt
}

// redact takes user, password and token out of server URLs.
func redact(servers string) string {
	list := strings.Split(servers, ",")
	for i, s := range list {
		u, err := url.Parse(strings.TrimSpace(s))
		if err != nil {
			list[i] = "(unreadable URL)"
			continue
		}
		u.User = nil
		list[i] = u.String()
	}
	return strings.Join(list, ",")
}

// older compares versions like 2.15.2; one that cannot be read is not refused.
func older(v, least string) bool {
	a, ok := numbers(v)
	b, _ := numbers(least)
	for i := range a {
		if ok && a[i] != b[i] {
			return a[i] < b[i]
		}
	}
	return false
}

func numbers(v string) (n [3]int, ok bool) {
	v, _, _ = strings.Cut(strings.TrimPrefix(v, "v"), "-")
	parts := strings.Split(v, ".")
	if len(parts) != 3 {
		return n, false
	}
	for i, p := range parts {
		x, err := strconv.Atoi(p)
		if err != nil {
			return n, false
		}
		n[i] = x
	}
	return n, true
}

// Names are the names of this bus.
func (b *Bus) Names() wire.Names { return b.names }

// Partitions is the number of log partitions, known after Setup or Open.
func (b *Bus) Partitions() int { return b.partitions }

// ConnectedAt is when the current connection was made.
func (b *Bus) ConnectedAt() time.Time { return time.Unix(0, b.connected.Load()) }

// URL is the server at the other end, without credentials.
func (b *Bus) URL() string { return b.nc.ConnectedUrlRedacted() }

// NATS and JetStream are for the few packages that speak NATS themselves.
func (b *Bus) NATS() *nats.Conn               { return b.nc }
func (b *Bus) JetStream() jetstream.JetStream { return b.js }

// Close waits a moment for publishes on their way and closes the connection.
func (b *Bus) Close() {
	b.mu.Lock()
	select {
	case <-b.closed:
		b.mu.Unlock()
		return
	default:
		close(b.closed)
	}
	all := b.publishers
	b.mu.Unlock()
	for _, p := range all {
		p.stop()
	}
	_ = b.nc.FlushTimeout(time.Second) // acks are on their way without an answer; a dead server keeps nobody
	b.nc.Close()
}

// Tell says something on a core NATS subject; nothing stores it.
func (b *Bus) Tell(subject string, data []byte) error {
	if err := b.nc.Publish(subject, data); err != nil {
		return fmt.Errorf("tell %s: %w", subject, err)
	}
	return nil
}

// Hear listens to core NATS subjects until stop is called.
func (b *Bus) Hear(subject string, f func(subject string, data []byte)) (stop func(), err error) {
	sub, err := b.nc.Subscribe(subject, func(m *nats.Msg) { f(m.Subject, m.Data) })
	if err != nil {
		return nil, fmt.Errorf("listen to %s: %w", subject, err)
	}
	return func() { _ = sub.Unsubscribe() }, nil
}
