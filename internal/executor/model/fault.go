package modelexec

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"belay/internal/executor"
	"belay/internal/steps"
)

const (
	refusalBytes = 64 << 10 // how much of the body of a refusal is read
	saidBytes    = 300      // of what a provider says that stand in the message
)

// A call of a model changes nothing in the world, so every fault says that nothing happened.

// fault makes the fault of an attempt, with the model's name before its message.
func (x *rung) fault(ctx context.Context, err error, a *answer) steps.Fault {
	f, ok := errors.AsType[steps.Fault](err)
	switch {
	case ok:
	case ctx.Err() != nil:
		f = executor.Stopped(ctx, steps.ActedNo)
	default:
		f = executor.Unanswered(ctx, err, steps.ActedNo)
		f.Detail = executor.Head([]byte(a.written()), headBytes)
	}
	f.Acted = steps.ActedNo
	f.Message = x.target + ": " + f.Message
	return f
}

// garbage is the fault of an answer that no model writes.
func garbage(message, seen string) steps.Fault {
	return executor.Unusable(message, executor.Head([]byte(seen), headBytes))
}

// refusal is the fault of an answer whose status is not 2xx.
func refusal(resp *http.Response) steps.Fault {
	data, _ := io.ReadAll(io.LimitReader(resp.Body, refusalBytes)) // if it cannot be read, the status says enough
	said, _ := saidIn(data)
	f := classified(resp.StatusCode, said)
	f.Status, f.Detail = resp.StatusCode, executor.Head(data, headBytes)
	f.Message = strings.TrimSpace(strconv.Itoa(resp.StatusCode) + " " + http.StatusText(resp.StatusCode)) // 529 has no text
	if said.message != "" {
		f.Message += ": " + executor.Head([]byte(said.message), saidBytes)
	}
	if f.Class.Reaction() == steps.Retry {
		f.RetryAfter = steps.Duration(namedWait(resp.Header))
	}
	return f
}

// saidInStream is the fault of an error that comes as an event of an answer that had begun well; nil where it is none.
func saidInStream(event []byte) error {
	said, is := saidIn(event)
	if !is {
		return nil
	}
	f := classified(statusOf(said), said)
	f.Message = "the answer was broken off: " + executor.Head([]byte(cmp.Or(said.message, said.kind, said.code)), saidBytes)
	f.Detail = executor.Head(event, headBytes)
	return f
}

// said is what a provider says of a failure.
type said struct {
	message, kind, code string
}

// saidIn finds that in a body, in the forms that are about: an object or a text below `error`, perhaps in a list.
func saidIn(data []byte) (said, bool) {
	data = bytes.TrimSpace(data)
	if list := []json.RawMessage{}; json.Unmarshal(data, &list) == nil && len(list) > 0 {
		data = list[0]
	}
	var outer struct {
		Error, Message, Type, Code any
	}
	if json.Unmarshal(data, &outer) != nil {
		return said{}, false
	}
	switch e := outer.Error.(type) {
	case string:
		return said{message: e}, e != ""
	case map[string]any:
		return said{text(e["message"]), cmp.Or(text(e["type"]), text(e["status"])), text(e["code"])}, true
	}
	if text(outer.Type) == "error" || text(outer.Type) == "" {
		return said{message: text(outer.Message), code: text(outer.Code)}, text(outer.Type) == "error"
	}
	return said{text(outer.Message), text(outer.Type), text(outer.Code)}, false
}

func text(v any) string {
	if v == nil {
		return ""
	}
	return fmt.Sprint(v)
}

// classified says what a refusal means.
func classified(status int, s said) steps.Fault {
	class, _ := executor.OfStatus(status)
	words := strings.ToLower(s.kind + " " + s.code)
	switch {
	case tooLong(status, s):
		return steps.Fault{Class: steps.InvalidInput, Final: true, Reason: steps.ContextTooLong}
	case status < 500 && filtered(s):
		return steps.Fault{Class: steps.ToolError, Final: true, Reason: steps.ContentFilter}
	case status == 529 || strings.Contains(words, "overloaded"):
		return steps.Fault{Class: steps.Unavailable, Reason: steps.Overloaded}
	}
	return steps.Fault{Class: class, Final: strings.Contains(words, "insufficient_quota")}
}

// tooLong recognizes a conversation that does not fit into the model. Only some providers have a code for it.
func tooLong(status int, s said) bool {
	if status == http.StatusRequestEntityTooLarge {
		return true
	}
	if status != http.StatusBadRequest && status != http.StatusUnprocessableEntity {
		return false
	}
	if s.code == "context_length_exceeded" || s.kind == "exceed_context_size_error" {
		return true
	}
	message := strings.ToLower(s.message)
	for _, words := range []string{"prompt is too long", "maximum context length", "context length exceeded", "context window", "exceeds the maximum number of tokens", "exceed context limit"} {
		if strings.Contains(message, words) {
			return true
		}
	}
	return false
}

func filtered(s said) bool {
	return s.code == "content_filter" || s.code == "content_policy_violation" || strings.Contains(strings.ToLower(s.message), "content filtering policy")
}

// statusOf is the status that a provider has for a kind of failure.
func statusOf(s said) int {
	switch s.kind {
	case "invalid_request_error":
		return http.StatusBadRequest
	case "authentication_error":
		return http.StatusUnauthorized
	case "permission_error":
		return http.StatusForbidden
	case "not_found_error":
		return http.StatusNotFound
	case "rate_limit_error", "rate_limit_exceeded":
		return http.StatusTooManyRequests
	}
	return http.StatusInternalServerError
}
