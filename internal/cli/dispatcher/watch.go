package dispatcher

import (
	"context"
	"errors"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"belay/internal/breaker"
	"belay/internal/bus"
	"belay/internal/cli"
	"belay/internal/dlq"
	"belay/internal/doctor"
	"belay/internal/engine"
	"belay/internal/manual"
	"belay/internal/notify"
	"belay/internal/observe"
	"belay/internal/requests"
	"belay/internal/schedules"
	"belay/internal/server/gate"
	"belay/internal/steps"
)

// watched is an engine with its log, metrics and health checks.
type watched struct {
	*engine.Engine
	url      string // of metrics and health checks; empty = nothing listens
	stopping *atomic.Bool
	unserve  func()
	site     atomic.Pointer[http.Handler] // the console and the API, once they are there
	public   atomic.Pointer[string]       // public host name, on which metrics are not served unless scraped has it
	scraped  atomic.Pointer[[]string]     // host names under which metrics are read; none = any but the public one
	doctor   doctor.Options               // what the page System looks at
}

// Stop drains the engine. Meanwhile it is not ready, and its metrics can still be read.
func (w *watched) Stop() {
	w.stopping.Store(true)
	w.Engine.Stop()
	w.unserve()
}

// startWatched starts an engine with log lines, and with metrics and health checks on an address. It listens first, so
// that a port in use is reported before anything else starts.
func (a *app) startWatched(ctx context.Context, o engine.Options, listen string) (*watched, error) {
	var running atomic.Pointer[engine.Engine]
	w := &watched{stopping: &atomic.Bool{}, unserve: func() {}}
	registry := observe.NewRegistry(cli.Version)
	if listen != "" {
		var err error
		pages := w.pages(observe.Pages(registry, func() error { return w.ready(running.Load()) }))
		if w.url, w.unserve, err = observe.Serve(ctx, listen, manual.Handler("/", pages), o.Logger); err != nil {
			return nil, err
		}
	}
	observe.RegisterClock(registry, func() observe.Clock {
		if e := running.Load(); e != nil {
			return cli.ClockOf(e.Bus)
		}
		return observe.Clock{}
	})
	if o.Dispatch != nil {
		o.Dispatch.Observer = &observe.Runs{Logger: o.Logger, Metrics: observe.NewRunMetrics(registry), Traces: a.Traces}
		observe.RegisterSources(registry, sources(&running))
		observe.RegisterStore(registry, func() observe.Store { return storeOf(running.Load()) })
		observe.RegisterDisk(registry, func() observe.Disk { return diskOf(running.Load()) })
	}
	if o.People != nil {
		o.People.Refused = countRefusals(registry)
		if n, is := o.People.Notifier.(*notify.Service); is && n.Setup != nil {
			n.Reports = countNotices(registry, n.Setup)
		}
	}
	if o.Worker != nil { // without a logger: the dispatcher's lines say the same
		metrics := observe.NewAttemptMetrics(registry)
		o.Worker.Observer = &observe.Attempts{Metrics: metrics, Traces: a.Traces, Worker: o.Worker.Name}
		o.Worker.Box.Asked = metrics.Asked
		observe.RegisterCheckpoints(registry, func() (kept int, contradicted, ok bool) {
			if e := running.Load(); e != nil {
				return e.KeptCheckpoints()
			}
			return 0, false, false
		})
	}
	o.Canary = canaryKind
	e, err := engine.Start(ctx, o)
	if err != nil {
		w.unserve()
		return nil, err
	}
	running.Store(e)
	w.Engine = e
	return w, nil
}

// storeOf is what an engine knows of the log as a whole.
func storeOf(e *engine.Engine) observe.Store {
	var s observe.Store
	if e == nil {
		return s
	}
	for _, d := range e.Drift() {
		s.Drift++
		if d.Grave() {
			s.Grave++
		}
	}
	if e.Gates != nil {
		s.GatesClosed, s.GateSince = e.Gates.Oldest()
		s.Waiting = e.BehindGates()
		s.Limited = map[observe.Limited]int{}
		for k, n := range e.LimitedCalls() {
			s.Limited[observe.Limited{Tool: k.Tool, Why: string(k.Why)}] = n
		}
		for _, o := range e.Outside() {
			s.Outside = append(s.Outside, observe.Outside{Tool: o.Tool, Rung: o.Rung, Priority: o.Priority.String(), Attempts: o.Attempts})
		}
	}
	if e.Schedules != nil {
		for _, known := range e.Schedules.Known() {
			s.Schedules = append(s.Schedules, scheduleOf(&known))
		}
	}
	if e.Limits != nil {
		s.InHand = e.Limits.InHand()
	}
	if e.Breakers != nil {
		for _, r := range e.Breakers.Records() {
			s.Breakers = append(s.Breakers, observe.Breaker{Tool: r.Tool, Rung: r.Rung, Target: r.Host, State: map[breaker.State]float64{breaker.Ramp: 1, breaker.HalfOpen: 2, breaker.Open: 3}[r.State], Opened: r.Since})
		}
	}
	s.Score = scoreOf(e)
	if e.Tally != nil {
		s.Damages, s.Whole = len(e.Tally.Found()), e.Tally.Whole()
	}
	return s
}

