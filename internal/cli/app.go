package cli

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"

	"belay/internal/bus"
	"belay/internal/observe"
	"belay/internal/outbound"
)

// Version is what `version` prints; releases set it when they link.
var Version = "0.1.0-dev"

// IO connects a program to the world.
type IO struct {
	In      io.Reader           // what a person types, or what is piped in
	Out     io.Writer           // for data
	Err     io.Writer           // for everything else: progress, logs, errors
	Getenv  func(string) string // reads its environment
	Program string              // how it was started, so that hints can be typed as they stand; empty = by its own name
}

// System connects a program to its process.
func System() IO { return IO{os.Stdin, os.Stdout, os.Stderr, os.Getenv, thisProgram()} }

// App is what all commands of a program share: its connections to the world and the global flags.
type App struct {
	IO
	CodeOf func(error) int // exit code of errors that only this program has, ExitOK for all others; nil = there are none

	Conn     bus.Options     // how to connect, as the flags say; [App.Connection] fills in the rest
	APIToken string          // for `dispatcher serve`, which asks for it when somebody decides; empty = none
	Prefix   string          // of all subjects and streams
	DataDir  string          // as given; [App.StateDir] is the folder
	LogLevel string          // as given: debug, info, warn or error; empty = what the command logs by itself
	Verbose  bool            // log every state change
	Traces   *observe.Traces // nil unless the environment asks for them

	kind       string // dispatcher or worker
	output     string // text or json
	logForm    string // text or json; empty = text on a terminal
	color      string // auto, always or never
	private    string // written, never or always
	proxy      string // none or environment
	configFile string
	given      map[string]string      // flags on the command line
	hangup     atomic.Pointer[func()] // what SIGHUP does in place of stopping; nil = it stops
}

// Outbound says where connections may go on behalf of tools.
func (a *App) Outbound() outbound.Policy {
	return outbound.Policy{Private: outbound.Private(a.private), Proxy: a.proxy == "environment"}
}

// WarnProxy says that the environment names a proxy which nothing goes through.
func (a *App) WarnProxy(logger *slog.Logger) {
	for _, name := range []string{"HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy"} {
		if a.Getenv(name) != "" && a.proxy != "environment" {
			logger.Warn("tools, models and channels are not called through the proxy of the environment; --proxy environment does", "variable", name)
			return
		}
	}
}

// Execute runs a program's command line and returns its exit code. The root command's name is the program's.
func (a *App) Execute(ctx context.Context, root *cobra.Command, args []string) int {
	return reaping(func() int { return a.execute(ctx, root, args) })
}

func (a *App) execute(ctx context.Context, root *cobra.Command, args []string) int {
	a.easeGC()
	a.Prepare(root)
	root.SilenceErrors, root.SilenceUsage = true, true
	root.SuggestionsMinimumDistance = 2
	root.SetArgs(args)
	root.SetIn(a.In)
	root.SetOut(a.Out)
	root.SetErr(a.Err)
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return Usage("%w\nSee '%s --help'", err, c.CommandPath())
	})
	root.PersistentPreRunE = func(c *cobra.Command, _ []string) error {
		if err := a.fill(c); err != nil {
			return err
		}
		a.startTraces(ctx, "belay-"+root.Name())
		return nil
	}
	ctx, stop := a.signals(ctx)
	defer stop()
	defer a.stopTraces()
	c, err := root.ExecuteContextC(ctx)
	return a.report(asUsage(c, err)) // only now it is known whether -o json was given
}

// Prepare adds to a program what both have: the global flags, `config`, `version` and the help on exit codes.
func (a *App) Prepare(root *cobra.Command) *cobra.Command {
	a.kind = root.Name()
	root.AddCommand(a.configCommand(), a.versionCommand(), a.manCommand(root), a.exitCodesTopic())
	a.globalFlags(root.PersistentFlags())
	root.InitDefaultCompletionCmd()
	completeFlags(root)
	a.name(root)
	return root
}

// asUsage makes usage errors of cobra's own errors, which carry no exit code.
func asUsage(c *cobra.Command, err error) error {
	var e *ExitError
	if err == nil || errors.As(err, &e) {
		return err
	}
	if strings.HasPrefix(err.Error(), "unknown command") {
		return Usage("%w\nSee '%s --help'", err, c.CommandPath())
	}
	for _, start := range []string{"accepts ", "requires ", "required flag"} {
		if strings.HasPrefix(err.Error(), start) {
			return Usage("%w: %s\nSee '%s --help'", err, c.UseLine(), c.CommandPath())
		}
	}
	return err
}

