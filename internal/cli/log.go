package cli

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"github.com/coreos/go-systemd/v22/daemon"

	"belay/internal/bus"
	"belay/internal/observe"
)

// Logger writes to stderr, as text on a terminal and as JSON elsewhere. Without a flag it logs level and above.
func (a *App) Logger(level slog.Level) *slog.Logger {
	if a.Verbose {
		level = slog.LevelDebug
	}
	if a.LogLevel != "" {
		_ = level.UnmarshalText([]byte(a.LogLevel)) // the flag takes only levels
	}
	return observe.NewLogger(a.Err, observe.LogOptions{Level: level, JSON: a.logsJSON(), Color: a.Colored(a.Err)})
}

func (a *App) logsJSON() bool { return a.logForm == "json" || a.logForm == "" && !Terminal(a.Err) }

// Fact is one line of what a program prints when it is ready.
type Fact struct {
	Name string // one word
	Text string // what is to be known under this name
}

// Ready announces that a program is up: as a few lines for people, or as one log line for programs, and to systemd where that
// has started it and waits for it.
func (a *App) Ready(what string, facts []Fact) {
	a.tellSystemd(daemon.SdNotifyReady)
	if a.logsJSON() {
		attrs := []any{}
		for _, f := range facts {
			attrs = append(attrs, strings.ToLower(f.Name), f.Text)
		}
		a.Logger(slog.LevelInfo).Info(what+" ready", attrs...)
		return
	}
	for _, f := range facts {
		fmt.Fprintf(a.Err, "  %-9s%s\n", f.Name, f.Text)
	}
}

// Reached says which NATS server a program is connected to, and where its metrics are; an empty page means nowhere.
func Reached(server, page string) []Fact {
	facts := []Fact{{"NATS", server}}
	if page != "" {
		facts = append(facts, Metrics(page), Manual(page))
	}
	return facts
}

// Metrics says where metrics and health checks are.
func Metrics(page string) Fact { return Fact{"Metrics", page + "/metrics  (and /healthz, /readyz)"} }

// Manual says where the manual is.
func Manual(page string) Fact { return Fact{"Manual", page + "/docs"} }

// Draining announces that a program was asked to stop and finishes what it has begun.
func (a *App) Draining() {
	a.tellSystemd(daemon.SdNotifyStopping)
	if a.logsJSON() {
		a.Logger(slog.LevelInfo).Info("stopping: finishing what is under way")
		return
	}
	fmt.Fprintln(a.Err, "stopping: finishing what is under way (interrupt once more to leave at once)")
}

func (a *App) tellSystemd(state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		a.Logger(slog.LevelWarn).Warn("systemd is not told: the socket that it named in NOTIFY_SOCKET cannot be written to", "state", state, "error", err)
	}
}

// startTraces sets up tracing if the environment asks for it. If that fails, the program warns and runs without.
func (a *App) startTraces(ctx context.Context, service string) {
	traces, err := observe.NewTraces(ctx, a.Getenv, a.Logger(slog.LevelWarn), service, Version)
	if err != nil {
		a.Logger(slog.LevelWarn).Warn("tracing is off: it cannot be set up", "error", err)
	}
	a.Traces = traces
}

// stopTraces sends the traces that are left.
func (a *App) stopTraces() {
	if err := a.Traces.Close(); err != nil {
		a.Logger(slog.LevelWarn).Warn("some traces were not sent", "error", err)
	}
}

// Connection says how to connect to NATS; who names this part of the program in the server's lists.
func (a *App) Connection(who string) bus.Options {
	o := a.Conn
	host, err := os.Hostname()
	if err != nil {
		host = "unknown-host"
	}
	o.Name = "belay-" + who + "/" + Version + " " + host
	o.Prefix = a.Prefix
	o.Logger = a.Logger(slog.LevelWarn)
	return o
}

// WorkerName is the name of this process in logs of runs, unique among workers: host and process id.
func WorkerName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "worker"
	}
	return fmt.Sprintf("%s-%d", host, os.Getpid())
}
