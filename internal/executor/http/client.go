// Package httpexec executes rungs that call a URL. A [Client] is shared by all rungs of a worker, so that they share
// its connections; [Client.Executor] makes the executor of one rung.
//
// client.go holds the connections and the rules of redirects, once.go keeps net/http from repeating calls, request.go
// makes the request, execute.go sends it and reads the answer, fault.go says what a failure means.
package httpexec

import (
	"net/http"

	"belay/internal/executor"
	"belay/internal/outbound"
)

const maxRedirects = 10

// Client holds the connections of all HTTP rungs. It is safe for concurrent use.
type Client struct {
	written   *http.Transport // for hosts that stand in the tools file
	chosen    *http.Transport // for hosts that a parameter or an answer has chosen
	userAgent string
}

// NewClient makes a client with the user agent belay/version.
func NewClient(version string, policy outbound.Policy) *Client {
	return &Client{userAgent: "belay/" + version, written: executor.NewTransport(policy, outbound.Written), chosen: executor.NewTransport(policy, outbound.Chosen)}
}

// Close closes idle connections. Executions that are under way go on.
func (c *Client) Close() {
	c.written.CloseIdleConnections()
	c.chosen.CloseIdleConnections()
}

// Executor makes the executor of one rung.
func (c *Client) Executor(spec executor.HTTP) executor.Executor {
	x := &rung{spec: spec, userAgent: c.userAgent, client: http.Client{Transport: hops{c, spec.ChosenHost}, CheckRedirect: stay}}
	if spec.FollowRedirects {
		x.client.CheckRedirect = x.follow
	}
	return x
}

// hops sends each request over the connections that are for whoever has chosen its host.
type hops struct {
	*Client
	chosenHost bool
}

// RoundTrip implements [http.RoundTripper].
func (h hops) RoundTrip(r *http.Request) (*http.Response, error) {
	first := r
	for first.Response != nil { // the redirect that has led here
		first = first.Response.Request
	}
	if h.chosenHost || r.URL.Hostname() != first.URL.Hostname() {
		return once{h.chosen}.RoundTrip(r)
	}
	return once{h.written}.RoundTrip(r)
}

// rung executes one rung of the tools file.
type rung struct {
	spec      executor.HTTP
	client    http.Client
	userAgent string
}

// stay returns a redirect as the answer, because it may lead to a host that the tool was never meant to talk to.
func stay(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// follow follows a redirect, but never from https to http, and without the rung's own headers, which may be keys, if
// the host or its port changes. net/http keeps Authorization for another port, and for a subdomain.
func (x *rung) follow(next *http.Request, via []*http.Request) error {
	first := via[0]
	if len(via) >= maxRedirects || first.URL.Scheme == "https" && next.URL.Scheme != "https" {
		return http.ErrUseLastResponse
	}
	if next.URL.Host == first.URL.Host {
		return nil
	}
	if len(x.spec.AllowHosts) > 0 && !x.spec.AllowHosts.Allow(next.URL) {
		return notAllowed(next.URL, "a redirect leads to")
	}
	for name := range x.spec.Headers {
		next.Header.Del(name)
	}
	next.Header.Del("Authorization")
	showGrant(next.Header, nil)
	next.Header.Del("Referer")              // net/http puts the whole URL there, and its query may hold a key
	next.Header.Set(executor.ToolCall, "1") // which the rung may have named
	return nil
}
