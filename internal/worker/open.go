package worker

import (
	"context"

	"belay/internal/ladder"
	"belay/internal/plan"
)

// Open makes a worker that serves a tools file, with the options o, except for Tools, and the executors that box specifies.
// Missing lists the rungs that [ladder.Build] cannot make; they are not served. Nothing runs before [Worker.Run].
func Open(ctx context.Context, o Options, file *plan.Tools, box ladder.Options) (w *Worker, missing []ladder.Key, err error) {
	w = New(o)
	box.Bus, box.Logger = w.Bus, w.Logger
	if w.Tools, missing, err = ladder.Build(ctx, file, box); err != nil {
		return nil, nil, err
	}
	for _, k := range missing {
		w.Logger.Info("this worker does not serve a rung: "+ladder.Lacks(file, k), "tool", k.Tool, "rung", k.Rung)
	}
	return w, missing, nil
}
