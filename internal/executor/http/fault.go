package httpexec

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"belay/internal/executor"
	"belay/internal/steps"
)

// fault puts the target before the message of a failed call, and takes out every secret.
func (c *call) fault(err error) error {
	f, ok := errors.AsType[steps.Fault](err)
	if !ok {
		f = steps.Fault{Class: steps.ToolError, Acted: steps.ActedMaybe, Message: err.Error()}
	}
	f.Message = c.target + ": " + f.Message
	return c.secrets.RedactFault(f)
}

// refusal is the fault of an answer that is no success.
func (c *call) refusal(resp *http.Response) steps.Fault {
	// What cannot be read of the body is no matter: the status says enough.
	body, _ := io.ReadAll(io.LimitReader(resp.Body, refusalBytes))
	class, acted := executor.OfStatus(resp.StatusCode)
	f := steps.Fault{Class: class, Acted: acted, Status: resp.StatusCode, Message: statusLine(resp)}
	f.Detail = c.secrets.Head(body, len(body) == refusalBytes, detailBytes)
	if class.Reaction() == steps.Retry {
		f.RetryAfter = steps.Duration(executor.NamedWait(func(name string) string {
			return cmp.Or(resp.Header.Get(name), resp.Trailer.Get(name)) // gRPC may say it at the end
		}))
	}
	return f
}

func statusLine(resp *http.Response) string {
	line := strings.TrimSpace(resp.Status)
	if resp.StatusCode < 300 || resp.StatusCode > 399 {
		return line
	}
	if to, err := resp.Location(); err == nil {
		to.RawQuery, to.User = "", nil
		line += " to " + to.String()
	}
	return line + ", which is not followed"
}

// networkFault is the fault of a call without a usable answer. Before a connection was there nothing was sent; from
// then on the request, or a part of it, may have arrived.
func networkFault(ctx context.Context, err error, connected bool) steps.Fault {
	acted := steps.ActedNo
	if connected {
		acted = steps.ActedMaybe
	}
	if ctx.Err() != nil {
		return executor.Stopped(ctx, acted)
	}
	if atDeadline(ctx, err) {
		return steps.Fault{Class: steps.Timeout, Acted: acted, Message: "did not end within its timeout"}
	}
	return steps.Fault{Class: steps.Connection, Acted: acted, Message: plain(err)}
}

// atDeadline recognises a network operation that saw the context's deadline a moment before the context did.
func atDeadline(ctx context.Context, err error) bool {
	end, has := ctx.Deadline()
	return has && errors.Is(err, context.DeadlineExceeded) && time.Until(end) < 50*time.Millisecond
}

// plain says what broke without net/http's wrapping, which repeats the whole URL.
func plain(err error) string {
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return "host " + dns.Name + " cannot be resolved: " + dns.Err
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return "the connection was closed before the whole answer had come"
	}
	return err.Error()
}
