package httpexec

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"go.opentelemetry.io/otel/propagation"

	"belay/internal/executor"
	"belay/internal/outbound"
	"belay/internal/steps"
)

// call is one request on its way.
type call struct {
	request *http.Request
	target  string // method and URL without its query, for people
	secrets executor.Secrets
	bare    bool // the body is the parameters as they are
}

// prepare makes the request of one attempt. Its errors are faults of a call that was never made.
func (x *rung) prepare(ctx context.Context, req executor.Request) (*call, error) {
	params, err := executor.Decode(req.Params)
	if err != nil {
		return nil, err
	}
	u, err := x.url(params)
	if err != nil {
		return nil, err
	}
	method := strings.ToUpper(cmp.Or(x.spec.Method, http.MethodGet))
	body, err := x.body(method, params, req.Params)
	if err != nil {
		return nil, err
	}
	r, err := newRequest(ctx, method, u, body)
	if err != nil {
		return nil, err
	}
	c := &call{request: r, target: method + " " + u.Scheme + "://" + u.Host + u.EscapedPath(), bare: x.spec.Body == nil && body != nil}
	return c, x.header(ctx, c, params, req)
}

// url fills in the URL and its query.
func (x *rung) url(params any) (*url.URL, error) {
	text, err := x.spec.URL(params)
	if err != nil {
		return nil, executor.BadTemplate("url", err)
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, neverSent("url: not an http or https URL after filling in the parameters")
	}
	if x.spec.ChosenHost && !x.spec.AllowHosts.Allow(u) {
		return nil, executor.Denied(notAllowed(u, "the parameters say"), steps.ActedNo)
	}
	if len(x.spec.Query) == 0 {
		return u, nil
	}
	query := u.Query()
	for name, fill := range x.spec.Query {
		value, err := fill(params)
		if err != nil {
			return nil, executor.BadTemplate("query "+name, err)
		}
		query.Set(name, value)
	}
	u.RawQuery = query.Encode()
	return u, nil
}

// body gives the request's body, nil for none.
func (x *rung) body(method string, params any, raw json.RawMessage) ([]byte, error) {
	if x.spec.Body != nil {
		b, err := x.spec.Body(params)
		if err != nil {
			return nil, executor.BadTemplate("body", err)
		}
		return b, nil
	}
	switch method {
	case http.MethodPost, http.MethodPut, http.MethodPatch:
		return raw, nil
	}
	return nil, nil
}

func newRequest(ctx context.Context, method string, u *url.URL, body []byte) (*http.Request, error) {
	r, err := http.NewRequestWithContext(ctx, method, u.String(), bytes.NewReader(body))
	if err != nil {
		return nil, neverSent("method " + method + " or the url is not valid")
	}
	if len(body) > 0 {
		r.Header.Set("Content-Type", "application/json")
	}
	return r, nil
}

// header sets the headers: ours, then the rung's own, which win, then what no rung may change.
func (x *rung) header(ctx context.Context, c *call, params any, req executor.Request) error {
	h := c.request.Header
	h.Set("User-Agent", x.userAgent)
	if x.spec.Response != executor.FormatText {
		h.Set("Accept", "application/json")
	}
	for name, fill := range x.spec.Headers {
		value, err := fill(params)
		if err != nil {
			return executor.BadTemplate("header "+name, err)
		}
		if strings.ContainsAny(value, "\r\n\x00") {
			return neverSent(fmt.Sprintf("header %s: the value contains a line break", name))
		}
		c.setHeader(name, value)
	}
	if req.Key != "" {
		h[keyHeader] = []string{req.Key}
	}
	h.Set(executor.ToolCall, "1")
	showGrant(h, req.Granted(c.bare))
	propagation.TraceContext{}.Inject(ctx, propagation.HeaderCarrier(h))
	c.secrets.AddAll(x.spec.Hidden)
	return executor.Authorize(h, x.spec.BearerEnv, x.spec.BasicEnv, &c.secrets)
}

// showGrant shows the service what people have approved, and nothing that a rung says they have.
func showGrant(h http.Header, granted map[string]string) {
	h.Del(executor.Grant)
	h.Del(executor.GrantParams)
	for name, value := range granted {
		h.Set(name, value)
	}
}

// setHeader sets a header of the rung. net/http does not treat Host as a header, and a rung cannot choose the
// idempotency key.
func (c *call) setHeader(name, value string) {
	switch http.CanonicalHeaderKey(name) {
	case "Host":
		c.request.Host = value
	case http.CanonicalHeaderKey(keyHeader), "X-Idempotency-Key":
		c.request.Header[strings.ToLower(name)] = []string{value} // see keyHeader
	default:
		c.request.Header.Set(name, value)
	}
}

func notAllowed(u *url.URL, who string) *outbound.Refusal {
	return &outbound.Refusal{Why: who + " " + u.Host + ", which allow_hosts does not name: add it there if it is meant"}
}

func neverSent(message string) steps.Fault {
	return steps.Fault{Class: steps.InvalidInput, Acted: steps.ActedNo, Message: message}
}
