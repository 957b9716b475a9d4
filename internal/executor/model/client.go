// Package modelexec executes rungs that ask a model. A [Client] is shared by all rungs of a worker, so that they share its
// connections; [Client.Executor] makes the executor of one rung.
//
// The libraries of the providers write requests and read events; what could happen behind the worker's back is theirs no
// longer: they do not retry, read no environment variables, follow no redirects and make no spans of their own.
//
// client.go holds the connections, ask.go makes a conversation of parameters, memory.go shows a model what was wrong with
// its last answer, openai.go and anthropic.go are the two protocols, answer.go is what came back so far, body.go bounds
// what is read, output.go makes the output of it, fault.go and wait.go say what a failure means,
// span.go says it to whoever traces and counts.
package modelexec

import (
	"cmp"
	"net/http"
	"net/url"
	"strings"

	"go.opentelemetry.io/otel/propagation"

	"belay/internal/executor"
	"belay/internal/genai"
	"belay/internal/outbound"
)

// Client holds the connections of all rungs that ask models. It is safe for concurrent use.
type Client struct {
	transport *http.Transport
	userAgent string
	asked     func(genai.Call)
}

// NewClient makes a client with the user agent belay/version. Each call is reported to asked, which may be nil.
func NewClient(version string, policy outbound.Policy, asked func(genai.Call)) *Client {
	return &Client{userAgent: "belay/" + version, asked: asked, transport: executor.NewTransport(policy, outbound.Written)}
}

// Close closes idle connections. Executions that are under way go on.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// Executor makes the executor of one rung.
func (c *Client) Executor(spec executor.Model) executor.Executor {
	x := &rung{spec: spec, asked: c.asked, misfits: &memory{}}
	x.client = &http.Client{
		Transport:     plain{c.transport, c.userAgent},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	own := "https://api.openai.com/v1"
	if spec.Provider == executor.ProviderAnthropic {
		own = "https://api.anthropic.com"
	}
	at := base(spec, own)
	x.host = hostOf(at)
	x.target = spec.Model + " at " + x.host
	x.protocol = openaiChat{x.client, at, spec}
	if spec.Provider == executor.ProviderAnthropic {
		x.protocol = anthropicMessages{x.client, at, spec}
	}
	return x
}

// base is where the provider is reached, without a slash at its end. The library for messages puts /v1 there itself.
func base(spec executor.Model, own string) string {
	at := strings.TrimRight(cmp.Or(spec.BaseURL, own), "/")
	if spec.Provider == executor.ProviderAnthropic {
		at = strings.TrimSuffix(at, "/v1")
	}
	return at
}

func hostOf(at string) string {
	u, err := url.Parse(at)
	if err != nil {
		return "an invalid base_url"
	}
	return u.Host
}

// plain sends requests without what the libraries tell of this machine and themselves.
type plain struct {
	next      http.RoundTripper
	userAgent string
}

// RoundTrip implements [http.RoundTripper].
func (p plain) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	for name := range r.Header {
		if strings.HasPrefix(name, "X-Stainless-") {
			r.Header.Del(name)
		}
	}
	r.Header.Set("User-Agent", p.userAgent)
	r.Header.Set(executor.ToolCall, "1")
	r.Header.Del("Idempotency-Key") // with it net/http sends a request a second time when a connection breaks
	propagation.TraceContext{}.Inject(r.Context(), propagation.HeaderCarrier(r.Header))
	return p.next.RoundTrip(r)
}
