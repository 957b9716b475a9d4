package dispatcher

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"belay/internal/cli"
	"belay/internal/gates"
	"belay/internal/notify"
	"belay/internal/people"
	"belay/internal/runlog"
	"belay/internal/server/api"
	"belay/internal/server/mcptools"
	"belay/internal/steps"
	"belay/internal/steps/view"
	"belay/internal/tally"
)

type mcpFlags struct {
	tools, plans string        // what is offered
	caller       string        // tells agents apart; empty = the user, and what each client calls itself
	publicURL    string        // of the console; empty = agents get no addresses
	wait         time.Duration // how long a call waits for its run
	strict       bool          // start no plan with findings of `prove`, warnings included
}

func (a *app) mcpCommand() *cobra.Command {
	var f mcpFlags
	c := &cobra.Command{
		Use: "mcp", Short: "Offer the tools and plans to an agent over the Model Context Protocol, on stdin and stdout", Args: cobra.NoArgs,
		Long: "Speaks MCP on stdin and stdout, for clients that start their servers themselves. Every tool of the tools file and every plan is\n" +
			"a tool there, and every call is a run: it needs a dispatcher and a worker that are running elsewhere. Nothing can be decided\n" +
			"through it. `dispatcher serve` and `dispatcher dev` offer the same over HTTP, at /mcp, to whoever shows a token.\n\n" +
			"An equal call of the same caller is the same run while that is open, and for a day after its end if its effects are unsafe.\n" +
			"Files are read again on SIGHUP. Logs go to stderr.",
		Example: "  dispatcher mcp --tools tools.yaml --plans plans --public-url http://127.0.0.1:8222\n  dispatcher mcp --tools tools.yaml --server nats://nats.internal:4222 --caller support-agent",
		RunE:    func(c *cobra.Command, _ []string) error { return cli.UnlessStopped(c.Context(), a.mcp(c.Context(), f)) },
	}
	fl := c.Flags()
	fl.StringVar(&f.tools, "tools", "tools.yaml", "tools `file` of what is offered")
	fl.StringVar(&f.plans, "plans", "", "`directory` of the plans that are offered too")
	fl.BoolVar(&f.strict, "strict", false, "start no tool and no plan for which 'dispatcher prove' has warnings")
	fl.StringVar(&f.caller, "caller", "", "`name` that tells this agent's calls from others' (default: the user, and what the client calls itself)")
	fl.StringVar(&f.publicURL, "public-url", "", "`URL` of the console, which agents show to people who must decide (default: they get none)")
	fl.DurationVar(&f.wait, "call-wait", mcptools.DefaultWait, "how long a call waits for its result before it answers that it goes on")
	return c
}

func (a *app) mcp(ctx context.Context, f mcpFlags) error {
	if f.wait <= 0 || f.wait > 10*time.Minute {
		return cli.Usage("--call-wait %s: must be more than nothing, and 10m at most", f.wait)
	}
	if u, err := url.Parse(f.publicURL); f.publicURL != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
		return cli.Usage("--public-url %q: must be like https://belay.example.com", f.publicURL)
	}
	known, err := a.openCatalog(f.tools, cli.DispatchFlags{Plans: f.plans, Strict: f.strict})
	if err != nil {
		return err
	}
	s, err := a.connect(ctx)
	if err != nil {
		return err
	}
	if s == nil {
		return cli.WithCode(cli.ExitUnreachable, errors.New("no dispatcher is running here; start `dispatcher dev`, or name its NATS server with --server (or with --data-dir, if it was started with that)"))
	}
	defer s.close()
	watch := runlog.NewWatch(s.Runs)
	defer watch.Close()
	logger := a.Logger(slog.LevelInfo)
	inside := api.New(api.Options{
		Catalog: known, Runs: s.Runs, Watch: watch, Desk: s.desk(), Why: notify.Asker{Bus: s.Bus, Items: s.desk().Items, Doubt: tally.InDoubt(s.Bus)}.Of, Trace: a.Traces.SubmitFor, Who: mcptools.Who, Inside: true, Released: gates.Of(s.Bus).Released,
	})
	tools := mcptools.New(mcptools.Options{
		Catalog: known, API: inside, Runs: s.Runs, Watch: watch, Console: func() string { return f.publicURL }, Ready: someDispatcher(s), Wait: f.wait, Now: s.Bus.Now, Version: cli.Version, Logger: logger,
		Actor: people.Trusted(me(), "mcp"), Caller: f.caller, Why: func(ctx context.Context, st *steps.State, f view.Foresight) (view.Why, error) {
			return notify.WhyOf(ctx, s.Bus, st, f)
		}, Released: gates.Of(s.Bus).Released,
	})
	if err := tools.Refresh(); err != nil {
		return cli.WithCode(cli.ExitInvalid, err)
	}
	known.OnReload(func() {
		if err := tools.Refresh(); err != nil {
			logger.Error("the tools and plans cannot be offered; those that were offered before stay", "error", err)
		}
	})
	return tools.Stdio(ctx, io.NopCloser(a.In), unclosed{a.Out})
}

// unclosed is an output that stays open.
type unclosed struct{ io.Writer }

// Close implements io.Closer.
func (unclosed) Close() error { return nil }

// dispatcherSeen is for how long it is believed that a dispatcher runs that has answered.
const dispatcherSeen = 10 * time.Second

// someDispatcher says that nothing would come of a run that is submitted while no dispatcher is running.
func someDispatcher(s *session) func(context.Context) error {
	var seen atomic.Pointer[time.Time]
	return func(ctx context.Context) error {
		if at := seen.Load(); at != nil && time.Since(*at) < dispatcherSeen {
			return nil
		}
		all, err := s.Bus.Dispatchers(ctx)
		if err != nil {
			return fmt.Errorf("nothing was started: no dispatcher can be asked: %w", err)
		}
		if len(all) == 0 {
			return errors.New("nothing was started: no dispatcher answers; somebody must start `dispatcher serve` or `dispatcher dev`")
		}
		now := time.Now()
		seen.Store(&now)
		return nil
	}
}
