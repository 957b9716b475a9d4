package executor

import (
	"context"
	"encoding/json"
	"time"

	"belay/internal/steps"
)

// Request is one attempt, as a plug-in sees it.
type Request struct {
	Run, Step, Attempt string          // Attempt is `<round>-<rung index>-<try>`
	Tool, Rung         string          // as the tools file names them
	Params             json.RawMessage // the step's parameters, an object
	Key                string          // idempotency key, stable over attempts and rungs
	Try                int             // from 1 on this rung
	Grant              string          // shows that people have approved exactly this call, see [Request.Granted]; empty: nobody was asked
	Progress           func(string)    // reports progress to people; may be nil; never blocks

	// Continues is what it goes on with, in place of beginning the call; nil for most.
	Continues *steps.Continuation
	// Keep stores with what another attempt goes on if this one is lost, and returns once that is on the run's log. It must do
	// nothing anew. May be nil: then nobody goes on.
	Keep func(ctx context.Context, r steps.Resume) error
}

// Result is what a plug-in returns when the attempt succeeded.
type Result struct {
	Output json.RawMessage // valid JSON
	Age    time.Duration   // how old a cached result is; 0 = it is new
	Usage  *steps.Usage    // of a model; also beside an error, where it has answered nevertheless
}

// Unfinished is the error of an attempt that says how another one goes on.
type Unfinished struct {
	steps.Fault
	Resume   *steps.Resume   // with what the next attempt goes on; nil: with nothing more than is on the log
	Question *steps.Question // with Resume: what a person is asked first
	Spent    bool            // what is on the log is of no use any more: the next attempt begins anew
}

// Unwrap is the fault.
func (u Unfinished) Unwrap() error { return u.Fault }

// Executor executes one rung. It is called from many goroutines at once. The context carries the attempt's deadline and
// cancellation: when it ends, Execute must stop what it started and return soon. The error is a [steps.Fault], by value
// and perhaps wrapped; any other error counts as tool_error that may have acted. The caller recovers panics.
type Executor interface {
	Execute(ctx context.Context, req Request) (Result, error)
}

// Prompt is an [Executor] whose Execute always returns soon after its context ends, whatever the tool does. The worker
// then saves the goroutine with which it watches other executors.
type Prompt interface {
	Executor
	Prompt()
}

// Continuing is an [Executor] that goes on with what an attempt of its rung has left. Others would begin the call anew, and are not
// asked to.
type Continuing interface {
	Executor
	Continues()
}

// Graceful is an [Executor] that stops what it started in two steps: it asks it to end, and kills what is left after
// the grace. Execute does not return before that.
type Graceful interface {
	Executor
	Grace() time.Duration
}

// GraceOf is how long x may take to stop what it started, in addition to the time for returning; 0 unless it is
// [Graceful].
func GraceOf(x Executor) time.Duration {
	if g, is := x.(Graceful); is {
		return g.Grace()
	}
	return 0
}

// Closer is an [Executor] that keeps something running between its calls, for example a program or a session. Close ends
// it, and returns when it has ended; calls after that fail. It may be called more than once.
type Closer interface {
	Executor
	Close()
}

// Func makes a function an [Executor].
type Func func(ctx context.Context, req Request) (Result, error)

// Execute calls f.
func (f Func) Execute(ctx context.Context, req Request) (Result, error) { return f(ctx, req) }
