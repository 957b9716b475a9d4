// Package inprocess starts a NATS server, a dispatcher and a worker in this process, and gives a public client of them.
// The packages embedded and belaytest stand on it.
package inprocess

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"reflect"
	"runtime/debug"
	"strings"

	"belay"
	"belay/internal/borrow"
	"belay/internal/bus"
	"belay/internal/bus/embedded"
	"belay/internal/dispatch"
	"belay/internal/engine"
	"belay/internal/executor/gofunc"
	"belay/internal/ladder"
	"belay/internal/observe"
	"belay/internal/people"
	"belay/internal/plan"
	"belay/internal/wire"
	"belay/internal/worker"
)

// Options say what runs beside the client.
type Options struct {
	Tools    *plan.Tools                   // that the worker serves; nil = there is no worker
	Handlers map[ladder.Key]gofunc.Handler // of rungs that say `go: {}`
	Interval bool                          // sync to disk every so often instead of before anything counts
	Logger   *slog.Logger                  // default: nothing is logged
}

// Open starts everything in a folder, which it makes. The client's Close stops it.
func Open(ctx context.Context, dir string, o Options) (*belay.Client, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	e, err := engine.Start(ctx, o.engine(dir))
	if err != nil {
		return nil, fmt.Errorf("belay: %w", err)
	}
	return borrow.Client(e.Bus, func() { e.Stop() }).(*belay.Client), nil
}

func (o Options) engine(dir string) engine.Options {
	durability := embedded.Fsync
	if o.Interval {
		durability = embedded.Interval
	}
	eo := engine.Options{
		Connect:  bus.Options{Name: "belay-embedded"},
		Embedded: &embedded.Options{StoreDir: filepath.Join(dir, "jetstream"), Durability: durability, Logger: o.Logger},
		People: &engine.PeopleOptions{
			Keys: filepath.Join(dir, "keys"), Index: filepath.Join(dir, "index"), Tally: filepath.Join(dir, "tally"), Checkpoints: filepath.Join(dir, "audit.checkpoints"), LetIn: whoever,
		},
		Dispatch: &dispatch.Options{Name: "embedded", Observer: &observe.Runs{Logger: o.Logger}},
		Logger:   o.Logger,
	}
	if o.Tools == nil {
		return eo
	}
	quiet := slog.New(slog.DiscardHandler) // the dispatcher's lines say it all
	eo.Worker = &engine.WorkerOptions{
		Options: worker.Options{Name: "embedded", Version: version(), Logger: quiet, Observer: &observe.Attempts{Logger: quiet, Worker: "embedded"}},
		Tools:   o.Tools, Box: ladder.Options{Handlers: o.Handlers, Version: version()},
	}
	return eo
}

// whoever is in this process may do everything: nobody else can reach the server.
func whoever(_ context.Context, _ wire.Shown, name string) (people.Actor, error) {
	return people.Trusted(name, ""), nil
}

// module is this module's path, whoever has given it another one.
var module = strings.TrimSuffix(reflect.TypeFor[Options]().PkgPath(), "/internal/inprocess")

// version is that of the module, as HTTP services are told.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, m := range info.Deps {
		if m.Path == module {
			return m.Version
		}
	}
	return info.Main.Version
}
