// Package httpexec executes rungs that call a URL. A [Client] is shared by all rungs of a worker, so that they share
// its connections; [Client.Executor] makes the executor of one rung.
//
// client.go holds the connections and the rules of redirects, once.go keeps net/http from repeating calls, request.go
// makes the request, auth.go reads tokens, execute.go sends it and reads the answer, fault.go says what a failure means.
package httpexec

import (
	"net"
	"net/http"
	"time"

	"belay/internal/executor"
)

const (
	dialTimeout = 10 * time.Second
	// A connection that the other side closes just as a request is written to it looks like a failed call that may
	// have acted. Common servers keep idle connections for 5 seconds or more; be first.
	idleTimeout    = 4 * time.Second
	idlePerHost    = 256
	maxHeaderBytes = 1 << 20
	maxRedirects   = 10
)

// Client holds the connections of all HTTP rungs. It is safe for concurrent use.
type Client struct {
	transport *http.Transport
	userAgent string
}

// NewClient makes a client that calls itself belay/version. HTTP_PROXY, HTTPS_PROXY and NO_PROXY count as usual.
func NewClient(version string) *Client {
	// HTTP/2 would announce a body with every GET that once.go keeps from being repeated, which some servers refuse.
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	dialer := &net.Dialer{Timeout: dialTimeout, KeepAlive: 15 * time.Second}
	return &Client{userAgent: "belay/" + version, transport: &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            dialer.DialContext,
		TLSHandshakeTimeout:    dialTimeout,
		Protocols:              protocols,
		MaxIdleConnsPerHost:    idlePerHost,
		IdleConnTimeout:        idleTimeout,
		MaxResponseHeaderBytes: maxHeaderBytes,
	}}
}

// Close closes idle connections. Executions under way are not disturbed.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// Executor makes the executor of one rung.
func (c *Client) Executor(spec executor.HTTP) executor.Executor {
	x := &rung{spec: spec, userAgent: c.userAgent, client: http.Client{Transport: once{c.transport}, CheckRedirect: stay}}
	if spec.FollowRedirects {
		x.client.CheckRedirect = x.follow
	}
	return x
}

// rung executes one rung of the tools file.
type rung struct {
	spec      executor.HTTP
	client    http.Client
	userAgent string
}

// stay gives a redirect on as the answer: it may name a place that the tool was never meant to talk to.
func stay(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// follow follows a redirect, but carries the rung's own headers, which may be keys, to no other host, and nothing
// from an encrypted to an open connection. net/http itself drops Authorization where the host changes.
func (x *rung) follow(next *http.Request, via []*http.Request) error {
	first := via[0]
	if len(via) >= maxRedirects || first.URL.Scheme == "https" && next.URL.Scheme != "https" {
		return http.ErrUseLastResponse
	}
	if next.URL.Host == first.URL.Host {
		return nil
	}
	for name := range x.spec.Headers {
		next.Header.Del(name)
	}
	return nil
}
