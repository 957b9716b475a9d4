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

// Options say how to connect, with the words of the nats CLI. Without InProcess, Server and Context it is the context
// that is selected there; a connection never falls back to localhost silently.
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

const defaultTimeout = 5 * time.Second

// ErrUnreachable says that no connection could be made, or that there is none now.
var ErrUnreachable = errors.New("cannot connect")

// dialled is a connection, the JetStream domain it is for, and what to call its other end.
type dialled struct {
	nc     *nats.Conn
	domain string
	place  string
	err    error
}

// dial makes the connection. It returns when ctx ends, whatever the network does.
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
	case o.InProcess != nil:
		nc, err := nats.Connect("", append(opts, nats.InProcessServer(inside{o.InProcess}))...)
		return o.to("the embedded server", nc, err)
	case o.Server != "":
		return o.dialServer(opts)
	}
	return o.dialContext(opts)
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

// contextName is the context asked for, or else the one selected with the nats CLI.
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

// connection lists what every connection has: it never gives up, notices a dead peer within seconds, and keeps no
// publish for later, because one that was given up as uncertain must not be stored afterwards.
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
	add(o.InboxPrefix != "", func() nats.Option { return nats.CustomInboxPrefix(o.InboxPrefix) })
	return opts, nil
}

// redact takes user, password and token out of server URLs. What cannot be read is not repeated: it may be a password.
func redact(servers string) (string, error) {
	list := strings.Split(servers, ",")
	for i, s := range list {
		s = strings.TrimSpace(s)
		if !strings.Contains(s, "://") {
			s = "nats://" + s
		}
		u, err := url.Parse(s)
		if err != nil || u.Host == "" || strings.Contains(u.Path+u.RawQuery+u.Fragment, "@") {
			return "", fmt.Errorf("NATS server %d of %d is no address like nats://host:4222 (a / ? # or %% in a password is written percent-encoded)", i+1, len(list))
		}
		u.User, u.RawQuery, u.Fragment = nil, "", ""
		list[i] = u.String()
	}
	return strings.Join(list, ","), nil
}
