package observe

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"belay/internal/steps"
)

// Attempts hears of every attempt that a worker executes. It is safe for concurrent use. Each part may be left out.
type Attempts struct {
	Log     *slog.Logger
	Metrics *AttemptMetrics
	Traces  *Traces
	Worker  string
}

// Began implements the worker's observer.
func (o *Attempts) Began(ctx context.Context, m steps.StepMessage, header map[string][]string, deliveries uint64) context.Context {
	if o.Metrics != nil {
		o.Metrics.began(m, deliveries)
	}
	return o.Traces.began(ctx, m, header, deliveries, o.Worker)
}

// Ended implements the worker's observer.
func (o *Attempts) Ended(ctx context.Context, m steps.StepMessage, outcome steps.Event, took time.Duration) {
	var fault *steps.Fault
	if f, is := outcome.(steps.Failed); is {
		fault = &f.Fault
	}
	if o.Metrics != nil {
		o.Metrics.ended(m, fault, took)
	}
	o.line(ctx, m, fault, took)
	o.Traces.finished(ctx, fault)
}

// Refused implements the worker's observer. The worker has a line for it in its log.
func (o *Attempts) Refused(m steps.StepMessage, _ steps.Fault) {
	if o.Metrics != nil {
		o.Metrics.refused.WithLabelValues(m.Tool, m.RungName).Inc()
	}
}

func (o *Attempts) line(ctx context.Context, m steps.StepMessage, fault *steps.Fault, took time.Duration) {
	level, msg := slog.LevelInfo, "attempt succeeded"
	if fault != nil {
		level, msg = slog.LevelWarn, "attempt failed"
	}
	if o.Log == nil || !o.Log.Enabled(ctx, level) {
		return
	}
	attrs := []slog.Attr{
		slog.String("run_id", m.Run), slog.String("step_id", m.Step), slog.String("attempt", m.Token()),
		slog.String("tool", m.Tool), slog.String("rung", m.RungName), slog.String("worker", o.Worker), slog.Duration("took", took),
	}
	attrs = append(attrs, traceAttrs(ctx)...)
	if fault != nil {
		attrs = append(attrs, slog.String("error.type", string(fault.Class)), slog.String("error", fault.Message))
	}
	o.Log.LogAttrs(ctx, level, msg, attrs...)
}

// AttemptMetrics count what a worker executes.
type AttemptMetrics struct {
	took        *prometheus.HistogramVec
	redelivered *prometheus.CounterVec
	refused     *prometheus.CounterVec
	executing   *prometheus.GaugeVec
}

// NewAttemptMetrics registers the metrics of a worker.
func NewAttemptMetrics(r prometheus.Registerer) *AttemptMetrics {
	m := &AttemptMetrics{
		took:        histogram("belay_step_attempt_duration_seconds", "How long executing an attempt took.", executionBuckets, "tool", "rung", "outcome", "error_type"),
		redelivered: counter("belay_redeliveries_total", "Attempts executed on another than the first delivery: retries that waited, and what another worker did not finish.", "tool", "rung"),
		refused:     counter("belay_step_refusals_total", "Step messages that were not executed, because no person has approved what they ask for.", "tool", "rung"),
		executing:   prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "belay_step_attempts_executing", Help: "Attempts being executed now."}, []string{"tool", "rung"}),
	}
	r.MustRegister(m.took, m.redelivered, m.refused, m.executing)
	return m
}

func (m *AttemptMetrics) began(s steps.StepMessage, deliveries uint64) {
	m.executing.WithLabelValues(s.Tool, s.RungName).Inc()
	if deliveries > 1 {
		m.redelivered.WithLabelValues(s.Tool, s.RungName).Inc()
	}
}

func (m *AttemptMetrics) ended(s steps.StepMessage, fault *steps.Fault, took time.Duration) {
	outcome := steps.AttemptSucceeded
	if fault != nil {
		outcome = steps.AttemptFailed
	}
	m.executing.WithLabelValues(s.Tool, s.RungName).Dec()
	m.took.WithLabelValues(s.Tool, s.RungName, string(outcome), errorType(fault)).Observe(took.Seconds())
}
