package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"belay/internal/access"
	"belay/internal/approval"
	"belay/internal/bus"
	"belay/internal/console"
	"belay/internal/dispatch"
	"belay/internal/engine"
	"belay/internal/handoff"
	"belay/internal/plan"
	"belay/internal/toolbox"
	"belay/internal/web"
	"belay/internal/worker"
)

// dispatchFlags are what operators may set on a dispatcher.
type dispatchFlags struct {
	partitions int
	retention  time.Duration
	notify     string
}

func (f *dispatchFlags) add(c *cobra.Command) {
	c.Flags().IntVar(&f.partitions, "partitions", 0, "of the log; fixed when the streams are made (default 4, fewer on an embedded server with few cores)")
	c.Flags().DurationVar(&f.retention, "retention", 30*24*time.Hour, "how long ended runs are kept")
	c.Flags().StringVar(&f.notify, "notify", "", "notify file: whom to tell that something waits for people, and how; empty = nobody")
}

func (f dispatchFlags) options() *dispatch.Options {
	return &dispatch.Options{Name: "dispatcher-" + WorkerName(), Retention: f.retention}
}

type devFlags struct {
	dispatchFlags
	tools, listen, natsListen, durability string
	noWorker                              bool
}

func (a *app) devCommand() *cobra.Command {
	var f devFlags
	c := &cobra.Command{
		Use: "dev", Short: "Everything in one process: embedded NATS, dispatcher, worker, console; loopback only", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return a.dev(c.Context(), f) },
	}
	f.add(c)
	fl := c.Flags()
	fl.StringVar(&f.tools, "tools", "", "tools file of the worker (default tools.yaml, if there is one)")
	fl.StringVar(&f.natsListen, "nats-listen", "127.0.0.1:4222", "address of the embedded NATS server")
	fl.StringVar(&f.listen, "listen", "127.0.0.1:8222", "address of the console, the API, metrics and health; empty = none")
	fl.Var(oneOf(&f.durability, bus.DurabilityFsync, bus.DurabilityFsync, bus.DurabilityInterval), "durability", "on disk before it counts, or within a second")
	fl.BoolVar(&f.noWorker, "no-worker", false, "start no worker")
	return c
}

func (a *app) dev(ctx context.Context, f devFlags) error {
	for _, addr := range []string{f.listen, f.natsListen} {
		if err := loopback(addr); err != nil {
			return err
		}
	}
	tools, err := a.devTools(&f)
	if err != nil {
		return err
	}
	dir, err := a.stateDir()
	if err != nil {
		return err
	}
	o := a.embeddedOptions(dir, carry{dispatch: true, tools: tools})
	o.Log = a.logger(slog.LevelInfo)
	o.Embedded.Listen, o.Embedded.Durability, o.Embedded.Log = f.natsListen, f.durability, a.logger(slog.LevelWarn)
	o.Dispatch, o.Partitions = f.options(), f.partitions
	o.People.LetIn = trusting
	if o.People.Notify, err = a.notifySetup(f.notify); err != nil {
		return err
	}
	if tools != nil {
		services, err := a.startServices(ctx, tools)
		if err != nil {
			return err
		}
		defer services.stop()
	}
	e, err := a.startWatched(ctx, o, f.listen)
	if err != nil {
		return err
	}
	defer e.Stop()
	remove, err := engine.Leave(dir, e.Server.URL())
	if err != nil {
		return err
	}
	defer remove()
	if e.url != "" {
		pages, stop := context.WithCancel(ctx)
		defer stop()
		e.open(web.New(pages, web.Options{
			Bus: e.Bus, Runs: e.Runs, Desk: e.Desk, Batches: e.Batches, Gate: &web.Local{Name: me(), Port: portOf(e.url)},
			Environment: console.Environment{Name: "dev"}, Log: o.Log,
		}))
	}
	a.ready("dev", a.devFacts(e, f, dir, tools))
	return a.untilStopped(ctx, e)
}

func portOf(url string) string { return url[strings.LastIndexByte(url, ':')+1:] }

