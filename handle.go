package belay

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"belay/internal/executor"
	"belay/internal/executor/gofunc"
	"belay/internal/steps"
	"belay/internal/toolbox"
)

// Handler is a tool written in Go. [Handle] makes one.
type Handler struct {
	key  toolbox.Key
	call gofunc.Handler
}

// Handle makes f the handler of a tool: of every rung of it that says `go: {}`. The step's parameters are decoded into In
// as JSON, what f returns is encoded; use any for documents without a type, whose numbers are json.Number. Parameters
// that do not fit are an invalid_input, and f is not called.
func Handle[In, Out any](tool string, f func(ctx context.Context, in In) (Out, error)) Handler {
	return Handler{toolbox.Key{Tool: tool}, func(ctx context.Context, req executor.Request) (json.RawMessage, error) {
		var in In
		if err := decode(req.Params, &in); err != nil {
			return nil, steps.Fault{Class: steps.InvalidInput, Acted: steps.ActedNo, Message: fmt.Sprintf("the parameters do not fit %T: %v", in, err)}
		}
		out, err := f(context.WithValue(ctx, attemptKey{}, &req), in)
		if err != nil {
			return nil, err
		}
		return encode(out)
	}}
}

// OnRung gives the handler to one rung of its tool only.
func (h Handler) OnRung(rung string) Handler {
	h.key.Rung = rung
	return h
}

func decode(params json.RawMessage, into any) error {
	d := json.NewDecoder(bytes.NewReader(params))
	d.UseNumber()
	return d.Decode(into)
}

func encode(out any) (json.RawMessage, error) {
	b, err := json.Marshal(out)
	if err != nil {
		return nil, steps.Fault{Class: steps.InvalidOutput, Acted: steps.ActedMaybe, Message: fmt.Sprintf("the result is no JSON: %v", err)}
	}
	return b, nil
}

// Attempt is what a handler is executed for.
type Attempt struct {
	Run, Step, Tool, Rung string
	// Key is the idempotency key: the same for every attempt of this step, on every rung. Hand it to whatever acts.
	Key string
	Try int // from 1 on this rung
}

type attemptKey struct{}

// Info is the attempt that ctx belongs to. It is empty outside a handler.
func Info(ctx context.Context) Attempt {
	req, ok := ctx.Value(attemptKey{}).(*executor.Request)
	if !ok {
		return Attempt{}
	}
	return Attempt{Run: req.Run, Step: req.Step, Tool: req.Tool, Rung: req.Rung, Key: req.Key, Try: req.Try}
}

// Progress tells people how the attempt goes, at most once a second; more is left out. It never blocks, and does nothing
// outside a handler.
func Progress(ctx context.Context, format string, args ...any) {
	if req, ok := ctx.Value(attemptKey{}).(*executor.Request); ok && req.Progress != nil {
		req.Progress(fmt.Sprintf(format, args...))
	}
}

func handlersByKey(all []Handler) map[toolbox.Key]gofunc.Handler {
	m := make(map[toolbox.Key]gofunc.Handler, len(all))
	for _, h := range all {
		m[h.key] = h.call
	}
	return m
}
