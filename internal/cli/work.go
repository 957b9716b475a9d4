package cli

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"

	"github.com/spf13/pflag"

	"belay/internal/executor/remote"
)

// WorkFlags say where programs poll for the calls of remote rungs.
type WorkFlags struct {
	Listen    string // address of the loopback, or unix:PATH; empty = nowhere, and no remote rung is served
	TokenFile string // file of the token that programs show at an address; empty = work-token in the state directory
}

func (f *WorkFlags) add(fl *pflag.FlagSet) {
	fl.StringVar(&f.Listen, "work-listen", "", "`address` where programs poll for the calls of remote rungs, 127.0.0.1:PORT or unix:PATH; empty = nowhere")
	fl.StringVar(&f.TokenFile, "work-token-file", "", "`file` of the token that these programs show, made if it does not exist; or set BELAY_WORK_TOKEN (default work-token in the state directory)")
}

// Work is where programs poll for the calls of remote rungs.
type Work struct {
	Hub   *remote.Hub // nil = nowhere
	Facts []Fact      // for people, when the program is ready
	stop  func()
}

// OpenWork starts giving out work where the flags say. Close it after the worker has ended.
func (a *App) OpenWork(ctx context.Context, f WorkFlags, logger *slog.Logger) (*Work, error) {
	if f.Listen == "" {
		return &Work{stop: func() {}}, nil
	}
	at, err := remote.ParseAddress(f.Listen)
	if err != nil {
		return nil, Usage("--work-listen: %w", err)
	}
	token, known := "", "this user only"
	if !at.Unix() {
		if token, known, err = a.workToken(f.TokenFile); err != nil {
			return nil, WithCode(ExitConfig, err)
		}
	}
	hub := remote.NewHub(logger)
	hub.Expect() // the ladders are made later, so that an address in use is reported before anything else starts
	url, stop, err := hub.Serve(ctx, at, token)
	if err != nil {
		return nil, fmt.Errorf("--work-listen: %w", err)
	}
	return &Work{Hub: hub, Facts: []Fact{{"Work", url + "  (" + known + ")"}}, stop: stop}, nil
}

// workToken is the token that programs show, and a hint on where people find it.
func (a *App) workToken(file string) (token, known string, err error) {
	if token := a.Getenv("BELAY_WORK_TOKEN"); token != "" && file == "" {
		if err := remote.CheckToken(token); err != nil {
			return "", "", fmt.Errorf("BELAY_WORK_TOKEN: %w", err)
		}
		return token, "the token is in BELAY_WORK_TOKEN", nil
	}
	if file == "" {
		dir, err := a.StateDir()
		if err != nil {
			return "", "", err
		}
		file = filepath.Join(dir, "work-token")
	}
	token, err = remote.ReadToken(file)
	return token, "the token is in " + file, err
}

// Close stops giving out work.
func (w *Work) Close() { w.stop() }
