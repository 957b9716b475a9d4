package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"belay/internal/bus"
	"belay/internal/executor/gofunc"
	"belay/internal/observe"
	"belay/internal/toolbox"
)

// Version is what `version` prints; releases set it when they link.
var Version = "0.1.0-dev"

// IO is what a program is connected to.
type IO struct {
	In       io.Reader
	Out, Err io.Writer
	Getenv   func(string) string
}

// System is the process's own.
func System() IO { return IO{os.Stdin, os.Stdout, os.Stderr, os.Getenv} }

// app is what every command has: its connections to the world and the flags that all share.
type app struct {
	IO
	output   string
	verbose  bool
	logLevel string
	logForm  string
	color    string
	dataDir  string
	conn     bus.Options
	apiToken string
	traces   *observe.Traces // nil unless the environment asks for them
	prefix   string

	handlers   map[toolbox.Key]gofunc.Handler // of a worker that has Go code of its own
	configFile string
	given      map[string]string // global flags on the command line
}

// Dispatcher runs the dispatcher's command line and returns its exit code.
func Dispatcher(ctx context.Context, args []string, sys IO) int {
	a := &app{IO: sys}
	return reaping(func() int { return a.execute(ctx, a.dispatcherRoot(), args) })
}

func (a *app) dispatcherRoot() *cobra.Command {
	root := &cobra.Command{
		Use: "dispatcher", Short: "Runs the steps of AI agents so that they fail safely",
		Long: "Submits plans, moves their runs on, and lets people watch and decide.\n\nStart with: dispatcher run PLAN",
	}
	root.AddCommand(a.runCommand(), a.runsCommand(), a.escCommand(), a.devCommand(), a.serveCommand(), a.lintCommand(),
		a.toolsCommand(), a.workersCommand(), a.keysCommand(), a.tokenCommand(), a.auditCommand(), a.notifyCommand(), a.schemaCommand(), a.configCommand(), a.benchCommand(), a.versionCommand(), a.exitCodesTopic())
	a.globalFlags(root.PersistentFlags())
	return root
}

// Worker runs the stock worker's command line and returns its exit code.
func Worker(ctx context.Context, args []string, sys IO) int {
	return WorkerWith(ctx, args, sys, nil)
}

// WorkerWith is [Worker] with handlers of tools that are Go code.
func WorkerWith(ctx context.Context, args []string, sys IO, handlers map[toolbox.Key]gofunc.Handler) int {
	a := &app{IO: sys, handlers: handlers}
	return reaping(func() int { return a.execute(ctx, a.workerRoot(), args) })
}

func (a *app) workerRoot() *cobra.Command {
	root := a.workerCommand()
	root.AddCommand(a.versionCommand(), a.exitCodesTopic())
	a.globalFlags(root.PersistentFlags())
	return root
}

func (a *app) execute(ctx context.Context, root *cobra.Command, args []string) int {
	a.easeGC()
	root.SilenceErrors, root.SilenceUsage = true, true
	root.SuggestionsMinimumDistance = 2
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetArgs(args)
	root.SetIn(a.In)
	root.SetOut(a.Out)
	root.SetErr(a.Err)
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usage("%w\nSee '%s --help'", err, c.CommandPath())
	})
	root.PersistentPreRunE = func(c *cobra.Command, _ []string) error {
		if err := a.settle(c); err != nil {
			return err
		}
		a.startTraces(ctx, "belay-"+root.Name())
		return nil
	}
	ctx, stop := a.signals(ctx)
	defer stop()
	defer a.stopTraces()
	err := asUsage(root.ExecuteContext(ctx))
	return report(a.Err, a.json(), err) // only now it is known whether -o json was given
}

// asUsage gives cobra's own errors, which carry no code, theirs.
func asUsage(err error) error {
	var e *exitError
	if err == nil || errors.As(err, &e) {
		return err
	}
	for _, start := range []string{"unknown command", "accepts ", "requires ", "required flag"} {
		if strings.HasPrefix(err.Error(), start) {
			return usage("%w (see --help)", err)
		}
	}
	return err
}

// signals: the first one ends ctx and lets everything drain, the second one ends the process.
func (a *app) signals(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancel(ctx)
	c := make(chan os.Signal, 2)
	stops := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // under nohup a terminal may go away
		stops = append(stops, syscall.SIGHUP)
	}
	signal.Notify(c, stops...)
	go func() {
		if _, ok := <-c; !ok {
			return
		}
		cancel()
		if _, ok := <-c; ok {
			fmt.Fprintln(a.Err, "interrupted again: leaving at once; what was not finished is delivered again")
			os.Exit(exitInterrupted)
		}
	}()
	return ctx, func() {
		signal.Stop(c)
		close(c)
		cancel()
	}
}

