package httpexec

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"

	"belay/internal/executor"
	"belay/internal/steps"
)

const (
	detailBytes  = 2 << 10
	refusalBytes = 64 << 10 // how much of the body of a refusal is read
)

// Execute makes the call.
func (x *rung) Execute(ctx context.Context, req executor.Request) (executor.Result, error) {
	c, err := x.prepare(ctx, req)
	if err != nil {
		return executor.Result{}, err
	}
	out, err := x.send(ctx, c)
	if err != nil {
		return executor.Result{}, c.fault(err)
	}
	return executor.Result{Output: out}, nil
}

func (x *rung) send(ctx context.Context, c *call) (json.RawMessage, error) {
	var connected atomic.Bool
	trace := &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { connected.Store(true) }}
	resp, err := x.client.Do(c.request.WithContext(httptrace.WithClientTrace(ctx, trace)))
	if err != nil {
		return nil, networkFault(ctx, err, connected.Load())
	}
	defer resp.Body.Close()
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return nil, c.refusal(resp)
	}
	return x.read(ctx, c, resp)
}

// read makes the output of a successful answer.
func (x *rung) read(ctx context.Context, c *call, resp *http.Response) (json.RawMessage, error) {
	limit := executor.Limit(x.spec.MaxBytes)
	body, err := readBody(resp, limit+1)
	fault, is := unreadable(err)
	switch {
	case err != nil && ctx.Err() != nil: // net/http returns the cause of the cancel, which may be a fault of its own
		return nil, withStatus(networkFault(ctx, err, true), resp)
	case is:
		return nil, withStatus(fault, resp)
	case len(body) > limit:
		return nil, withStatus(executor.TooLarge(c.secrets.Head(body, true, detailBytes), x.spec.MaxBytes), resp)
	case err != nil:
		return nil, withStatus(networkFault(ctx, err, true), resp)
	case len(body) == 0 && (resp.StatusCode == http.StatusNoContent || resp.StatusCode == http.StatusResetContent):
		return json.RawMessage("null"), nil
	}
	if body, err = decodeText(body, resp.Header.Get("Content-Type")); err != nil {
		return nil, withStatus(err, resp)
	}
	// The limit applies to what was sent; another charset or hiding a secret may have made it longer.
	body = c.secrets.RedactAnswer(body, x.spec.Response)
	out, err := executor.Output(body, x.spec.Response, max(limit, len(body)))
	return out, withStatus(err, resp)
}

// readBody reads at most n bytes of the answer's body, without its compression.
func readBody(resp *http.Response, n int) ([]byte, error) {
	body, err := plainBody(resp)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(body, int64(n)))
}

// withStatus notes the status of the answer in a fault.
func withStatus(err error, resp *http.Response) error {
	f, ok := errors.AsType[steps.Fault](err)
	if !ok {
		return err
	}
	f.Status = resp.StatusCode
	return f
}
