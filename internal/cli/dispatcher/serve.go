package dispatcher

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync/atomic"

	"github.com/spf13/cobra"

	"belay/internal/access"
	"belay/internal/bus"
	"belay/internal/bus/embedded"
	"belay/internal/catalog"
	"belay/internal/cli"
	"belay/internal/dispatch"
	"belay/internal/engine"
	"belay/internal/people"
	"belay/internal/plan"
	"belay/internal/rights"
	"belay/internal/server"
	"belay/internal/server/gate"
	"belay/internal/server/pages"
	"belay/internal/wire"
)

// dispatchOptions are the options of a dispatcher that keeps running.
func dispatchOptions(f cli.DispatchFlags) *dispatch.Options {
	return &dispatch.Options{Name: "dispatcher-" + cli.WorkerName(), Retention: f.Retention, TenantLabel: f.TenantLabel}
}

func (a *app) devCommand() *cobra.Command {
	var f cli.DevFlags
	c := &cobra.Command{
		Use: "dev", Short: "Start everything in one process: NATS, dispatcher, worker and console, for this machine only", Args: cobra.NoArgs,
		Long: "Starts an embedded NATS server, a dispatcher, a worker and the console in one process. It listens on the loopback only, and\n" +
			"whoever opens the console is an admin; a program that shows an API token may do what the token says. Deciding what an agent\n" +
			"does, of a run whose plan has one or that was started over MCP, takes such a token or the sign-in code that is printed at the\n" +
			"start. Other commands on this machine find it by themselves.",
		Example: "  dispatcher dev --tools examples/tools.yaml\n  dispatcher dev --no-worker --data-dir /tmp/belay --listen 127.0.0.1:8080",
		RunE:    func(c *cobra.Command, _ []string) error { return cli.UnlessStopped(c.Context(), a.dev(c.Context(), f)) },
	}
	f.Add(c.Flags())
	return c
}

func (a *app) dev(ctx context.Context, f cli.DevFlags) error {
	for _, addr := range []string{f.Listen, f.NATSListen} {
		if err := loopback(addr); err != nil {
			return err
		}
	}
	tools, err := a.devTools(&f)
	if err != nil {
		return err
	}
	known, err := a.openCatalog(f.Tools, f.DispatchFlags)
	if err != nil {
		return err
	}
	dir, err := a.StateDir()
	if err != nil {
		return err
	}
	o := a.embeddedOptions(dir, carry{dispatch: true, tools: tools})
	o.Logger = a.Logger(slog.LevelInfo)
	a.WarnProxy(o.Logger)
	o.Embedded.Listen, o.Embedded.Durability, o.Embedded.Logger = f.NATSListen, f.Durability, a.Logger(slog.LevelWarn)
	o.Dispatch, o.Partitions = dispatchOptions(f.DispatchFlags), f.Partitions
	door := &devDoor{code: access.NewCode()}
	o.People.LetIn, o.People.RequireProof, o.People.Named = door.letIn, f.RequireProof, namedBy(known)
	if o.People.Notifier, err = a.notifier(f.Notify); err != nil {
		return err
	}
	if o.People.Places, err = a.places(f.DispatchFlags); err != nil {
		return err
	}
	if tools != nil {
		services, err := a.startServices(ctx, tools)
		if err != nil {
			return err
		}
		defer services.stop()
	}
	work, err := a.devWork(ctx, f, &o)
	if err != nil {
		return err
	}
	defer work.Close()
	e, err := a.startWatched(ctx, o, f.Listen)
	if err != nil {
		return err
	}
	defer e.Stop()
	e.doctor = lookedAt(o, f.Durability, tools)
	remove, err := cli.LeaveNote(dir, e.Server.URL())
	if err != nil {
		return err
	}
	defer remove()
	serving, stop := context.WithCancel(ctx)
	defer stop()
	if err := a.devSite(serving, e, door, known, o.Logger); err != nil {
		return err
	}
	a.Ready("dev", a.devFacts(e, f, dir, tools, append([]cli.Fact{door.fact(e.url)}, work.Facts...)...))
	return a.untilStopped(ctx, e)
}

