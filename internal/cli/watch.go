package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"belay/internal/bus"
	"belay/internal/dlq"
	"belay/internal/engine"
	"belay/internal/notify"
	"belay/internal/observe"
	"belay/internal/steps"
)

// logger writes to stderr: for people on a terminal, JSON otherwise; level is what is told without a flag.
func (a *app) logger(level slog.Level) *slog.Logger {
	if a.verbose {
		level = slog.LevelDebug
	}
	if a.logLevel != "" {
		_ = level.UnmarshalText([]byte(a.logLevel)) // it is one of those, or empty
	}
	return observe.NewLogger(a.Err, observe.LogOptions{Level: level, JSON: a.logsJSON(), Color: a.colored(a.Err)})
}

func (a *app) logsJSON() bool { return a.logForm == "json" || a.logForm == "" && !terminal(a.Err) }

// ready tells that a program that keeps running is up: a few lines for people, or one in the log of programs.
func (a *app) ready(what string, facts []fact) {
	if a.logsJSON() {
		attrs := []any{}
		for _, f := range facts {
			attrs = append(attrs, strings.ToLower(f.name), f.text)
		}
		a.logger(slog.LevelInfo).Info(what+" ready", attrs...)
		return
	}
	for _, f := range facts {
		fmt.Fprintf(a.Err, "  %-9s%s\n", f.name, f.text)
	}
}

// fact is one line of what a program says when it is ready.
type fact struct{ name, text string }

// startTraces sets tracing up, if the environment asks for it. What cannot be set up is said once and left out.
func (a *app) startTraces(ctx context.Context, service string) {
	traces, err := observe.NewTraces(ctx, a.Getenv, a.logger(slog.LevelWarn), service, Version)
	if err != nil {
		a.logger(slog.LevelWarn).Warn("no traces", "error", err)
	}
	a.traces = traces
}

// stopTraces sends what has not been sent.
func (a *app) stopTraces() {
	if err := a.traces.Close(); err != nil {
		a.logger(slog.LevelWarn).Warn("some traces were not sent", "error", err)
	}
}

// watched is an engine whose lines, metrics and health are shown.
type watched struct {
	*engine.Engine
	url      string // of metrics and health, empty for none
	stopping *atomic.Bool
	unserve  func()
	site     atomic.Pointer[http.Handler] // of people's pages, once there are any
	public   atomic.Pointer[string]       // host name that everybody knows: no metrics there
}

// Stop drains the engine. Its metrics can be read until it is through; it is not ready any more.
func (w *watched) Stop() {
	w.stopping.Store(true)
	w.Engine.Stop()
	w.unserve()
}

// startWatched starts an engine and shows what it does: lines in the log, and metrics and health on an address. The
// address is taken first: a port in use is said before anything has begun.
func (a *app) startWatched(ctx context.Context, o engine.Options, listen string) (*watched, error) {
	var running atomic.Pointer[engine.Engine]
	w := &watched{stopping: &atomic.Bool{}, unserve: func() {}}
	registry := observe.NewRegistry(Version)
	if listen != "" {
		var err error
		pages := w.pages(observe.Pages(registry, func() error { return w.ready(running.Load()) }))
		if w.url, w.unserve, err = observe.Serve(ctx, listen, pages, o.Log); err != nil {
			return nil, err
		}
	}
	if o.Dispatch != nil {
		o.Dispatch.Observer = &observe.Runs{Log: o.Log, Metrics: observe.NewRunMetrics(registry), Traces: a.traces}
		observe.RegisterSources(registry, sources(&running))
	}
	if o.People != nil && o.People.Notify != nil {
		o.People.Notified = countNotices(registry, o.People.Notify)
	}
	if o.Worker != nil {
		attempts := &observe.Attempts{Metrics: observe.NewAttemptMetrics(registry), Traces: a.traces, Worker: o.Worker.Name}
		if o.Dispatch == nil { // else the dispatcher's lines say the same
			attempts.Log = o.Log
		}
		o.Worker.Observer = attempts
	}
	e, err := engine.Start(ctx, o)
	if err != nil {
		w.unserve()
		return nil, err
	}
	running.Store(e)
	w.Engine = e
	return w, nil
}

// countNotices makes the counters of what becomes of notices.
func countNotices(r prometheus.Registerer, s *notify.Setup) func(notify.Report) {
	outcomes := make([]string, 0, len(notify.Outcomes()))
	for _, o := range notify.Outcomes() {
		outcomes = append(outcomes, string(o))
	}
	m := observe.NewNoticeMetrics(r, slices.Collect(maps.Keys(s.Channels)), outcomes)
	return func(r notify.Report) { m.Attempted(r.Channel, string(r.Outcome)) }
}

// pages are metrics and health, and all others people's.
func (w *watched) pages(own http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		public := w.public.Load()
		switch site := w.site.Load(); {
		case r.URL.Path == "/metrics" && public != nil && strings.EqualFold(r.Host, *public):
			http.NotFound(rw, r)
		case r.URL.Path == "/metrics", r.URL.Path == "/healthz", r.URL.Path == "/readyz", site == nil:
			own.ServeHTTP(rw, r)
		default:
			(*site).ServeHTTP(rw, r)
		}
	})
}

// open shows people's pages.
func (w *watched) open(site http.Handler) { w.site.Store(&site) }

func (w *watched) ready(e *engine.Engine) error {
	switch {
	case e == nil:
		return errors.New("starting")
	case w.stopping.Load():
		return errors.New("draining")
	}
	return e.Ready()
}

var errStarting = errors.New("starting")

// sources asks the engine once it runs.
func sources(running *atomic.Pointer[engine.Engine]) observe.Sources {
	return observe.Sources{
		Queues: func(ctx context.Context) ([]observe.Queue, error) {
			e := running.Load()
			if e == nil {
				return nil, errStarting
			}
			return queues(ctx, e.Bus)
		},
		Open: func(ctx context.Context) (observe.Open, error) {
			e := running.Load()
			if e == nil {
				return observe.Open{}, errStarting
			}
			return openQuestions(ctx, e.Bus)
		},
	}
}

func queues(ctx context.Context, b *bus.Bus) ([]observe.Queue, error) {
	list, err := b.Backlogs(ctx)
	all := make([]observe.Queue, len(list))
	for i, l := range list {
		all[i] = observe.Queue{Tool: l.Tool, Rung: l.Rung, Pending: l.Pending, InFlight: l.InFlight, Pulls: l.Waiting}
	}
	return all, err
}

func openQuestions(ctx context.Context, b *bus.Bus) (observe.Open, error) {
	open := observe.Open{ByKind: map[steps.EscalationKind]int{}}
	ids, err := dlq.New(b).IDs(ctx)
	if err != nil {
		return open, err
	}
	for _, v := range ids {
		open.ByKind[v.Kind]++
	}
	open.Oldest, err = b.Oldest(ctx, b.Names().EscalationsStream())
	return open, err
}

// untilStopped waits for the first signal, or for a part that ends by itself.
func (a *app) untilStopped(ctx context.Context, w *watched) error {
	err := w.Wait(ctx)
	w.stopping.Store(true)
	if err == nil && a.logsJSON() {
		a.logger(slog.LevelInfo).Info("stopping: finishing what is under way")
	} else if err == nil {
		fmt.Fprintln(a.Err, "stopping: finishing what is under way (again to leave at once)")
	}
	return err
}