func scheduleOf(s *schedules.Schedule) observe.Schedule {
	v := observe.Schedule{Name: s.Name}
	if s.Next != nil {
		v.Next = *s.Next
	}
	if len(s.Firings) > 0 {
		v.Last, v.Refused = s.Firings[0].At, s.Firings[0].Error != ""
	}
	if s.Missed != nil {
		v.Missed = s.Missed.N
	}
	if s.Skipped != nil {
		v.Skipped = s.Skipped.N
	}
	return v
}

// countNotices registers the counters of what becomes of notices.
func countNotices(r prometheus.Registerer, s *notify.Setup) func(notify.Report) {
	outcomes := make([]string, 0, len(notify.Outcomes()))
	for _, o := range notify.Outcomes() {
		outcomes = append(outcomes, string(o))
	}
	m := observe.NewNoticeMetrics(r, slices.Collect(maps.Keys(s.Channels)), outcomes)
	return func(r notify.Report) { m.Attempted(r.Channel, string(r.Outcome)) }
}

// countRefusals registers the counters of requests that are refused.
func countRefusals(r prometheus.Registerer) func(requests.Refusal) {
	var kinds [][2]string
	for _, k := range requests.Refusals() {
		kinds = append(kinds, [2]string{k.What, k.Why})
	}
	m := observe.NewRefusalMetrics(r, kinds)
	return func(k requests.Refusal) { m.Refused(k.What, k.Why) }
}

// pages serves metrics and health checks itself and passes all else on to the console and the API.
func (w *watched) pages(own http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		switch site := w.site.Load(); {
		case r.URL.Path == "/metrics" && !w.scrapes(r.Host):
			gate.Problem(rw, http.StatusMisdirectedRequest, "misdirected", "Another host name", "metrics are not read under this host name; --metrics-host says under which they are")
		case r.URL.Path == "/metrics", r.URL.Path == "/healthz", r.URL.Path == "/readyz":
			own.ServeHTTP(rw, r)
		case site == nil: // whoever waits for a run through a restart must not hear that there is none
			gate.Problem(rw, http.StatusServiceUnavailable, "starting", "The dispatcher is starting", "ask again in a moment; /readyz says when it is ready")
		default:
			(*site).ServeHTTP(rw, r)
		}
	})
}

// scrapes reports whether metrics are read under a host name. A browser can be made to ask under any name, and metrics tell of
// plans and tools; health checks tell nothing, and are answered under every name.
func (w *watched) scrapes(host string) bool {
	meant := w.scraped.Load()
	if meant == nil || len(*meant) == 0 {
		public := w.public.Load()
		return public == nil || !strings.EqualFold(host, *public)
	}
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	if name == "localhost" || net.ParseIP(name).IsLoopback() {
		return true
	}
	return slices.ContainsFunc(*meant, func(h string) bool {
		return h == "*" || strings.EqualFold(h, host) || strings.EqualFold(h, name)
	})
}

// open starts serving the console and the API.
func (w *watched) open(site http.Handler) { w.site.Store(&site) }

func (w *watched) ready(e *engine.Engine) error {
	switch {
	case e == nil, w.site.Load() == nil: // whoever hears that it is ready may call the API at once
		return errStarting
	case w.stopping.Load():
		return errors.New("draining")
	}
	return e.Ready()
}

var errStarting = errors.New("starting")

// sources are the metrics that are asked of the engine, once it runs.
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
	open.Now = b.Now()
	return open, err
}

// untilStopped waits for the first signal, or for a part of the engine that fails.
func (a *app) untilStopped(ctx context.Context, w *watched) error {
	err := w.Wait(ctx)
	w.stopping.Store(true)
	if err == nil {
		a.Draining()
	}
	return err
}
