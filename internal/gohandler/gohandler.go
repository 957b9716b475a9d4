// Package gohandler gives the handlers of the public package to a worker.
package gohandler

import (
	"context"
	"encoding/json"

	"belay"
	"belay/internal/executor"
	"belay/internal/executor/gofunc"
	"belay/internal/ladder"
)

// ByKey are the handlers as a ladder finds them. Of two for the same tool and rung the last one counts.
func ByKey(all []belay.Handler) map[ladder.Key]gofunc.Handler {
	m := make(map[ladder.Key]gofunc.Handler, len(all))
	for _, h := range all {
		m[ladder.Key{Tool: h.Tool(), Rung: h.Rung()}] = func(ctx context.Context, r executor.Request) (json.RawMessage, error) {
			return h.Call(ctx, belay.Call{
				Attempt: belay.Attempt{Run: r.Run, Step: r.Step, Tool: r.Tool, Rung: r.Rung, Key: r.Key, Try: r.Try}, Params: r.Params, Grant: r.Granted(false), Progress: r.Progress,
			})
		}
	}
	return m
}
