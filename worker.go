package belay

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

	"belay/internal/bus"
	"belay/internal/cli"
	"belay/internal/engine"
	"belay/internal/observe"
	"belay/internal/plan"
	"belay/internal/toolbox"
	"belay/internal/worker"
)

// Main is a whole worker program: the stock worker's flags, settings, signals and metrics, with these handlers built in.
// It does not return.
func Main(handlers ...Handler) {
	os.Exit(cli.WorkerWith(context.Background(), os.Args[1:], cli.System(), handlersByKey(handlers)))
}

// Tools is a tools file that was read.
type Tools = plan.Tools

// LoadTools reads a tools file. The error lists all its mistakes, each with its place.
func LoadTools(path string) (*Tools, error) { return plan.LoadTools(path) }

// ParseTools reads the text of a tools file; name is for messages, and relative paths in it start at its folder.
func ParseTools(name string, text []byte) (*Tools, error) { return plan.ParseTools(name, text) }

// NATS says how a server is reached, as the nats CLI does.
type NATS struct {
	Server   string // URLs with commas between
	Context  string // a context of the nats CLI, in place of Server
	Creds    string // credentials file
	NKey     string // nkey seed file
	User     string
	Password string
	Token    string
	TLSCert  string
	TLSKey   string
	TLSCA    string
	Prefix   string        // of all subjects and streams; default "belay"
	Timeout  time.Duration // of one request; default 5 s
}

func (n NATS) options(name string, log *slog.Logger) bus.Options {
	return bus.Options{
		Server: n.Server, Context: n.Context, Creds: n.Creds, NKey: n.NKey, User: n.User, Password: n.Password, Token: n.Token,
		TLSCert: n.TLSCert, TLSKey: n.TLSKey, TLSCA: n.TLSCA, Prefix: n.Prefix, Timeout: n.Timeout, Name: name, Log: log,
	}
}

// WorkerOptions say what a worker serves and how much of it at once. Tools is required.
type WorkerOptions struct {
	NATS
	Tools           *Tools
	Name            string         // in the log of runs, unique among workers; default host name and process
	Concurrency     int            // attempts executed at once; default 16 per core
	ToolConcurrency map[string]int // the same of one tool
	DrainTimeout    time.Duration  // how long a stop waits for executing attempts; default 30 s
	Log             *slog.Logger   // default: nothing is logged
}

// RunWorker executes steps until ctx ends; then it takes no more, finishes what it executes within the drain timeout,
// and returns nil. Any number of workers may serve the same tools.
func RunWorker(ctx context.Context, o WorkerOptions, handlers ...Handler) error {
	if o.Tools == nil {
		return fmt.Errorf("belay: WorkerOptions.Tools is missing: LoadTools reads a tools file")
	}
	log := orDiscard(o.Log)
	e, err := engine.Start(ctx, engine.Options{Connect: o.NATS.options("belay-worker", log), Worker: o.engine(handlers, log), Log: log})
	if err != nil {
		return fmt.Errorf("belay: start worker: %w", err)
	}
	defer e.Stop()
	return e.Wait(ctx)
}

func (o WorkerOptions) engine(handlers []Handler, log *slog.Logger) *engine.WorkerOptions {
	if o.Name == "" {
		o.Name = cli.WorkerName()
	}
	return &engine.WorkerOptions{
		Options: worker.Options{
			Name: o.Name, Version: cli.Version, Concurrency: o.Concurrency, ToolConcurrency: o.ToolConcurrency, DrainTimeout: o.DrainTimeout, Log: log,
			Observer: &observe.Attempts{Log: log, Worker: o.Name},
		},
		Tools: o.Tools, Box: toolbox.Options{Handlers: handlersByKey(handlers), Version: cli.Version},
	}
}

func orDiscard(log *slog.Logger) *slog.Logger {
	if log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return log
}