// loopback refuses addresses that others could reach: dev asks nobody who they are.
func loopback(addr string) error {
	if addr == "" || strings.HasPrefix(addr, "127.") || strings.HasPrefix(addr, "localhost:") || strings.HasPrefix(addr, "[::1]:") {
		return nil
	}
	return usage("%s: dev listens on the loopback only, because it asks nobody who they are; use `dispatcher serve` with a NATS server for others", addr)
}

// devTools is the worker's tools file, nil for none.
func (a *app) devTools(f *devFlags) (*plan.Tools, error) {
	if f.noWorker {
		return nil, nil
	}
	if f.tools != "" {
		return plan.LoadTools(f.tools)
	}
	if _, err := os.Stat("tools.yaml"); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	f.tools = "tools.yaml"
	return plan.LoadTools(f.tools)
}

func (a *app) devFacts(e *watched, f devFlags, dir string, tools *plan.Tools) []fact {
	facts := []fact{{"NATS", e.Server.URL() + "  (embedded)"}}
	if e.url != "" {
		facts = append(facts, fact{"Console", e.url + "  (you are admin; this machine only)"}, fact{"Metrics", e.url + "/metrics  (and /healthz, /readyz)"})
	}
	if tools != nil {
		facts = append(facts, fact{"Worker", fmt.Sprintf("1 in this process, %d tools of %s", len(tools.Tools), tools.File)})
	} else {
		facts = append(facts, fact{"Worker", a.named("none; start one with: worker --server " + e.Server.URL() + " --tools FILE")})
	}
	facts = append(facts, fact{"Data", "kept in " + dir})
	if f.durability == bus.DurabilityInterval {
		facts = append(facts, fact{"Careful", "durability interval: a power cut may lose the last second"})
	}
	return append(facts, fact{"Next", a.named("in another terminal: dispatcher run PLAN")})
}

func (a *app) serveCommand() *cobra.Command {
	var f dispatchFlags
	var site siteFlags
	var listen string
	c := &cobra.Command{
		Use: "serve", Short: "A dispatcher and its console against a NATS server that is there; any number may run", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return a.serve(c.Context(), f, site, listen) },
	}
	f.add(c)
	fl := c.Flags()
	fl.StringVar(&listen, "listen", "", "address of the console, the API, metrics and health; empty = none")
	site.add(fl)
	return c
}

func (a *app) serve(ctx context.Context, f dispatchFlags, site siteFlags, listen string) error {
	if err := site.check(); err != nil {
		return err
	}
	dir, err := a.stateDir()
	if err != nil {
		return err
	}
	o := engine.Options{Connect: a.connection("dispatcher"), Setup: true, Partitions: f.partitions, Dispatch: f.options(), Log: a.logger(slog.LevelInfo)}
	if o.Connect.Server == "" && o.Connect.Context == "" {
		return usage("serve needs a NATS server: --server, --context or NATS_URL; `dispatcher dev` brings its own")
	}
	var known atomic.Pointer[access.Tokens]
	o.People = &engine.PeopleOptions{Keys: keysDir(dir), Checkpoints: checkpointsFile(dir, a.trailAt(o.Connect.Server)), LetIn: func(ctx context.Context, token, name string) (handoff.Person, error) {
		if t := known.Load(); t != nil {
			return letIn(t)(ctx, token, name)
		}
		return handoff.Person{}, errStarting
	}}
	if o.People.Notify, err = a.notifySetup(f.notify); err != nil {
		return err
	}
	e, err := a.startWatched(ctx, o, listen)
	if err != nil {
		return unreachable(err)
	}
	defer e.Stop()
	watching, stop := context.WithCancel(ctx)
	defer stop()
	tokens, err := openTokens(watching, e.Engine, o.Log)
	if err != nil {
		return err
	}
	known.Store(tokens)
	if e.url != "" {
		pages, err := site.site(watching, e, tokens, o.Log)
		if err != nil {
			return err
		}
		if site.publicURL != "" {
			u, err := site.public()
			if err != nil {
				return err
			}
			e.public.Store(&u.Host)
		}
		e.open(pages)
	}
	remove, err := engine.Leave(dir, o.Connect.Server)
	if err != nil {
		return err
	}
	defer remove()
	a.ready("dispatcher", append(reached(e), fact{"Log", fmt.Sprintf("%d partitions", e.Bus.Partitions())}))
	return a.untilStopped(ctx, e)
}