// devSite opens the console and the API until ctx ends, if dev listens at all.
func (a *app) devSite(ctx context.Context, e *watched, door *devDoor, known *catalog.Catalog, logger *slog.Logger) error {
	tokens, err := openTokens(ctx, e.Engine, logger)
	if err != nil {
		return err
	}
	door.tokens.Store(tokens)
	if e.url == "" {
		return nil
	}
	environment := pages.Environment{Name: "dev"}
	local := &gate.Local{Name: me(), Port: portOf(e.url), Tokens: tokens, Code: door.code, Page: pages.NewCodeSignIn(environment)}
	e.open(server.New(ctx, server.Options{
		Bus: e.Bus, Catalog: known, Prove: e.Prove, Trace: a.Traces.SubmitFor, Runs: e.Runs, Desk: e.Desk, Redrives: e.Redrives, Gates: e, Schedules: e, Gate: local,
		Environment: environment, Logger: logger, Passkeys: e.Passkeys(), PublicURL: e.url, Version: cli.Version, Doctor: e.doctor,
	}))
	return nil
}

func portOf(url string) string { return url[strings.LastIndexByte(url, ':')+1:] }

// loopback refuses addresses that other machines could reach, because dev does not ask anybody to sign in.
func loopback(addr string) error {
	if addr == "" || strings.HasPrefix(addr, "127.") || strings.HasPrefix(addr, "localhost:") || strings.HasPrefix(addr, "[::1]:") {
		return nil
	}
	return cli.Usage("%s: dev listens on the loopback only, because nobody has to sign in; use 127.0.0.1, or `dispatcher serve` with a NATS server", addr)
}

// devWork completes what the worker of dev is made of, and gives out the work of remote rungs, where that was asked for.
func (a *app) devWork(ctx context.Context, f cli.DevFlags, o *engine.Options) (*cli.Work, error) {
	if err := allowFaults(f, o); err != nil {
		return nil, err
	}
	if o.Worker == nil && f.Work.Listen != "" {
		return nil, cli.Usage("--work-listen needs a worker: give --tools FILE with a remote rung, and no --no-worker")
	}
	work, err := a.OpenWork(ctx, f.Work, o.Logger)
	if err == nil && o.Worker != nil {
		o.Worker.Box.Remote = work.Hub
	}
	return work, err
}

// allowFaults lets the worker of dev inject faults on purpose, where that was asked for. It neither dies nor loses its
// connection for it: server and dispatcher are in the same process.
func allowFaults(f cli.DevFlags, o *engine.Options) (err error) {
	if o.Worker == nil {
		if f.Faults.Allow {
			return cli.Usage("--allow-faults needs a worker: give --tools FILE, and no --no-worker")
		}
		return nil
	}
	o.Worker.Injector, err = f.Faults.Injector(o.Logger)
	return err
}

// devTools reads the worker's tools file; nil means no worker.
func (a *app) devTools(f *cli.DevFlags) (*plan.Tools, error) {
	if _, err := os.Stat("tools.yaml"); f.Tools == "" && !errors.Is(err, fs.ErrNotExist) {
		f.Tools = "tools.yaml"
	}
	if f.NoWorker || f.Tools == "" {
		return nil, nil
	}
	return plan.LoadTools(f.Tools)
}

func (a *app) devFacts(e *watched, f cli.DevFlags, dir string, tools *plan.Tools, more ...cli.Fact) []cli.Fact {
	facts := []cli.Fact{{Name: "NATS", Text: e.Server.URL() + "  (embedded)"}}
	if e.url != "" {
		facts = append(facts, cli.Fact{Name: "Console", Text: e.url + "  (you are admin; this machine only)"}, cli.Metrics(e.url), cli.Manual(e.url))
	}
	if tools != nil {
		facts = append(facts, cli.Fact{Name: "Worker", Text: fmt.Sprintf("1 in this process, %d tools of %s", len(tools.Tools), tools.File)})
	} else {
		facts = append(facts, cli.Fact{Name: "Worker", Text: a.Named("none; start one with: worker --server " + e.Server.URL() + " --tools FILE")})
	}
	facts = append(facts, cli.Fact{Name: "Data", Text: "kept in " + dir})
	if f.Durability == embedded.Interval {
		facts = append(facts, cli.Fact{Name: "Careful", Text: "with --durability interval a power cut may lose the last second"})
	}
	return append(append(facts, more...), cli.Fact{Name: "Next", Text: a.Named("in another terminal: dispatcher run PLAN")})
}

func (a *app) serveCommand() *cobra.Command {
	var f cli.ServeFlags
	c := &cobra.Command{
		Use: "serve", Short: "Start a dispatcher, and its console, on a NATS server", Args: cobra.NoArgs,
		Long: "Starts a dispatcher on a NATS server (2.15 or newer, with JetStream). Any number may run: they share the work, and when one\n" +
			"dies the others take over within seconds. With --listen it serves the console and the HTTP API; people show a token\n" +
			"(`dispatcher token create`) or sign in with --oidc-issuer.",
		Example: "  dispatcher serve --server nats://nats.internal:4222\n" +
			"  dispatcher serve --context prod --listen :8222 --public-url https://belay.example.com --environment \"PROD:red\" --notify notify.yaml",
		RunE: func(c *cobra.Command, _ []string) error {
			return cli.UnlessStopped(c.Context(), a.serve(c.Context(), f))
		},
	}
	f.Add(c.Flags())
	return c
}

