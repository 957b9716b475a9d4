// Package executor is the seam between a worker and the things that do the work: HTTP services, commands, NATS
// services, Go functions, caches. A plug-in knows nothing of queues, retries or runs; it executes one request and
// says how that went. The plug-ins are in the folders below, one each, and never import one another; executortest
// holds the conformance suite that every one of them passes.
package executor

import (
	"context"
	"encoding/json"
	"time"
)

// Request is one attempt, as a plug-in sees it.
type Request struct {
	Run, Step, Attempt string // Attempt is `<round>-<rung index>-<try>`
	Tool, Rung         string
	Params             json.RawMessage // the step's parameters, an object
	Key                string          // idempotency key, stable over attempts and rungs
	Try                int             // from 1 on this rung
	Progress           func(string)    // tells people what is going on; may be nil; never blocks
}

// Result is what a plug-in gives back when all went well.
type Result struct {
	Output json.RawMessage // valid JSON
	Age    time.Duration   // of a cached result, else 0
}

// Executor executes one rung. The context carries the attempt's deadline and its cancel: when it ends, Execute must
// stop what it started and return soon. The error is a steps.Fault (by value, perhaps wrapped); any other error is
// taken as tool_error that may have acted. A panic is the caller's to catch.
type Executor interface {
	Execute(ctx context.Context, req Request) (Result, error)
}

// Prompt is an [Executor] that itself sees to it that Execute returns when its context ends, whatever the tool does. The
// worker need not watch over it from a goroutine of its own.
type Prompt interface {
	Executor
	Prompt()
}

// Graceful is an [Executor] that ends what it started in two steps: it is told to end, and what is left of it after the
// grace is killed. Execute returns no sooner than that.
type Graceful interface {
	Executor
	Grace() time.Duration
}

// GraceOf is how long x may take to end what it started, beside the time that returning takes anyway.
func GraceOf(x Executor) time.Duration {
	if g, is := x.(Graceful); is {
		return g.Grace()
	}
	return 0
}

// Func makes a function an [Executor].
type Func func(ctx context.Context, req Request) (Result, error)

// Execute calls f.
func (f Func) Execute(ctx context.Context, req Request) (Result, error) { return f(ctx, req) }
