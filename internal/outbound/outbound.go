// Package outbound says where a program of Belay may connect to on behalf of files, parameters and answers. All its HTTP clients
// and mail channels connect through it, so that there is one place that refuses.
//
// An address is judged when it is dialled, whatever name or spelling led to it: a name that resolves to something else the second
// time, a redirect, or an IPv4 address inside an IPv6 address changes nothing. Read outbound.go first (who may reach what), then
// addresses.go (what an address is) and hosts.go (which hosts a parameter may choose).
package outbound

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Private says which hosts of a tools file may be at a private address.
type Private string

// The settings of [Private].
const (
	PrivateWritten Private = "written" // those that are written out; also when empty
	PrivateNever   Private = "never"   // none
	PrivateAlways  Private = "always"  // those that a parameter or a redirect has chosen, too
)

// Policy says where connections may go. Its zero value is the default.
type Policy struct {
	Private  Private       // which hosts may be at a private address
	Proxy    bool          // go through the proxy that HTTP_PROXY, HTTPS_PROXY and NO_PROXY of the environment name
	Resolver *net.Resolver // nil = the system's
}

// Parse makes a policy of its words; empty ones are the default.
func Parse(private, proxy string) (Policy, error) {
	p := Policy{Private: Private(private), Proxy: proxy == "environment"}
	switch {
	case p.Private != "" && p.Private != PrivateWritten && p.Private != PrivateNever && p.Private != PrivateAlways:
		return p, fmt.Errorf("private addresses %q: must be written, never or always", private)
	case proxy != "" && proxy != "none" && !p.Proxy:
		return p, fmt.Errorf("proxy %q: must be none or environment", proxy)
	}
	return p, nil
}

// Own is the policy of what stands in an operator's own files and flags, like a channel for notices: private addresses are meant.
func (p Policy) Own() Policy { return Policy{Proxy: p.Proxy, Resolver: p.Resolver} }

// Choice says who has chosen a host.
type Choice int

// The choices of a host.
const (
	Written Choice = iota // stands in a file or flag of whoever runs the program
	Chosen                // by a parameter of a call, or by an answer that redirects
)

func (p Policy) private(by Choice) bool {
	if by == Chosen {
		return p.Private == PrivateAlways
	}
	return p.Private != PrivateNever
}

// Refusal is the error of a connection that the policy forbids. Nothing was sent.
type Refusal struct {
	Host string // as it was asked for; empty where it is the address
	Why  string // with what to do about it
}

func (r *Refusal) Error() string {
	if r.Host == "" {
		return "not called: " + r.Why
	}
	return "not called: " + r.Host + " is " + r.Why
}

// check judges an address.
func (p Policy) check(a netip.Addr, by Choice) error {
	switch kindOf(a) {
	case metadata:
		return &Refusal{Why: a.String() + ", where a machine gives its credentials away: link-local and metadata addresses are always refused"}
	case private:
		return p.checkPrivate(a, by)
	}
	return nil
}

func (p Policy) checkPrivate(a netip.Addr, by Choice) error {
	switch {
	case p.private(by):
		return nil
	case by == Chosen && p.Private != PrivateNever:
		return &Refusal{Why: a.String() + ", a private address, and a parameter or a redirect has chosen it: write the host out in the tools file, or set private_addresses to always"}
	}
	return &Refusal{Why: a.String() + ", a private address, which this program does not call on behalf of tools: private_addresses is never"}
}

// checkHost judges a host that is an address or known by name. Where a proxy resolves names nobody here sees other addresses.
func (p Policy) checkHost(host string, by Choice) error {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	a, err := netip.ParseAddr(host)
	switch {
	case err == nil:
		return p.check(a, by)
	case metadataNames[host]:
		return &Refusal{Host: host, Why: "where a machine gives its credentials away: link-local and metadata addresses are always refused"}
	case endsInNumber(host):
		return &Refusal{Host: host, Why: "no usual spelling of an address, and no name: write it like 192.0.2.7"}
	}
	return nil
}

// Dialer makes connections that the policy allows.
func (p Policy) Dialer(by Choice) *net.Dialer {
	return &net.Dialer{Resolver: p.Resolver, Control: func(_, address string, _ syscall.RawConn) error {
		at, err := netip.ParseAddrPort(address)
		if err != nil {
			return &Refusal{Why: "an address that cannot be judged: " + address}
		}
		return p.check(at.Addr(), by)
	}}
}

// Transport makes a transport whose connections the policy allows. A connection that is kept is one that was allowed, so hosts
// that somebody else has chosen need a transport of their own.
func (p Policy) Transport(by Choice, timeout time.Duration) *http.Transport {
	route := &route{Policy: p, by: by}
	direct, proxy := p.Dialer(by), p.Own().Dialer(Written)
	for _, d := range []*net.Dialer{direct, proxy} {
		d.Timeout, d.KeepAlive = timeout, 15*time.Second
	}
	return &http.Transport{Proxy: route.of, TLSHandshakeTimeout: timeout, DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		if _, is := route.proxies.Load(address); is {
			return proxy.DialContext(ctx, network, address)
		}
		conn, err := direct.DialContext(ctx, network, address)
		if r, refused := errors.AsType[*Refusal](err); refused {
			return nil, named(r, address)
		}
		return conn, err
	}}
}

// named adds the host to a refusal, if it is not the address itself.
func named(r *Refusal, address string) *Refusal {
	host, _, err := net.SplitHostPort(address)
	if _, notAddress := netip.ParseAddr(host); err == nil && notAddress != nil {
		return &Refusal{Host: host, Why: r.Why}
	}
	return r
}

// route says for each request whether it goes through a proxy.
type route struct {
	Policy
	by      Choice
	proxies sync.Map // the addresses of proxies, which the operator has chosen
}

func (r *route) of(req *http.Request) (*url.URL, error) {
	if err := r.checkHost(req.URL.Hostname(), r.by); err != nil || !r.Proxy {
		return nil, err
	}
	u, err := http.ProxyFromEnvironment(req)
	if u != nil {
		port := u.Port()
		if port == "" {
			port = map[string]string{"https": "443", "socks5": "1080", "socks5h": "1080"}[u.Scheme]
		}
		if port == "" {
			port = "80"
		}
		r.proxies.Store(net.JoinHostPort(u.Hostname(), port), true)
	}
	return u, err
}
