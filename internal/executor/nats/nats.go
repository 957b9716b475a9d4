// Package natsexec executes rungs that ask a NATS service: the parameters are the request, and the JSON in the reply is
// the result. The error code in a reply of the NATS micro framework is read like an HTTP status.
package natsexec

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
	"go.opentelemetry.io/otel/propagation"

	"belay/internal/executor"
	"belay/internal/steps"
	"belay/internal/wire"
)

// keyHeader carries the idempotency key, as HTTP rungs do.
const keyHeader = "Idempotency-Key"

// New makes the executor of one rung, which asks nothing of Belay itself: no subject below the prefix of names. The
// connection stays the caller's to close.
func New(conn *nats.Conn, names wire.Names, spec executor.NATS) executor.Executor {
	x := &rung{conn: conn, names: names, spec: spec}
	x.secrets.AddAll(spec.Hidden)
	return x
}

type rung struct {
	conn    *nats.Conn
	names   wire.Names
	spec    executor.NATS
	secrets executor.Secrets // that the service gets and must not reveal
}

// Execute asks once.
func (x *rung) Execute(ctx context.Context, req executor.Request) (executor.Result, error) {
	if ctx.Err() != nil {
		return executor.Result{}, executor.Stopped(ctx, steps.ActedNo)
	}
	msg, err := x.message(ctx, req)
	if err != nil {
		return executor.Result{}, err
	}
	reply, err := x.conn.RequestMsgWithContext(ctx, msg)
	if err != nil {
		return executor.Result{}, at(msg.Subject, failure(ctx, err))
	}
	if f, no := x.refusal(reply); no {
		return executor.Result{}, at(msg.Subject, x.secrets.RedactFault(f))
	}
	out, err := x.output(reply.Data)
	return executor.Result{Output: out}, at(msg.Subject, err)
}

// output makes the result of a reply. The limit applies to what was sent; hiding a secret may make it longer.
func (x *rung) output(reply []byte) (json.RawMessage, error) {
	limit := executor.Limit(x.spec.MaxBytes)
	if len(reply) > limit {
		return nil, executor.TooLarge(x.secrets.Head(reply, false, detailBytes), x.spec.MaxBytes)
	}
	reply = x.secrets.RedactAnswer(reply, executor.FormatJSON)
	return executor.Output(reply, executor.FormatJSON, max(limit, len(reply)))
}

// message fills in the templates and adds the headers that no rung may change.
func (x *rung) message(ctx context.Context, req executor.Request) (*nats.Msg, error) {
	params, err := executor.Decode(req.Params)
	if err != nil {
		return nil, err
	}
	subject, err := x.spec.Subject(params)
	if err != nil {
		return nil, executor.BadTemplate("subject", err)
	}
	if !literal(subject) {
		return nil, neverSent(fmt.Sprintf("%.100q is not a subject to ask: it must not have blanks, empty parts or wildcards", subject))
	}
	if strings.HasPrefix(subject, "$") || strings.HasPrefix(subject, x.names.Prefix+".") {
		return nil, neverSent(fmt.Sprintf("subject %.100q is NATS's or Belay's own: a tool asks services", subject))
	}
	msg := nats.NewMsg(subject)
	msg.Data = req.Params
	for name, fill := range x.spec.Headers {
		value, err := fill(params)
		if err != nil {
			return nil, executor.BadTemplate("header "+name, err)
		}
		if strings.ContainsAny(value, "\r\n") {
			return nil, neverSent("header " + name + ": the value contains a line break")
		}
		msg.Header.Set(name, value)
	}
	msg.Header.Del(executor.Grant)
	identify(ctx, msg.Header, req)
	return msg, nil
}

func identify(ctx context.Context, h nats.Header, req executor.Request) {
	h.Set(keyHeader, req.Key)
	h.Set(wire.HeaderRun, req.Run)
	h.Set(wire.HeaderStep, req.Step)
	h.Set(wire.HeaderAttempt, req.Attempt)
	for name, value := range req.Granted(true) {
		h.Set(name, value)
	}
	trace := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, trace)
	for name, value := range trace {
		h.Set(name, value) // lower-case, and NATS headers keep their case
	}
}

// literal reports whether subject is exactly one subject: a parameter must not turn it into many.
func literal(subject string) bool {
	if strings.ContainsFunc(subject, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return false
	}
	for part := range strings.SplitSeq(subject, ".") {
		if part == "" || part == "*" || part == ">" {
			return false
		}
	}
	return true
}

// failure is the fault of a request without a reply.
func failure(ctx context.Context, err error) steps.Fault {
	f := steps.Fault{Class: steps.Connection, Acted: steps.ActedMaybe, Message: err.Error()}
	switch {
	case errors.Is(err, nats.ErrNoResponders):
		f.Acted, f.Message = steps.ActedNo, "no service listens on this subject: start one, or check the subject"
	case errors.Is(err, nats.ErrMaxPayload), errors.Is(err, nats.ErrBadSubject), errors.Is(err, nats.ErrHeadersNotSupported):
		f.Class, f.Acted = steps.InvalidInput, steps.ActedNo
	case errors.Is(err, nats.ErrReconnectBufExceeded):
		f.Acted, f.Message = steps.ActedNo, "not sent, because the connection to NATS is down"
	case errors.Is(err, nats.ErrConnectionDraining):
		f.Acted = steps.ActedNo
	case ctx.Err() != nil:
		return executor.Stopped(ctx, steps.ActedMaybe)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, nats.ErrTimeout):
		f.Class = steps.Timeout
	}
	return f
}

// refusal is the fault of a reply with an error.
func (x *rung) refusal(reply *nats.Msg) (steps.Fault, bool) {
	text, code := reply.Header.Get(micro.ErrorHeader), reply.Header.Get(micro.ErrorCodeHeader)
	if text == "" && code == "" {
		return steps.Fault{}, false
	}
	status, err := strconv.Atoi(code)
	if err != nil {
		status = 0
	}
	class, acted := executor.OfStatus(status)
	f := steps.Fault{Class: class, Acted: acted, Status: status, Detail: x.secrets.Head(reply.Data, false, detailBytes)}
	f.Message = x.secrets.Head([]byte(strings.TrimSpace(code+" "+text)), false, messageBytes)
	if class.Reaction() == steps.Retry {
		f.RetryAfter = steps.Duration(executor.NamedWait(func(name string) string { return anyCase(reply.Header, name) }))
	}
	return f, true
}

// anyCase finds a header in any spelling; in NATS each spelling is a different header.
func anyCase(h nats.Header, name string) string {
	for have, values := range h {
		if strings.EqualFold(have, name) && len(values) > 0 {
			return values[0]
		}
	}
	return ""
}

const (
	detailBytes  = 2 << 10
	messageBytes = 512
)

func neverSent(message string) steps.Fault {
	return steps.Fault{Class: steps.InvalidInput, Acted: steps.ActedNo, Message: message}
}

// at puts the subject before a fault's message.
func at(subject string, err error) error {
	f, ok := errors.AsType[steps.Fault](err)
	if !ok {
		return err
	}
	f.Message = subject + ": " + f.Message
	return f
}
