// Package worker makes workers for tools that are written in Go:
//
//	func main() {
//		worker.Main(belay.Handle("orders.lookup", func(ctx context.Context, in Order) (Found, error) {
//			return find(ctx, in.ID)
//		}))
//	}
//
// [Main] is the worker program with these handlers built in, with all its flags, settings and metrics. [Run] is the same
// as a function, for a program that does other things too.
package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"belay"
	"belay/internal/bus"
	"belay/internal/cli"
	cliworker "belay/internal/cli/worker"
	"belay/internal/engine"
	"belay/internal/gohandler"
	"belay/internal/ladder"
	"belay/internal/observe"
	"belay/internal/outbound"
	"belay/internal/plan"
	"belay/internal/worker"
)

// Main is the whole program: it reads flags and settings, serves until SIGTERM or SIGINT, and exits.
func Main(handlers ...belay.Handler) {
	os.Exit(cliworker.Run(context.Background(), os.Args[1:], cli.System(), gohandler.ByKey(handlers)))
}

// Options say what a worker serves, and how much of it at once.
type Options struct {
	belay.NATS
	Tools            *belay.Tools   // required
	Name             string         // in the logs of runs, unique among workers; default host name and process
	Concurrency      int            // attempts executed at once; default 16 per core
	ToolConcurrency  map[string]int // the same for single tools
	PrivateAddresses string         // which hosts of tools may be at private addresses: written (default), never, always; see docs/security.md
	Proxy            string         // environment: through the proxy of HTTP_PROXY, HTTPS_PROXY and NO_PROXY; default: through none
	DrainTimeout     time.Duration  // how long a stop waits for executing attempts; default 30 s
	Trust            string         // the public keys that approvals are checked with, or a file of them, as `dispatcher keys export` writes them; default those that it pins
	Passkeys         string         // file of the passkeys of approvers, as `dispatcher passkeys export` writes it; default none, and what asks for a passkey is refused
	DataDir          string         // directory that lasts, for the keys that it pins: the first that dispatchers publish; default $XDG_STATE_HOME/belay
	Logger           *slog.Logger   // default: nothing is logged
}

// Run executes steps until ctx ends. Then it accepts no more, gives those that it is executing the drain timeout to
// finish, and returns nil. Any number of workers may serve the same tools.
func Run(ctx context.Context, o Options, handlers ...belay.Handler) error {
	if o.Tools == nil {
		return errors.New("belay: worker.Options.Tools is missing: belay.LoadTools reads a tools file")
	}
	tools, err := plan.ParseTools(o.Tools.File(), o.Tools.Text())
	if err != nil {
		return fmt.Errorf("belay: %w", err)
	}
	policy, err := outbound.Parse(o.PrivateAddresses, o.Proxy)
	if err != nil {
		return fmt.Errorf("belay: worker.Options: %w", err)
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Name == "" {
		o.Name = cli.WorkerName()
	}
	pins, err := o.pins(tools)
	if err != nil {
		return fmt.Errorf("belay: start worker: %w", err)
	}
	e, err := engine.Start(ctx, engine.Options{Connect: o.bus(), Logger: o.Logger, Worker: &engine.WorkerOptions{
		Options: worker.Options{
			Name: o.Name, Version: cli.Version, Concurrency: o.Concurrency, ToolConcurrency: o.ToolConcurrency, DrainTimeout: o.DrainTimeout,
			Logger: o.Logger, Observer: &observe.Attempts{Logger: o.Logger, Worker: o.Name},
		},
		Trust: o.Trust, Pins: pins, Passkeys: o.Passkeys,
		Tools: tools, Box: ladder.Options{Handlers: gohandler.ByKey(handlers), Version: cli.Version, Outbound: policy},
	}})
	switch {
	case err != nil && ctx.Err() != nil:
		return nil // it was stopped while it started
	case err != nil:
		return fmt.Errorf("belay: start worker: %w", err)
	}
	defer e.Stop()
	return e.Wait(ctx)
}

// pins is the file of the keys that it pins; empty where none is needed.
func (o Options) pins(tools *plan.Tools) (string, error) {
	if o.Trust != "" {
		return "", nil
	}
	a := cli.App{IO: cli.IO{Getenv: os.Getenv}, DataDir: o.DataDir}
	dir, err := a.StateDir()
	switch {
	case err == nil:
		return cli.PinFile(dir, o.NATS.Server, o.NATS.Context, o.NATS.Prefix), nil
	case !tools.AskApproval():
		return "", nil
	}
	return "", errors.New("there is no place for the keys that sign approvals: set Options.DataDir or Options.Trust")
}

func (o Options) bus() bus.Options {
	n := o.NATS
	return bus.Options{
		Server: n.Server, Context: n.Context, Creds: n.Creds, NKey: n.NKey, User: n.User, Password: n.Password, Token: n.Token,
		TLSCert: n.TLSCert, TLSKey: n.TLSKey, TLSCA: n.TLSCA, Prefix: n.Prefix, Timeout: n.Timeout, Name: "belay-worker", Logger: o.Logger,
	}
}
