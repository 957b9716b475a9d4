package observe

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"belay/internal/steps"
)

// Queue is the queue of one rung.
type Queue struct {
	Tool, Rung string // the rung
	Pending    uint64 // messages that no worker has
	InFlight   uint64 // messages that a worker has, or that are parked
	Pulls      int    // pulls that wait for a message; 0 with pending messages means that no worker serves the rung
}

// Open says how many escalations are open.
type Open struct {
	ByKind map[steps.EscalationKind]int // how many escalations are open; kinds without one may be missing
	Oldest time.Time                    // when the oldest of them was opened; zero = none is open
	Now    time.Time                    // at the server, whose time Oldest is
}

// Sources are asked when metrics are scraped.
type Sources struct {
	Queues func(context.Context) ([]Queue, error) // all rungs that have a consumer
	Open   func(context.Context) (Open, error)    // an error is a scrape without them
}

// A scrape asks the server. It must not delay the scraper, and many scrapers must not load the server.
const (
	askTimeout = 2 * time.Second
	fresh      = time.Second // how long an answer is reused
)

type queueCollector struct {
	Sources
	pending, inFlight, pulls, open, oldest, up *prometheus.Desc

	mu   sync.Mutex
	at   time.Time
	last []prometheus.Metric
}

// RegisterSources registers gauges whose values are read from the server at each scrape.
func RegisterSources(r prometheus.Registerer, s Sources) {
	d := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	r.MustRegister(&queueCollector{
		Sources:  s,
		pending:  d("belay_steps_pending", "Attempts in the queue that no worker has.", "tool", "rung"),
		inFlight: d("belay_steps_in_flight", "Attempts that a worker has in hand, or that wait for their time.", "tool", "rung"),
		pulls:    d("belay_step_pulls_waiting", "Pulls of workers that wait for an attempt; 0 while attempts are pending means that no worker serves the rung.", "tool", "rung"),
		open:     d("belay_escalations_open", "Open escalations.", "kind"),
		oldest:   d("belay_escalation_oldest_age_seconds", "Age of the oldest open escalation; 0 without one."),
		up:       d("belay_nats_up", "1 if NATS answered when the metrics were read."),
	})
}

// Describe implements prometheus.Collector.
func (c *queueCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.pending, c.inFlight, c.pulls, c.open, c.oldest, c.up} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *queueCollector) Collect(ch chan<- prometheus.Metric) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.at) > fresh {
		c.last, c.at = c.read(), time.Now()
	}
	for _, m := range c.last {
		ch <- m
	}
}

func (c *queueCollector) read() []prometheus.Metric {
	ctx, cancel := context.WithTimeout(context.Background(), askTimeout)
	defer cancel()
	var all []prometheus.Metric
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		all = append(all, prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...))
	}
	queues, err := c.Queues(ctx)
	if err != nil {
		gauge(c.up, 0)
		return all
	}
	for _, q := range queues {
		gauge(c.pending, float64(q.Pending), q.Tool, q.Rung)
		gauge(c.inFlight, float64(q.InFlight), q.Tool, q.Rung)
		gauge(c.pulls, float64(q.Pulls), q.Tool, q.Rung)
	}
	open, err := c.Open(ctx)
	if err != nil {
		gauge(c.up, 0)
		return all
	}
	gauge(c.up, 1)
	age := 0.0
	if !open.Oldest.IsZero() {
		age = max(0, open.Now.Sub(open.Oldest).Seconds())
	}
	gauge(c.oldest, age)
	for _, kind := range steps.EscalationKinds() {
		gauge(c.open, float64(open.ByKind[kind]), string(kind))
	}
	return all
}
