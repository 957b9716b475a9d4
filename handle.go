package belay

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"belay/internal/steps"
)

// Handler is a tool written in Go. [Handle] makes one; a worker (packages belay/worker and belay/embedded) executes it.
type Handler struct {
	tool, rung string
	call       func(ctx context.Context, c Call) (json.RawMessage, error)
}

// Handle makes f the handler of a tool, for each of its rungs that says `go: {}`. The step's parameters are decoded from
// JSON into In, and what f returns is encoded as JSON; with In = any, numbers are json.Number. Parameters that do not fit
// In fail as invalid_input without a call of f.
//
// The error of f decides what happens next. A plain error is not retried, and the tool counts as having acted.
// [Permanent], [TryAgain], [RetryAfter] and [NeedHuman] say more; [NothingHappened] says that repeating is safe. A panic
// counts as a plain error. The context ends at the attempt's deadline and when the run is cancelled: return soon after.
func Handle[In, Out any](tool string, f func(ctx context.Context, in In) (Out, error)) Handler {
	return Handler{tool: tool, call: func(ctx context.Context, c Call) (json.RawMessage, error) {
		var in In
		if err := decode(c.Params, &in); err != nil {
			return nil, steps.Fault{Class: steps.InvalidInput, Acted: steps.ActedNo, Message: fmt.Sprintf("the parameters do not fit %T: %v", in, err)}
		}
		out, err := f(context.WithValue(ctx, callKey{}, &c), in)
		if err != nil {
			return nil, named(err)
		}
		return encode(out)
	}}
}

// OnRung limits the handler to one rung of its tool.
func (h Handler) OnRung(rung string) Handler {
	h.rung = rung
	return h
}

// Tool is the tool that the handler is for.
func (h Handler) Tool() string { return h.tool }

// Rung is the only rung that the handler is for; empty = all of its tool.
func (h Handler) Rung() string { return h.rung }

// Call is one execution of a [Handler].
type Call struct {
	Attempt
	Params   json.RawMessage      // the step's parameters, an object
	Grant    map[string]string    // see [Grant]; nil = nobody was asked
	Progress func(message string) // receives the messages of [Progress]; nil = nothing does
}

// Call executes the handler, as a worker does.
func (h Handler) Call(ctx context.Context, c Call) (json.RawMessage, error) { return h.call(ctx, c) }

func decode(params json.RawMessage, into any) error {
	d := json.NewDecoder(bytes.NewReader(params))
	d.UseNumber()
	return d.Decode(into)
}

func encode(out any) (json.RawMessage, error) {
	b, err := json.Marshal(out)
	if err != nil {
		return nil, steps.Fault{Class: steps.InvalidOutput, Acted: steps.ActedMaybe, Message: fmt.Sprintf("the result cannot be written as JSON: %v", err)}
	}
	return b, nil
}

// Attempt identifies what a handler is executed for.
type Attempt struct {
	Run, Step, Tool, Rung string // the run's id, the step's id, the tool and the rung by name
	// Key is the idempotency key: the same for every attempt of this step, on every rung. Pass it on to the service that acts.
	Key string
	Try int // from 1 on this rung
}

type callKey struct{}

// Info returns the attempt that ctx belongs to. It is empty outside a handler.
func Info(ctx context.Context) Attempt {
	c, ok := ctx.Value(callKey{}).(*Call)
	if !ok {
		return Attempt{}
	}
	return c.Attempt
}

// Grant returns the headers that show a service that people have approved exactly the call that ctx belongs to: send them to the
// one that acts, and it can refuse whatever nobody has approved (docs/grants.md). Nil where nobody was asked.
func Grant(ctx context.Context) map[string]string {
	c, ok := ctx.Value(callKey{}).(*Call)
	if !ok {
		return nil
	}
	return c.Grant
}

// Progress shows people how the attempt is going. At most one message a second is reported, the others are dropped. It
// never blocks, and does nothing outside a handler.
func Progress(ctx context.Context, format string, args ...any) {
	if c, ok := ctx.Value(callKey{}).(*Call); ok && c.Progress != nil {
		c.Progress(fmt.Sprintf(format, args...))
	}
}