// trusting lets in whoever NATS lets in, under the name that they give.
func trusting(_ context.Context, _, name string) (handoff.Person, error) {
	return handoff.Person{Name: name}, nil
}

type workerFlags struct {
	tools, listen   string
	trust           string
	only            []string
	concurrency     int
	ackWait, drain  time.Duration
	toolConcurrency map[string]int
}

func (a *app) workerCommand() *cobra.Command {
	var f workerFlags
	c := &cobra.Command{
		Use: "worker --tools FILE", Short: "Executes the steps of the tools in a tools file",
		Long: "Takes step messages from NATS, executes them and reports what happened. Any number of workers may run; they may\n" +
			"come, go and be killed at any time. The first SIGTERM drains, the second leaves at once.",
		Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error { return a.work(c.Context(), f) },
	}
	fl := c.Flags()
	fl.StringVar(&f.tools, "tools", "", "tools file (default tools.yaml)")
	fl.StringSliceVar(&f.only, "only", nil, "serve only these tools")
	fl.IntVar(&f.concurrency, "concurrency", 0, "attempts executed at once (default 16 per core)")
	fl.StringToIntVar(&f.toolConcurrency, "tool-concurrency", nil, "attempts executed at once of a tool: tool=n")
	fl.DurationVar(&f.ackWait, "ack-wait", 30*time.Second, "how long a silent worker keeps a message; the same for all workers")
	fl.DurationVar(&f.drain, "drain-timeout", 30*time.Second, "how long a stop waits for executing attempts")
	fl.StringVar(&f.listen, "listen", "", "address of metrics and health; empty = none")
	fl.StringVar(&f.trust, "trust", "", "file of the public keys that approvals are checked with, as 'dispatcher keys export' writes it; empty = those that dispatchers publish")
	return c
}

// trusts checks a file of trusted keys before anything has begun.
func trusts(file string) error {
	if file == "" {
		return nil
	}
	_, err := approval.Pinned(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return &exitError{exitConfig, err}
	}
	return err
}

func (a *app) work(ctx context.Context, f workerFlags) error {
	tools, err := plan.LoadTools(cmp.Or(f.tools, "tools.yaml"))
	if err != nil {
		return err
	}
	for _, name := range f.only {
		if tools.Tools[name] == nil {
			return usage("--only %s: %s has no such tool", name, tools.File)
		}
	}
	if err := trusts(f.trust); err != nil {
		return err
	}
	o := engine.Options{Connect: a.connection("worker"), Log: a.logger(slog.LevelInfo)}
	if o.Connect.Server == "" && o.Connect.Context == "" {
		if o.Connect.Server, err = a.noted(); err != nil {
			return err
		}
	}
	o.Worker = &engine.WorkerOptions{
		Options: worker.Options{
			Name: WorkerName(), Version: Version, Concurrency: f.concurrency, ToolConcurrency: f.toolConcurrency, AckWait: f.ackWait, DrainTimeout: f.drain,
		},
		Tools: tools, Box: toolbox.Options{Only: f.only, Version: Version, Handlers: a.handlers},
		Trust: f.trust,
	}
	e, err := a.startWatched(ctx, o, f.listen)
	if err != nil {
		return unreachable(err)
	}
	defer e.Stop()
	a.ready("worker", append(reached(e), fact{"Worker", o.Worker.Name}, fact{"Tools", tools.File}))
	return a.untilStopped(ctx, e)
}

// reached says where a program is connected to, and where it can be looked at.
func reached(w *watched) []fact {
	facts := []fact{{"NATS", w.Bus.URL()}}
	if w.url != "" {
		facts = append(facts, fact{"Metrics", w.url + "/metrics  (and /healthz, /readyz)"})
	}
	return facts
}

// noted is the server of a running `dev` or `serve`.
func (a *app) noted() (string, error) {
	dir, err := a.stateDir()
	if err != nil {
		return "", err
	}
	url, err := engine.Find(dir)
	if errors.Is(err, engine.ErrNoServer) {
		return "", usage("no NATS server is named or running: give --server, --context or NATS_URL, or start `dispatcher dev`")
	}
	return url, err
}
