package dispatcher

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"time"

	"belay/internal/bus/embedded"
	"belay/internal/cli"
	"belay/internal/dispatch"
	"belay/internal/engine"
	"belay/internal/ladder"
	"belay/internal/notify"
	"belay/internal/observe"
	"belay/internal/plan"
	"belay/internal/worker"
)

// session is what a command works on: the engine of another process over a connection, or an embedded one of its own.
type session struct {
	*engine.Engine
	embedded bool
	services *services
}

func (s *session) close() {
	s.Stop()
	s.services.stop()
}

// carry says what a session must do beside reading.
type carry struct {
	dispatch bool        // move runs on, if the engine is embedded
	tools    *plan.Tools // execute the steps of these tools, if the engine is embedded
	server   bool        // go on without this process, so an embedded engine will not do
}

// open connects to the server that the flags name, or to a running one that the state directory notes. Without either
// it opens the embedded store, with a dispatcher and a worker if c asks for them.
func (a *app) open(ctx context.Context, c carry) (*session, error) {
	s, err := a.opened(ctx, c)
	if err == nil {
		cli.GoBy(s.Bus.Now)
	}
	return s, err
}

func (a *app) opened(ctx context.Context, c carry) (*session, error) {
	if s, err := a.connect(ctx); s != nil || err != nil {
		return s, err
	}
	if c.server {
		return nil, cli.Usage("--detach needs a server that goes on without this process; start `dispatcher dev`, or name one with --server (or with --data-dir, if it was started with that)")
	}
	dir, err := a.StateDir()
	if err != nil {
		return nil, err
	}
	s := &session{embedded: true}
	if c.tools != nil {
		if s.services, err = a.startServices(ctx, c.tools); err != nil {
			return nil, err
		}
	}
	if s.Engine, err = engine.Start(ctx, a.embeddedOptions(dir, c)); err != nil {
		s.services.stop()
		return nil, err
	}
	return s, nil
}

// connect returns nil and no error if no server is named or running.
func (a *app) connect(ctx context.Context) (*session, error) {
	o := a.Connection("dispatcher")
	if o.Server != "" || o.Context != "" {
		e, err := engine.Start(ctx, engine.Options{Connect: o, Token: a.APIToken, Logger: o.Logger})
		if err != nil {
			return nil, a.Unreachable(err)
		}
		return &session{Engine: e}, nil
	}
	dir, err := a.StateDir()
	if err != nil {
		return nil, err
	}
	url, err := cli.FindServer(dir)
	if errors.Is(err, cli.ErrNoServer) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	o.Patience = o.Timeout
	o.Server, o.Timeout = url, min(o.Timeout, 2*time.Second)
	e, err := engine.Start(ctx, engine.Options{Connect: o, Token: a.APIToken, Logger: o.Logger})
	if err != nil {
		// Its process may have been killed and have left its note behind; then the store is free.
		o.Logger.Debug("the server noted in the state directory does not answer", "server", url, "error", err)
		return nil, nil
	}
	return &session{Engine: e}, nil
}

func (a *app) embeddedOptions(dir string, c carry) engine.Options {
	logger := a.Logger(slog.LevelWarn)
	o := engine.Options{
		Connect: a.Connection("embedded"), Version: cli.Version, Logger: logger,
		Embedded: &embedded.Options{StoreDir: filepath.Join(dir, "jetstream"), Logger: logger},
	}
	o.Connect.Server, o.Connect.Context = "", ""
	o.People = &engine.PeopleOptions{Keys: keysDir(dir), Index: indexDir(dir), Tally: tallyDir(dir, ""), Checkpoints: checkpointsFile(dir, ""), Notifier: &notify.Service{}}
	if c.dispatch {
		o.Dispatch = &dispatch.Options{Name: "embedded", Observer: a.observer(logger)}
	}
	if c.tools != nil {
		o.Worker = &engine.WorkerOptions{
			Options: worker.Options{Name: cli.WorkerName(), Version: cli.Version, Observer: &observe.Attempts{Traces: a.Traces, Worker: cli.WorkerName()}}, Tools: c.tools, Box: ladder.Options{Version: cli.Version, Outbound: a.Outbound()},
		}
	}
	return o
}

// keysDir is the folder with the key that signs approvals.
func keysDir(state string) string { return filepath.Join(state, "keys") }

// indexDir is the folder with the index of runs.
func indexDir(state string) string { return filepath.Join(state, "index") }

// tallyDir is the folder in which it is kept outside the store what the log holds; trail is as for checkpointsFile.
func tallyDir(state, trail string) string {
	if trail == "" {
		return filepath.Join(state, "tally")
	}
	sum := sha256.Sum256([]byte(trail))
	return filepath.Join(state, "tally-"+hex.EncodeToString(sum[:4]))
}

// checkpointsFile is the file that keeps checkpoints of the audit trail outside the store. Trail is empty for the store
// in the same state directory, or names the trail of another server.
func checkpointsFile(state, trail string) string {
	if trail == "" {
		return filepath.Join(state, "audit.checkpoints")
	}
	sum := sha256.Sum256([]byte(trail))
	return filepath.Join(state, "audit-"+hex.EncodeToString(sum[:4])+".checkpoints")
}

// trailAt names the audit trail of a server. It is the same trail with another password.
func (a *app) trailAt(server string) string {
	return strings.Join([]string{cli.WithoutUsers(server), a.Conn.Context, a.Prefix}, " ")
}

// observer logs what happens to runs, if the flags ask for it: their progress is printed anyway.
func (a *app) observer(logger *slog.Logger) *observe.Runs {
	o := &observe.Runs{Traces: a.Traces}
	if a.Verbose || a.LogLevel != "" {
		o.Logger = logger
	}
	return o
}