func (a *app) serve(ctx context.Context, f cli.ServeFlags) error {
	site := siteFlags{f, a.Outbound().Own(), a.Traces.SubmitFor}
	if err := site.check(); err != nil {
		return err
	}
	submitted, err := a.openCatalog(f.Tools, f.DispatchFlags)
	if err != nil {
		return err
	}
	dir, err := a.StateDir()
	if err != nil {
		return err
	}
	o := engine.Options{Connect: a.Connection("dispatcher"), Version: cli.Version, Patience: f.Wait, Setup: true, Partitions: f.Partitions, Replicas: f.Replicas, MaxBytes: int64(f.MaxBytes), Dispatch: dispatchOptions(f.DispatchFlags), Logger: a.Logger(slog.LevelInfo)}
	a.WarnProxy(o.Logger)
	if f.Replicas < 0 || f.Replicas > 5 {
		return cli.Usage("--replicas %d: must be 1 to 5, or 0 for what suits the server", f.Replicas)
	}
	if o.Connect.Server == "" && o.Connect.Context == "" {
		return cli.Usage("serve needs a NATS server: give --server, --context or NATS_URL, or use `dispatcher dev`, which brings its own")
	}
	var known atomic.Pointer[access.Tokens]
	o.People = &engine.PeopleOptions{Keys: keysDir(dir), Index: indexDir(dir), Tally: tallyDir(dir, a.trailAt(o.Connect.Server)), Checkpoints: checkpointsFile(dir, a.trailAt(o.Connect.Server)), RequireProof: f.RequireProof, LetIn: func(ctx context.Context, shown wire.Shown, name string) (people.Actor, error) {
		if t := known.Load(); t != nil {
			return letIn(t, o.Logger)(ctx, shown, name)
		}
		return people.Actor{}, errStarting
	}}
	o.People.Named, o.People.EndedTokens = namedBy(submitted), access.Ended
	if o.People.Notifier, err = a.notifier(f.Notify); err != nil {
		return err
	}
	if o.People.Places, err = a.places(f.DispatchFlags); err != nil {
		return err
	}
	e, err := a.startWatched(ctx, o, f.Listen)
	if err != nil {
		return a.Unreachable(err)
	}
	defer e.Stop()
	sayReplicas(o.Logger, e.Bus, f.Replicas)
	rights.Warn(o.Logger, e.Bus, rights.Dispatcher)
	e.doctor = lookedAt(o, "", nil)
	watching, stop := context.WithCancel(ctx)
	defer stop()
	tokens, err := openTokens(watching, e.Engine, o.Logger)
	if err != nil {
		return err
	}
	known.Store(tokens)
	if e.url != "" {
		pages, err := site.site(watching, e, tokens, submitted, o.Logger)
		if err == nil {
			err = site.publish(e, pages)
		}
		if err != nil {
			return err
		}
	}
	remove, err := cli.LeaveNote(dir, o.Connect.Server)
	if err != nil {
		return err
	}
	defer remove()
	a.Ready("dispatcher", append(cli.Reached(e.Bus.URL(), e.url), cli.Fact{Name: "Log", Text: fmt.Sprintf("%d partitions", e.Bus.Partitions())}))
	return a.untilStopped(ctx, e)
}

// sayReplicas warns where the loss of a server would stop everything, or the log is not kept as often as it should be.
func sayReplicas(logger *slog.Logger, b *bus.Bus, want int) {
	switch have := b.Replicas(); {
	case have < want:
		logger.Warn("the streams were made with fewer replicas; raise them with nats stream edit --replicas, and the buckets with nats kv edit", "replicas", have, "wanted", want)
	case have == 1 && b.Clustered():
		logger.Warn("this server is one of a cluster, but the log is on one server only: if that is lost, nothing goes on; raise the replicas of all streams and buckets to 3 with nats stream edit --replicas 3")
	}
}

// publish opens the pages, under the host name of --public-url where there is one.
func (f siteFlags) publish(e *watched, pages http.Handler) error {
	if f.PublicURL != "" {
		u, err := f.public()
		if err != nil {
			return err
		}
		e.public.Store(&u.Host)
	}
	e.scraped.Store(&f.Scraped)
	e.open(pages)
	return nil
}
