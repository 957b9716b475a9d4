package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"belay/internal/bus"
	"belay/internal/dispatch"
	"belay/internal/engine"
	"belay/internal/observe"
	"belay/internal/plan"
	"belay/internal/toolbox"
	"belay/internal/worker"
)

// session is what a command works on: somebody else's engine over a connection, or an embedded one of its own.
type session struct {
	*engine.Engine
	embedded bool
	services *services
}

func (s *session) close() {
	s.Stop()
	s.services.stop()
}

// carry says what an embedded engine must be able to do beside reading: nothing, or moving runs on with these tools.
type carry struct {
	dispatch bool
	tools    *plan.Tools
	server   bool // an embedded engine will not do: what is started must go on without this process
}

// open connects to the server that is named, or to a running one noted in the state directory; where there is neither
// it opens the embedded store, and starts a dispatcher and a worker on it if runs are to be carried on.
func (a *app) open(ctx context.Context, c carry) (*session, error) {
	if s, err := a.connect(ctx); s != nil || err != nil {
		return s, err
	}
	if c.server {
		return nil, usage("--detach needs a server that goes on without this process: start `dispatcher dev`, or name one with --server, or with --data-dir if it was started with that")
	}
	dir, err := a.stateDir()
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

// connect is nil without an error when no server is named or running.
func (a *app) connect(ctx context.Context) (*session, error) {
	o := a.connection("dispatcher")
	if o.Server != "" || o.Context != "" {
		e, err := engine.Start(ctx, engine.Options{Connect: o, Token: a.apiToken, Log: o.Log})
		if err != nil {
			return nil, unreachable(err)
		}
		return &session{Engine: e}, nil
	}
	dir, err := a.stateDir()
	if err != nil {
		return nil, err
	}
	url, err := engine.Find(dir)
	if errors.Is(err, engine.ErrNoServer) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	o.Server, o.Timeout = url, min(o.Timeout, 2*time.Second)
	e, err := engine.Start(ctx, engine.Options{Connect: o, Token: a.apiToken, Log: o.Log})
	if err != nil {
		// Its process may have been killed and have left the note behind; then the store is free.
		o.Log.Debug("the server noted in the state directory does not answer", "server", url, "error", err)
		return nil, nil
	}
	return &session{Engine: e}, nil
}

// unreachable gives errors of connecting their exit code.
func unreachable(err error) error {
	if code, _ := codeOf(err); code == exitUnexpected {
		return &exitError{exitUnreachable, err}
	}
	return err
}

func (a *app) connection(who string) bus.Options {
	o := a.conn
	host, err := os.Hostname()
	if err != nil {
		host = "unknown-host"
	}
	o.Name = "belay-" + who + "/" + Version + " " + host
	o.Prefix = a.prefix
	o.Log = a.logger(slog.LevelWarn)
	return o
}

func (a *app) embeddedOptions(dir string, c carry) engine.Options {
	log := a.logger(slog.LevelWarn)
	o := engine.Options{
		Connect: a.connection("embedded"), Log: log,
		Embedded: &bus.ServerOptions{StoreDir: filepath.Join(dir, "jetstream"), Log: log},
	}
	o.Connect.Server, o.Connect.Context = "", ""
	o.People = &engine.PeopleOptions{Keys: keysDir(dir), Checkpoints: checkpointsFile(dir, "")}
	if c.dispatch {
		o.Dispatch = &dispatch.Options{Name: "embedded", Observer: a.told(log)}
	}
	if c.tools != nil {
		o.Worker = &engine.WorkerOptions{
			Options: worker.Options{Name: WorkerName(), Version: Version, Observer: &observe.Attempts{Traces: a.traces, Worker: WorkerName()}}, Tools: c.tools, Box: toolbox.Options{Version: Version},
		}
	}
	return o
}

// keysDir is where the state directory has the key that signs approvals.
func keysDir(state string) string { return filepath.Join(state, "keys") }

// checkpointsFile is where checkpoints of the audit trail are kept outside the store: of the store in the same state
// directory, or of the trail in a server somewhere else.
func checkpointsFile(state, trail string) string {
	if trail == "" {
		return filepath.Join(state, "audit.checkpoints")
	}
	sum := sha256.Sum256([]byte(trail))
	return filepath.Join(state, "audit-"+hex.EncodeToString(sum[:4])+".checkpoints")
}

// trailAt names the trail in a server.
func (a *app) trailAt(server string) string {
	return strings.Join([]string{server, a.conn.Context, a.prefix}, " ")
}

// told is what is said of runs beside their progress, which is printed anyway: nothing unless asked for.
func (a *app) told(log *slog.Logger) *observe.Runs {
	o := &observe.Runs{Traces: a.traces}
	if a.verbose || a.logLevel != "" {
		o.Log = log
	}
	return o
}

// WorkerName tells workers apart in the log of a run.
func WorkerName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "worker"
	}
	return fmt.Sprintf("%s-%d", host, os.Getpid())
}
