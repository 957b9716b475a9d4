package observe

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"belay/internal/genai"
	"belay/internal/steps"
)

// Attempts observes the attempts that a worker executes. It is safe for concurrent use. A nil field leaves that part
// out.
type Attempts struct {
	Logger  *slog.Logger    // one line per change
	Metrics *AttemptMetrics // counts and durations
	Traces  *Traces         // a span per attempt
	Worker  string          // the worker's name, in lines and spans
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

// Refused implements the worker's observer. The line about it is the worker's own.
func (o *Attempts) Refused(m steps.StepMessage, _ steps.Fault) {
	if o.Metrics != nil {
		o.Metrics.refused.WithLabelValues(m.Tool, m.RungName).Inc()
	}
}

// Injected implements the worker's observer. The line about it is the worker's own.
func (o *Attempts) Injected(m steps.StepMessage, what string) {
	if o.Metrics != nil {
		o.Metrics.injected.WithLabelValues(m.Tool, m.RungName, what).Inc()
	}
}

func (o *Attempts) line(ctx context.Context, m steps.StepMessage, fault *steps.Fault, took time.Duration) {
	level, msg := slog.LevelInfo, "attempt succeeded"
	if fault != nil {
		level, msg = slog.LevelWarn, "attempt failed"
	}
	if o.Logger == nil || !o.Logger.Enabled(ctx, level) {
		return
	}
	attrs := []slog.Attr{
		slog.String("run_id", m.Run), slog.String("step_id", m.Step), slog.String("attempt", m.Token()),
		slog.String("tool", m.Tool), slog.String("rung", m.RungName), slog.String("worker", o.Worker), slog.Duration("took", took),
	}
	attrs = append(attrs, traceAttrs(ctx)...)
	if fault != nil {
		attrs = append(attrs, slog.String("error.type", string(fault.Class)), slog.String("error", fault.Message))
		if fault.Injected != "" {
			attrs = append(attrs, slog.String("fault_id", fault.Injected))
		}
	}
	o.Logger.LogAttrs(ctx, level, msg, attrs...)
}

// AttemptMetrics count what a worker executes.
type AttemptMetrics struct {
	took        *prometheus.HistogramVec
	redelivered *prometheus.CounterVec
	refused     *prometheus.CounterVec
	injected    *prometheus.CounterVec
	apart       *prometheus.CounterVec
	executing   *prometheus.GaugeVec
	asked       *prometheus.HistogramVec
	tokens      *prometheus.HistogramVec
}

// NewAttemptMetrics registers the metrics of a worker.
func NewAttemptMetrics(r prometheus.Registerer) *AttemptMetrics {
	m := &AttemptMetrics{
		took:        histogram("belay_step_attempt_duration_seconds", "How long executing an attempt took.", executionBuckets, "tool", "rung", "outcome", "error_type"),
		redelivered: counter("belay_redeliveries_total", "Deliveries of attempts after the first: after a wait, or because another worker did not finish.", "tool", "rung"),
		refused:     counter("belay_step_refusals_total", "Step messages that were refused because nobody had approved the call.", "tool", "rung"),
		injected:    counter("belay_faults_injected_total", "Faults on purpose: attempts that were given one, by its class, or slow, kill or partition.", "tool", "rung", "class"),
		apart:       counter("belay_crash_lane_attempts_total", "Attempts that were executed apart from everything else, because they may have ended a worker: apart (at first) or alone.", "tool", "rung", "lane"),
		executing:   prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "belay_step_attempts_executing", Help: "Attempts that are being executed."}, []string{"tool", "rung"}),
		asked:       histogram(genai.OperationDuration, "How long calls of models took.", callBuckets, genai.LabelOperation, genai.LabelProvider, genai.LabelModel, genai.LabelError),
		tokens:      histogram(genai.TokenUsage, "Tokens that a call of a model took.", tokenBuckets, genai.LabelOperation, genai.LabelProvider, genai.LabelModel, genai.LabelToken),
	}
	r.MustRegister(m.took, m.redelivered, m.refused, m.injected, m.apart, m.executing, m.asked, m.tokens)
	return m
}

// Asked counts a call of a model.
func (m *AttemptMetrics) Asked(c genai.Call) {
	m.asked.WithLabelValues(genai.Chat, c.Provider, c.Model, string(c.Class)).Observe(c.Took.Seconds())
	if c.Usage != nil {
		m.tokens.WithLabelValues(genai.Chat, c.Provider, c.Model, genai.TokenInput).Observe(float64(c.Usage.Input))
		m.tokens.WithLabelValues(genai.Chat, c.Provider, c.Model, genai.TokenOutput).Observe(float64(c.Usage.Output))
	}
}

func (m *AttemptMetrics) began(s steps.StepMessage, deliveries uint64) {
	m.executing.WithLabelValues(s.Tool, s.RungName).Inc()
	if s.Lane != "" {
		m.apart.WithLabelValues(s.Tool, s.RungName, string(s.Lane)).Inc()
	}
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
