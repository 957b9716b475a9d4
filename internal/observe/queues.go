package observe

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"belay/internal/steps"
)

// Queue is what waits on one rung.
type Queue struct {
	Tool, Rung string
	Pending    uint64 // messages that nobody has
	InFlight   uint64 // messages that a worker has, or that are parked
	Pulls      int    // pulls that wait for a message: 0 with pending ones means that nobody serves it
}

// Open is what people are asked.
type Open struct {
	ByKind map[steps.EscalationKind]int
	Oldest time.Time // zero when there is none
}

// Sources are asked when metrics are read.
type Sources struct {
	Queues func(context.Context) ([]Queue, error)
	Open   func(context.Context) (Open, error)
}

// A scrape asks the server; it may not hold up the scraper, and many scrapers may not hold up the server.
const (
	askTimeout = 2 * time.Second
	fresh      = time.Second
)

type queueCollector struct {
	Sources
	pending, inFlight, pulls, open, oldest, up *prometheus.Desc

	mu   sync.Mutex
	at   time.Time
	last []prometheus.Metric
}

// RegisterSources adds gauges that are read from the server when they are asked for.
func RegisterSources(r prometheus.Registerer, s Sources) {
	d := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	r.MustRegister(&queueCollector{
		Sources:  s,
		pending:  d("belay_steps_pending", "Attempts in the queue that no worker has.", "tool", "rung"),
		inFlight: d("belay_steps_in_flight", "Attempts that a worker has or that wait for their time.", "tool", "rung"),
		pulls:    d("belay_step_pulls_waiting", "Workers' requests for attempts that wait; 0 while attempts are pending means that nobody serves the rung.", "tool", "rung"),
		open:     d("belay_escalations_open", "Questions to people that nobody has decided.", "kind"),
		oldest:   d("belay_escalation_oldest_age_seconds", "Age of the oldest open question; 0 without one."),
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
		age = max(0, time.Since(open.Oldest).Seconds())
	}
	gauge(c.oldest, age)
	for _, kind := range steps.EscalationKinds() {
		gauge(c.open, float64(open.ByKind[kind]), string(kind))
	}
	return all
}
