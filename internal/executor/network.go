package executor

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"belay/internal/outbound"
	"belay/internal/steps"
)

const (
	dialTimeout = 10 * time.Second
	// If the other side closes an idle connection just when a request is written to it, that looks like a failed call
	// that may have acted. Common servers close idle connections after 5 seconds or more, so close them earlier.
	idleTimeout    = 4 * time.Second
	idlePerHost    = 256
	maxHeaderBytes = 1 << 20
)

// NewTransport makes the connections of rungs that speak HTTP, to hosts that by has chosen. It speaks HTTP/1.1: HTTP/2 may send a
// request a second time by itself, and announces a body with a GET that has none.
func NewTransport(policy outbound.Policy, by outbound.Choice) *http.Transport {
	t := policy.Transport(by, dialTimeout)
	t.Protocols = new(http.Protocols)
	t.Protocols.SetHTTP1(true)
	t.MaxIdleConnsPerHost, t.IdleConnTimeout, t.MaxResponseHeaderBytes = idlePerHost, idleTimeout, maxHeaderBytes
	return t
}

// Unanswered is the fault of a call over the network that has ended without an answer. The network may notice the context's
// deadline a moment before the context does.
func Unanswered(ctx context.Context, err error, acted steps.Acted) steps.Fault {
	if end, has := ctx.Deadline(); has && errors.Is(err, context.DeadlineExceeded) && time.Until(end) < 50*time.Millisecond {
		return steps.Fault{Class: steps.Timeout, Acted: acted, Message: "did not end within its timeout"}
	}
	if r, refused := errors.AsType[*outbound.Refusal](err); refused {
		return Denied(r, acted)
	}
	return steps.Fault{Class: steps.Connection, Acted: acted, Message: NetworkError(err)}
}

// Denied is the fault of a call that this worker may not make, or go on with where an answer leads to.
func Denied(r *outbound.Refusal, acted steps.Acted) steps.Fault {
	return steps.Fault{Class: steps.PolicyDenied, Acted: acted, Message: r.Error()}
}

// NetworkError is an error of net/http without its wrapping, which repeats the whole URL.
func NetworkError(err error) string {
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return "host " + dns.Name + " cannot be resolved: " + dns.Err
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return "the connection was closed before the whole answer arrived"
	}
	return err.Error()
}
