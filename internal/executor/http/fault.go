package httpexec

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"strings"

	"belay/internal/executor"
	"belay/internal/steps"
)

// fault puts the target before the message of a failed call and hides all secrets.
func (c *call) fault(err error) error {
	f, ok := errors.AsType[steps.Fault](err)
	if !ok {
		f = steps.Fault{Class: steps.ToolError, Acted: steps.ActedMaybe, Message: err.Error()}
	}
	f.Message = c.target + ": " + f.Message
	return c.secrets.RedactFault(f)
}

// refusal is the fault of an answer whose status is not 2xx.
func (c *call) refusal(resp *http.Response) steps.Fault {
	// If the body cannot be read, the status says enough.
	body, _ := readBody(resp, refusalBytes)
	cut := len(body) == refusalBytes
	if text, err := decodeText(body, resp.Header.Get("Content-Type")); err == nil {
		body = text
	}
	class, acted := executor.OfStatus(resp.StatusCode)
	f := steps.Fault{Class: class, Acted: acted, Status: resp.StatusCode, Message: statusLine(resp)}
	f.Detail = c.secrets.Head(body, cut, detailBytes)
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

// networkFault is the fault of a call without a usable answer. Before there was a connection nothing was sent; after
// that, the request or a part of it may have arrived.
func networkFault(ctx context.Context, err error, connected bool) steps.Fault {
	acted := steps.ActedNo
	if connected {
		acted = steps.ActedMaybe
	}
	if ctx.Err() != nil {
		return executor.Stopped(ctx, acted)
	}
	return executor.Unanswered(ctx, err, acted)
}
