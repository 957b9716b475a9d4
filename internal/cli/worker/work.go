package worker

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"os"

	"belay/internal/bus"
	"belay/internal/cli"
	"belay/internal/injection"
	"belay/internal/ladder"
	"belay/internal/manual"
	"belay/internal/observe"
	"belay/internal/plan"
	"belay/internal/worker"
)

// work serves the tools file until ctx ends or the worker fails.
func (a *app) work(ctx context.Context) error {
	file, err := a.tools()
	if err != nil {
		return err
	}
	conn := a.Connection("worker")
	trusted, err := a.trust(conn, file)
	if err != nil {
		return err
	}
	if conn.Server == "" && conn.Context == "" {
		if conn.Server, err = a.noted(); err != nil {
			return err
		}
	}
	logger, registry, s, page := a.Logger(slog.LevelInfo), observe.NewRegistry(cli.Version), newStation(), ""
	a.WarnProxy(logger)
	if a.flags.Listen != "" { // first, so that a port in use is reported before anything else starts
		var unserve func()
		if page, unserve, err = observe.Serve(ctx, a.flags.Listen, manual.Handler("", observe.Pages(registry, s.ready)), logger); err != nil {
			return err
		}
		defer unserve()
	}
	work, err := a.OpenWork(ctx, a.flags.Work, logger)
	if err != nil {
		return err
	}
	defer work.Close() // after the worker: programs still say how it ended
	defer s.close()
	observe.RegisterKeys(registry, s.keys)
	observe.RegisterCheckpoints(registry, s.keptCheckpoints)
	observe.RegisterClock(registry, func() observe.Clock { return cli.ClockOf(s.reached.Load()) })
	metrics := observe.NewAttemptMetrics(registry)
	o := a.options(logger, metrics)
	if o.Injector, err = a.injector(&conn, logger); err != nil {
		return err
	}
	box := ladder.Options{Only: a.flags.Only, Version: cli.Version, Outbound: a.Outbound(), Handlers: a.handlers, Remote: work.Hub, Asked: metrics.Asked}
	if err := s.open(ctx, conn, a.flags.Wait, trusted, o, file, box); err != nil {
		return a.Unreachable(err)
	}
	if err := s.run(ctx); err != nil {
		return a.Unreachable(err)
	}
	facts := append(cli.Reached(s.bus.URL(), page), cli.Fact{Name: "Worker", Text: o.Name}, cli.Fact{Name: "Tools", Text: file.File})
	a.Ready("worker", append(facts, work.Facts...))
	err = s.wait(ctx)
	if err == nil {
		s.state.Store(&errDraining)
		a.Draining()
	}
	return err
}

func (a *app) options(logger *slog.Logger, metrics *observe.AttemptMetrics) worker.Options {
	name := cli.WorkerName()
	return worker.Options{
		Name: name, Version: cli.Version, Concurrency: a.flags.Concurrency, ToolConcurrency: a.flags.ToolConcurrency,
		AckWait: a.flags.AckWait, DrainTimeout: a.flags.DrainTimeout, Logger: logger,
		Observer: &observe.Attempts{Metrics: metrics, Traces: a.Traces, Worker: name, Logger: logger},
	}
}

// injector is what the worker injects faults on purpose with; nil where it is not allowed to. This process is the worker's
// own, so it may die and lose its connection for it.
func (a *app) injector(conn *bus.Options, logger *slog.Logger) (*injection.Injector, error) {
	in, err := a.flags.Faults.Injector(logger)
	if in == nil || err != nil {
		return nil, err
	}
	conn.Line = &bus.Line{}
	in.Cut, in.Kill = conn.Line.Cut, killed
	return in, nil
}

// killed ends this process as SIGKILL from outside does: nothing is finished, reported or closed.
func killed() {
	self, err := os.FindProcess(os.Getpid())
	if err == nil {
		err = self.Kill()
	}
	if err != nil {
		panic("cannot end this process: " + err.Error())
	}
}

// tools reads the tools file, and checks that it has the tools in --only.
func (a *app) tools() (*plan.Tools, error) {
	file, err := plan.LoadTools(cmp.Or(a.flags.Tools, "tools.yaml"))
	if err != nil {
		return nil, err
	}
	for _, name := range a.flags.Only {
		if file.Tools[name] == nil {
			return nil, cli.Usage("--only %s: %s has no such tool (dispatcher tools ls lists them)", name, file.File)
		}
	}
	return file, nil
}

// noted is the URL of the server of a `dev` or `serve` that runs on this machine.
func (a *app) noted() (string, error) {
	dir, err := a.StateDir()
	if err != nil {
		return "", err
	}
	url, err := cli.FindServer(dir)
	if errors.Is(err, cli.ErrNoServer) {
		return "", cli.Usage("no NATS server is named or running here; give --server, --context or NATS_URL, or start `dispatcher dev`")
	}
	return url, err
}
