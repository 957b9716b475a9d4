// Package static executes rungs that always return the same value: the last rung of a ladder that must not end at a
// person, or a stand-in for a tool that does not exist yet.
package static

import (
	"context"
	"encoding/json"

	"belay/internal/executor"
	"belay/internal/steps"
)

// New makes the executor of one rung.
func New(spec executor.Static) executor.Executor { return value(spec.Output) }

type value json.RawMessage

// Execute returns the value.
func (v value) Execute(ctx context.Context, _ executor.Request) (executor.Result, error) {
	if ctx.Err() != nil {
		return executor.Result{}, executor.Stopped(ctx, steps.ActedNo)
	}
	return executor.Result{Output: json.RawMessage(v)}, nil
}