// NeedSubcommand is what a noun does without a verb, or with an unknown one: it fails with a usage error.
func NeedSubcommand(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		hint := ""
		c.SuggestionsMinimumDistance = 2 // cobra asks for it at the root only
		if s := c.SuggestionsFor(args[0]); len(s) > 0 {
			hint = " (did you mean " + strings.Join(s, " or ") + "?)"
		}
		return Usage("unknown command %q for %q%s\nSee '%s --help'", args[0], c.CommandPath(), hint, c.CommandPath())
	}
	return Usage("%s needs a command; see '%s --help'", c.CommandPath(), c.CommandPath())
}

// OnHangup lets SIGHUP call f in place of stopping the program. On a terminal it still stops it: the terminal is gone.
func (a *App) OnHangup(f func()) {
	if in, ok := a.In.(*os.File); !ok || !isatty.IsTerminal(in.Fd()) {
		a.hangup.Store(&f)
	}
}

// signals makes a context that the first signal ends, so that everything drains; the second signal ends the process.
func (a *App) signals(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancel(ctx)
	c := make(chan os.Signal, 2)
	stops := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // under nohup a terminal may go away
		stops = append(stops, syscall.SIGHUP)
	}
	signal.Notify(c, stops...)
	go func() {
		for sig := range c {
			f := a.hangup.Load()
			if sig != syscall.SIGHUP || f == nil {
				break
			}
			(*f)()
		}
		cancel()
		if _, ok := <-c; ok {
			fmt.Fprintln(a.Err, "interrupted twice: leaving at once; what was not finished is redelivered")
			os.Exit(ExitInterrupted)
		}
	}()
	return ctx, func() {
		signal.Stop(c)
		close(c)
		cancel()
	}
}

// JSON reports whether output is for programs.
func (a *App) JSON() bool { return a.output == "json" }

// StateDir is the folder with the embedded store, the signing key and the note of a running server.
func (a *App) StateDir() (string, error) {
	if a.DataDir != "" {
		return filepath.Abs(a.DataDir)
	}
	if x := a.Getenv("XDG_STATE_HOME"); x != "" {
		return filepath.Join(x, "belay"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", Usage("no home directory to keep state in; set --data-dir or XDG_STATE_HOME: %w", err)
	}
	return filepath.Join(home, ".local", "state", "belay"), nil
}

// PinFile is the file in a state directory in which a worker keeps the keys that it trusts of an installation. It depends only on
// what the worker was told, so that nobody else can have it begin anew; server is empty for the one of the state directory.
func PinFile(dir, server, context, prefix string) string {
	sum := sha256.Sum256([]byte(strings.Join([]string{WithoutUsers(server), context}, " ")))
	return filepath.Join(dir, "pinned", cmp.Or(prefix, "belay")+"-"+hex.EncodeToString(sum[:4])+".keys")
}

// Terminal reports whether w is a terminal, so that people read it.
func Terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && isatty.IsTerminal(f.Fd())
}

// Colored reports whether text written to w gets colors: as the flag says, or NO_COLOR, FORCE_COLOR and CLICOLOR_FORCE,
// or else on a terminal. JSON never does.
func (a *App) Colored(w io.Writer) bool {
	switch {
	case a.color == "always":
		return true
	case a.color == "never", a.Getenv("NO_COLOR") != "", a.Getenv("TERM") == "dumb":
		return false
	case a.Getenv("FORCE_COLOR") != "", a.Getenv("CLICOLOR_FORCE") != "" && a.Getenv("CLICOLOR_FORCE") != "0":
		return true
	}
	return Terminal(w)
}

func (a *App) versionCommand() *cobra.Command {
	return &cobra.Command{Use: "version", Short: "Print the version", Args: cobra.NoArgs, RunE: func(*cobra.Command, []string) error {
		if a.JSON() {
			return a.PrintJSON(map[string]string{"version": Version})
		}
		_, err := fmt.Fprintln(a.Out, "belay", Version)
		return err
	}}
}

func (a *App) exitCodesTopic() *cobra.Command {
	return &cobra.Command{Use: "exit-codes", Short: "List the exit codes and what they mean", Long: exitCodeHelp}
}
