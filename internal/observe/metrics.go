package observe

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"belay/internal/steps"
	"belay/internal/steps/view"
)

// Buckets in seconds: for executions, from a local call to a long agent; for the time that people take; for whole runs.
var (
	executionBuckets = []float64{.001, .005, .025, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 900}
	peopleBuckets    = []float64{5, 15, 60, 300, 900, 3600, 4 * 3600, 24 * 3600}
	callBuckets      = prometheus.ExponentialBuckets(.01, 2, 14) // of calls of models, as the conventions say
	tokenBuckets     = prometheus.ExponentialBuckets(1, 4, 14)   // tokens, likewise
	runBuckets       = []float64{.01, .05, .25, 1, 5, 30, 120, 600, 3600, 6 * 3600, 24 * 3600}
)

// NewRegistry makes a registry with the metrics of every process. Nothing is registered globally.
func NewRegistry(version string) *prometheus.Registry {
	r := prometheus.NewRegistry()
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "belay_build_info", Help: "1, with the version of this binary.", ConstLabels: prometheus.Labels{"version": version},
	})
	build.Set(1)
	r.MustRegister(build, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}

// RunMetrics count what a dispatcher applies to runs.
type RunMetrics struct {
	submitted, runs, steps, attempts, fallbacks, opened, decisions, expired, notCounted *prometheus.CounterVec
	runTook, queueWait, decisionTime                                                    *prometheus.HistogramVec
}

// NewRunMetrics registers the metrics of a dispatcher.
func NewRunMetrics(r prometheus.Registerer) *RunMetrics {
	m := &RunMetrics{
		submitted:    counter("belay_runs_submitted_total", "Submitted runs.", "workflow"),
		runs:         counter("belay_runs_total", "Ended runs.", "workflow", "outcome"),
		steps:        counter("belay_steps_total", "Ended steps, items and compensations.", "tool", "outcome"),
		attempts:     counter("belay_step_attempts_total", "Ended attempts.", "tool", "rung", "outcome", "error_type"),
		fallbacks:    counter("belay_fallbacks_total", "Steps that fell back to another rung.", "tool", "from_rung", "to_rung", "reason"),
		opened:       counter("belay_escalations_opened_total", "Escalations that were opened.", "kind"),
		expired:      counter("belay_escalations_expired_total", "Escalations that nobody decided in time.", "kind"),
		decisions:    counter("belay_escalation_decisions_total", "Decisions that counted.", "decision", "via"),
		notCounted:   counter("belay_reports_not_counted_total", "What workers that may report of some tools alone have written and that does not count as a report: it is about a step of another tool (foreign), or cannot be read (unreadable).", "why"),
		runTook:      histogram("belay_run_duration_seconds", "Time from a run's submit to its result, including the time that people took.", runBuckets, "workflow", "outcome"),
		queueWait:    histogram("belay_step_queue_wait_seconds", "Time from when an attempt may be executed until a worker begins.", executionBuckets, "tool", "rung"),
		decisionTime: histogram("belay_escalation_time_to_decision_seconds", "Time from an escalation to its decision.", peopleBuckets, "kind"),
	}
	r.MustRegister(m.submitted, m.runs, m.steps, m.attempts, m.fallbacks, m.opened, m.decisions, m.expired, m.notCounted, m.runTook, m.queueWait, m.decisionTime)
	for _, why := range []string{whyForeign, whyUnreadable} { // so that an alert sees the first one
		m.notCounted.WithLabelValues(why)
	}
	return m
}

// Why what a worker wrote has not counted.
const (
	whyForeign    = "foreign"
	whyUnreadable = "unreadable"
)

func counter(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
}

func histogram(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
}

func (m *RunMetrics) applied(c *change) {
	workflow := c.s.Program.Plan.Name
	switch c.r.Event.(type) {
	case steps.Submitted:
		m.submitted.WithLabelValues(workflow).Inc()
	case steps.Junk:
		m.notCounted.WithLabelValues(whyUnreadable).Inc()
	case steps.Closed:
		m.runs.WithLabelValues(workflow, string(c.s.Status())).Inc()
		m.runTook.WithLabelValues(workflow, string(c.s.Status())).Observe(c.s.Lasted().Seconds())
	}
	if _, junk := c.r.Event.(steps.Junk); !junk && c.s.Foreign(c.r) {
		m.notCounted.WithLabelValues(whyForeign).Inc()
	}
	if c.attempt != nil {
		m.attempt(c)
	}
	if e := c.decided(); e != nil {
		m.decisions.WithLabelValues(string(e.Decision.Verb), e.Decision.Via).Inc()
		m.decisionTime.WithLabelValues(string(e.Kind)).Observe(e.Ended.Sub(e.Opened).Seconds())
	}
	c.moved(func(i int, u *steps.Unit) {
		if u.State().Ended() {
			m.steps.WithLabelValues(c.s.Tool(i).Name, stepOutcome(u)).Inc()
		}
	})
	c.expired(func(e *steps.Escalation) { m.expired.WithLabelValues(string(e.Kind)).Inc() })
	c.opened(func(_ int, e *steps.Escalation) { m.opened.WithLabelValues(string(e.Kind)).Inc() })
}

func stepOutcome(u *steps.Unit) string {
	if u.State() == steps.StepSucceeded && u.Degraded != nil {
		return "degraded"
	}
	return string(u.State())
}

func (m *RunMetrics) attempt(c *change) {
	t := c.attempt
	tool, rung := c.where(c.unit, t.Rung)
	m.attempts.WithLabelValues(tool, rung, string(t.State), errorType(t.Fault)).Inc()
	if !c.started.IsZero() { // two clocks, the worker's and the log's: never below zero
		wait := c.started.Sub(t.Queued) - time.Duration(t.Wait)
		m.queueWait.WithLabelValues(tool, rung).Observe(max(0, wait).Seconds())
	}
	if t.State == steps.AttemptSucceeded {
		return
	}
	if kind, next := view.SequelOf(c.s, c.unit, t); kind == view.SequelRung {
		_, to := c.where(c.unit, next.Rung)
		m.fallbacks.WithLabelValues(tool, rung, to, errorType(t.Fault)).Inc()
	}
}

func errorType(f *steps.Fault) string {
	if f == nil {
		return ""
	}
	return string(f.Class)
}
