// Package embedded is Belay in one process and one folder: a NATS server, a dispatcher and a worker, and a client of
// them. It is for programs that want durable runs without running anything beside themselves.
package embedded

import (
	"context"
	"fmt"
	"log/slog"

	"belay"
	"belay/internal/gohandler"
	"belay/internal/inprocess"
	"belay/internal/plan"
)

// Options say what runs beside the client.
type Options struct {
	Tools    *belay.Tools    // that the worker serves; nil = no worker
	Handlers []belay.Handler // of tools whose rungs say `go: {}`
	// Interval syncs the store to disk every second instead of before each acknowledgement: faster, but a power cut may
	// lose the last second.
	Interval bool
	Logger   *slog.Logger // default: nothing is logged
}

// Open starts everything in a folder and returns a client. It makes the folder if need be; only one process at a time can
// open it. What is acknowledged is on disk, and open runs go on when the folder is opened again. The client's Close lets
// the worker finish what it is executing, and stops everything.
func Open(ctx context.Context, dir string, o Options) (*belay.Client, error) {
	in := inprocess.Options{Handlers: gohandler.ByKey(o.Handlers), Interval: o.Interval, Logger: o.Logger}
	if o.Tools != nil {
		var err error
		if in.Tools, err = plan.ParseTools(o.Tools.File(), o.Tools.Text()); err != nil {
			return nil, fmt.Errorf("belay: %w", err)
		}
	}
	return inprocess.Open(ctx, dir, in)
}
