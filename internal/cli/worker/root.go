package worker

import (
	"context"

	"github.com/spf13/cobra"

	"belay/internal/cli"
	"belay/internal/executor/gofunc"
	"belay/internal/ladder"
)

// app is the worker, started once with some arguments.
type app struct {
	*cli.App
	flags    cli.WorkerFlags
	handlers map[ladder.Key]gofunc.Handler // of the tools that are Go code; nil in the stock worker
}

// Run runs the worker's command line and returns its exit code. Handlers are those of tools that are Go code; the stock
// worker has none.
func Run(ctx context.Context, args []string, sys cli.IO, handlers map[ladder.Key]gofunc.Handler) int {
	a := &app{App: &cli.App{IO: sys}, handlers: handlers}
	return a.Execute(ctx, a.root(), args)
}

// Root is the worker with all its commands, for documentation and tests.
func Root(sys cli.IO) *cobra.Command {
	a := &app{App: &cli.App{IO: sys}}
	return a.Prepare(a.root())
}

func (a *app) root() *cobra.Command {
	c := &cobra.Command{
		Use: "worker --tools FILE", Short: "Execute the steps of the tools in a tools file",
		Long: "Pulls step messages from NATS, executes them and reports what happened. Any number of workers may run; they may come,\n" +
			"go and be killed at any time. On the first SIGTERM the worker finishes what it executes, on the second it exits at once.\n\n" +
			"Flags can also be set as BELAY_<FLAG> in the environment, and in a settings file: see `worker config view --help`.\n" +
			"The manual is in `dispatcher docs`, and at /docs of every program that has --listen; the exit codes are in `worker help exit-codes`.",
		Example: "  worker --tools tools.yaml --server nats://nats.internal:4222\n" +
			"  worker --tools tools.yaml --only payments.refund --concurrency 4",
		Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error { return cli.UnlessStopped(c.Context(), a.work(c.Context())) },
	}
	a.flags.Add(c.Flags())
	return c
}