func (a *app) globalFlags(f *pflag.FlagSet) {
	f.StringVar(&a.configFile, "config", "", "settings file (default $XDG_CONFIG_HOME/belay/config.yaml, if it is there)")
	f.VarP(oneOf(&a.output, "text", "text", "json"), "output", "o", "form of the data on stdout; everything else goes to stderr")
	f.BoolVarP(&a.verbose, "verbose", "v", false, "log every state change")
	f.Var(oneOf(&a.logLevel, "", "debug", "info", "warn", "error"), "log-level", "the least that is logged")
	f.Var(oneOf(&a.logForm, "", "text", "json"), "log-format", "form of the log (default text on a terminal, else json)")
	f.Var(oneOf(&a.color, "auto", "auto", "always", "never"), "color", "of text on a terminal")
	f.StringVar(&a.dataDir, "data-dir", "", "state directory (default $XDG_STATE_HOME/belay)")
	f.StringVarP(&a.conn.Server, "server", "s", "", "NATS server URLs (NATS_URL)")
	f.StringVar(&a.conn.Context, "context", "", "context of the nats CLI (NATS_CONTEXT)")
	f.StringVar(&a.conn.Creds, "creds", "", "credentials file (NATS_CREDS)")
	f.StringVar(&a.conn.NKey, "nkey", "", "nkey seed file (NATS_NKEY)")
	f.StringVar(&a.conn.User, "user", "", "user name (NATS_USER)")
	f.StringVar(&a.conn.Password, "password", "", "password (NATS_PASSWORD)")
	f.StringVar(&a.conn.Token, "token", "", "token (NATS_TOKEN)")
	f.StringVar(&a.apiToken, "api-token", "", "the token that dispatcher serve asks for when you decide (BELAY_API_TOKEN)")
	f.StringVar(&a.conn.TLSCert, "tlscert", "", "TLS certificate (NATS_CERT)")
	f.StringVar(&a.conn.TLSKey, "tlskey", "", "TLS key (NATS_KEY)")
	f.StringVar(&a.conn.TLSCA, "tlsca", "", "TLS authority (NATS_CA)")
	f.BoolVar(&a.conn.TLSFirst, "tlsfirst", false, "TLS handshake first")
	f.DurationVar(&a.conn.Timeout, "timeout", 5*time.Second, "of one request to NATS (NATS_TIMEOUT)")
	f.StringVar(&a.conn.Domain, "js-domain", "", "JetStream domain")
	f.StringVar(&a.conn.InboxPrefix, "inbox-prefix", "", "inbox prefix")
	f.StringVar(&a.prefix, "prefix", "belay", "of all subjects and streams")
}

func (a *app) json() bool { return a.output == "json" }

// stateDir is where the embedded store and the note of a running server are.
func (a *app) stateDir() (string, error) {
	if a.dataDir != "" {
		return filepath.Abs(a.dataDir)
	}
	if x := a.Getenv("XDG_STATE_HOME"); x != "" {
		return filepath.Join(x, "belay"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", usage("no home directory for the state: give --data-dir or XDG_STATE_HOME: %w", err)
	}
	return filepath.Join(home, ".local", "state", "belay"), nil
}

func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && isatty.IsTerminal(f.Fd())
}

// colored follows the flag, NO_COLOR, FORCE_COLOR and CLICOLOR_FORCE, and else the terminal. JSON is never coloured.
func (a *app) colored(w io.Writer) bool {
	switch {
	case a.color == "always":
		return true
	case a.color == "never", a.Getenv("NO_COLOR") != "", a.Getenv("TERM") == "dumb":
		return false
	case a.Getenv("FORCE_COLOR") != "", a.Getenv("CLICOLOR_FORCE") != "" && a.Getenv("CLICOLOR_FORCE") != "0":
		return true
	}
	return terminal(w)
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{Use: "version", Short: "Print the version", Args: cobra.NoArgs, RunE: func(*cobra.Command, []string) error {
		if a.json() {
			return a.printJSON(map[string]string{"version": Version})
		}
		_, err := fmt.Fprintln(a.Out, "belay", Version)
		return err
	}}
}

func (a *app) exitCodesTopic() *cobra.Command {
	return &cobra.Command{Use: "exit-codes", Short: "What the exit codes mean", Long: exitCodeHelp}
}
