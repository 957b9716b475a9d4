package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/synadia-io/orbit.go/natscontext"
)

// Options say how to connect, with the names of the nats CLI. Without InProcess, Server and Context it is the context that
// is selected in that CLI; a connection never falls back to localhost silently.
type Options struct {
	Server      string                     // one or more nats:// URLs, comma separated
	Context     string                     // a context of the nats CLI
	Creds, NKey string                     // files
	User        string                     // with Password
	Password    string                     // with User
	Token       string                     // instead of a user with a password
	TLSCert     string                     // file of this client's certificate, with TLSKey
	TLSKey      string                     // file
	TLSCA       string                     // file of the authorities to trust; empty = those of the system
	TLSFirst    bool                       // TLS handshake before the server's greeting
	Name        string                     // shown by the server's connection list
	InboxPrefix string                     // of the subjects of replies; default _INBOX
	Domain      string                     // JetStream domain
	Timeout     time.Duration              // of one request; default 5 s
	Patience    time.Duration              // of a person who has something stored, or done by another process; default Timeout
	InProcess   nats.InProcessConnProvider // connect to a server in this process instead
	Opening     string                     // with InProcess: names that this process has opened the server's store, see [Bus.Outlived]
	Line        *Line                      // can be cut on purpose; nil = it cannot. Not with InProcess or Conn
	Conn        *nats.Conn                 // use this connection; it is not closed, and none of its handlers is set
	Prefix      string                     // of all names; default "belay"
	Logger      *slog.Logger               // logs lost and restored connections; nil = nothing is logged
}

const defaultTimeout = 5 * time.Second

// ErrUnreachable says that no connection could be made, or that it is lost at the moment.
var ErrUnreachable = errors.New("cannot connect")

// ErrUnfit says that there is a server, and that it does not have what Belay needs.
var ErrUnfit = errors.New("not usable")

// dialled is a connection, its JetStream domain, and what to call its other end.
type dialled struct {
	nc     *nats.Conn
	domain string
	place  string
	err    error
}

// dial makes the connection. It returns when ctx ends, even if the network hangs.
func (o Options) dial(ctx context.Context, b *Bus) dialled {
	result := make(chan dialled, 1)
	go func() { result <- o.dialNow(b) }()
	select {
	case d := <-result:
		return d
	case <-ctx.Done():
		go func() {
			if d := <-result; d.nc != nil {
				d.nc.Close()
			}
		}()
		return dialled{err: fmt.Errorf("%w: %w", ErrUnreachable, context.Cause(ctx))}
	}
}

func (o Options) dialNow(b *Bus) dialled {
	opts, err := o.connection(b)
	if err != nil {
		return dialled{err: err}
	}
	switch {
	case o.Conn != nil:
		return o.adopt()
	case o.InProcess != nil:
		nc, err := nats.Connect("", append(opts, nats.InProcessServer(o.InProcess))...)
		return o.to("the embedded server", nc, err)
	case o.Server != "":
		return o.dialServer(opts)
	}
	return o.dialContext(opts)
}

// adopt uses a connection of the caller. It refuses one that buffers publishes while it is disconnected: these would be
// stored after they were reported as uncertain.
func (o Options) adopt() dialled {
	switch nc := o.Conn; {
	case nc.Opts.ReconnectBufSize >= 0:
		return dialled{err: errors.New("this NATS connection buffers what is published while it is disconnected: make it with nats.ReconnectBufSize(-1)")}
	case !nc.IsConnected():
		return dialled{err: fmt.Errorf("%w: the NATS connection that was given is %s", ErrUnreachable, strings.ToLower(nc.Status().String()))}
	default:
		return dialled{nc: nc, domain: o.Domain, place: nc.ConnectedUrlRedacted()}
	}
}

func (o Options) dialServer(opts []nats.Option) dialled {
	place, err := redact(o.Server)
	if err != nil {
		return dialled{err: err}
	}
	nc, err := nats.Connect(o.Server, opts...)
	return o.to(place, nc, err)
}

func (o Options) dialContext(opts []nats.Option) dialled {
	name, err := contextName(o.Context)
	if err != nil {
		return dialled{err: err}
	}
	nc, settings, err := natscontext.Connect(name, opts...)
	d := o.to(fmt.Sprintf("NATS context %q", name), nc, err)
	if err == nil && settings.URL == "" {
		nc.Close()
		return dialled{err: fmt.Errorf("NATS context %q names no server: set its url (nats context edit %s)", name, name)}
	}
	if d.domain == "" {
		d.domain = settings.JSDomain
	}
	return d
}

func (o Options) to(place string, nc *nats.Conn, err error) dialled {
	d := dialled{nc: nc, domain: o.Domain, place: place}
	if err != nil {
		d.nc, d.err = nil, fmt.Errorf("%w to %s: %w (is it running, and are address and credentials right?)", ErrUnreachable, place, err)
	}
	return d
}

// contextName returns the given context, or else the one that is selected with the nats CLI.
func contextName(name string) (string, error) {
	if name != "" {
		return name, nil
	}
	config := os.Getenv("XDG_CONFIG_HOME")
	if home, err := os.UserHomeDir(); config == "" && err == nil {
		config = filepath.Join(home, ".config")
	}
	selected, err := os.ReadFile(filepath.Join(config, "nats", "context.txt"))
	if name = strings.TrimSpace(string(selected)); err != nil || name == "" {
		return "", errors.New("no NATS server is named: give --server or --context, set NATS_URL, or select a context (nats context select)")
	}
	return name, nil
}

// connection returns the options of every connection: it never gives up, notices a dead peer within seconds, and buffers no
// publishes, because one that was reported as uncertain must not be stored afterwards.
func (o Options) connection(b *Bus) ([]nats.Option, error) {
	opts := []nats.Option{
		nats.Name(o.Name), nats.Timeout(o.Timeout), nats.MaxReconnects(-1), nats.ReconnectWait(250 * time.Millisecond),
		nats.ReconnectJitter(100*time.Millisecond, 100*time.Millisecond), nats.PingInterval(2 * time.Second),
		nats.MaxPingsOutstanding(2), nats.ReconnectBufSize(-1),
		nats.DisconnectErrHandler(b.disconnected), nats.ReconnectHandler(b.reconnected), nats.ErrorHandler(b.trouble),
	}
	if o.NKey != "" {
		nkey, err := nats.NkeyOptionFromSeed(o.NKey)
		if err != nil {
			return nil, fmt.Errorf("nkey file %s: %w", o.NKey, err)
		}
		opts = append(opts, nkey)
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
	add(o.Line != nil, func() nats.Option { return nats.SetCustomDialer(o.Line) })
	add(o.InboxPrefix != "", func() nats.Option { return nats.CustomInboxPrefix(o.InboxPrefix) })
	return opts, nil
}

// redact removes user, password and token from server URLs. Its error does not repeat what cannot be parsed: it may be a
// password.
func redact(servers string) (string, error) {
	list := strings.Split(servers, ",")
	for i, s := range list {
		s = strings.TrimSpace(s)
		if !strings.Contains(s, "://") {
			s = "nats://" + s
		}
		u, err := url.Parse(s)
		if err != nil || u.Host == "" || strings.Contains(u.Path+u.RawQuery+u.Fragment, "@") {
			return "", fmt.Errorf("NATS server %d of %d is not an address like nats://host:4222 (a / ? # or %% in a password is written percent-encoded)", i+1, len(list))
		}
		u.User, u.RawQuery, u.Fragment = nil, "", ""
		list[i] = u.String()
	}
	return strings.Join(list, ","), nil
}
