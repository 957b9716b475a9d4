package observe

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"go.opentelemetry.io/contrib/exporters/autoexport"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"belay/internal/genai"
	"belay/internal/steps"
)

// Attribute names: those of OpenTelemetry's messaging conventions where they exist, else belay.*; package genai has more.
const (
	attrSystem       = attribute.Key("messaging.system")
	attrOperation    = attribute.Key("messaging.operation.name")
	attrType         = attribute.Key("messaging.operation.type")
	attrDestination  = attribute.Key("messaging.destination.name")
	attrConversation = attribute.Key("messaging.message.conversation_id") // the run
	attrClient       = attribute.Key("messaging.client.id")
	attrStep         = attribute.Key("belay.step.id")
	attrAttempt      = attribute.Key("belay.attempt")
	attrRung         = attribute.Key("belay.rung")
	attrDeliveries   = attribute.Key("belay.delivery.count")
	attrState        = attribute.Key("belay.run.state")
)

// Traces makes spans across processes, from the submit of a run to its result. A nil *Traces makes no spans and passes
// the trace context on.
type Traces struct {
	tracer   trace.Tracer
	provider *sdktrace.TracerProvider
}

// the text form of a trace context: traceparent and tracestate.
var carrierForm = propagation.TraceContext{}

// switches are the variables that turn tracing on.
var switches = []string{"OTEL_TRACES_EXPORTER", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"}

// NewTraces sets up tracing as the standard OTEL_ variables say, and returns nil without them. The exporter reads the
// environment of the process; what it cannot send is logged.
func NewTraces(ctx context.Context, getenv func(string) string, logger *slog.Logger, service, version string) (*Traces, error) {
	on := false
	for _, name := range switches {
		on = on || getenv(name) != ""
	}
	if !on || getenv("OTEL_SDK_DISABLED") == "true" || getenv("OTEL_TRACES_EXPORTER") == "none" {
		return nil, nil
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { logger.Warn("traces are not sent", "error", err) }))
	exporter, err := autoexport.NewSpanExporter(ctx)
	if err != nil {
		return nil, fmt.Errorf("traces: OTEL_TRACES_EXPORTER=%s: %w (otlp, console or none)", getenv("OTEL_TRACES_EXPORTER"), err)
	}
	res, err := resource.New(ctx,
		resource.WithAttributes(attribute.String("service.name", service), attribute.String("service.version", version)),
		resource.WithHost(), resource.WithFromEnv(), resource.WithTelemetrySDK())
	if err != nil {
		return nil, fmt.Errorf("traces: OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	return tracesTo(sdktrace.WithBatcher(exporter), sdktrace.WithResource(res)), nil
}

func tracesTo(o ...sdktrace.TracerProviderOption) *Traces {
	p := sdktrace.NewTracerProvider(o...)
	return &Traces{tracer: p.Tracer("belay"), provider: p}
}

// Close sends the spans that are left, within 5 seconds.
func (t *Traces) Close() error {
	if t == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return t.provider.Shutdown(ctx)
}

// Submit begins the span of a submit. Parent is its traceparent, which the log keeps with the submit, so that the spans
// of the run are below it. Call end with the error of the submit.
func (t *Traces) Submit(ctx context.Context, run, workflow string) (parent string, end func(error)) {
	if t == nil {
		return parentOf(ctx), func(error) {}
	}
	ctx, span := t.tracer.Start(ctx, "submit "+workflow, trace.WithSpanKind(trace.SpanKindProducer), trace.WithAttributes(
		attrSystem.String("nats"), attrOperation.String("submit"), attrType.String("send"), attrConversation.String(run), genai.AgentName.String(workflow)))
	return parentOf(ctx), func(err error) {
		if err != nil {
			span.SetStatus(codes.Error, err.Error())
		}
		span.End()
	}
}

// SubmitFor is Submit for a caller who has said which span it is in, as a traceparent; one that is not valid is ignored.
// Without tracing here the run is below the caller's own span.
func (t *Traces) SubmitFor(ctx context.Context, traceparent, run, workflow string) (parent string, end func(error)) {
	return t.Submit(carrierForm.Extract(ctx, carrier{"traceparent": {traceparent}}), run, workflow)
}

// began begins the span of an attempt, as a child of the span in its message.
func (t *Traces) began(ctx context.Context, m steps.StepMessage, header map[string][]string, deliveries uint64, worker string) context.Context {
	ctx = carrierForm.Extract(ctx, carrier(header))
	if t == nil {
		return ctx // a tool's own spans still belong to the submitter's trace
	}
	ctx, _ = t.tracer.Start(ctx, "process steps."+m.Tool, trace.WithSpanKind(trace.SpanKindConsumer), trace.WithAttributes(
		attrSystem.String("nats"), attrOperation.String("process"), attrType.String("process"), attrDestination.String("steps."+m.Tool+"."+m.RungName),
		attrConversation.String(m.Run), attrClient.String(worker), genai.Operation.String(genai.ExecuteTool), genai.ToolName.String(m.Tool),
		attrStep.String(m.Step), attrAttempt.String(m.Token()), attrRung.String(m.RungName), attrDeliveries.Int64(int64(min(deliveries, 1<<62)))))
	return ctx
}

func (t *Traces) finished(ctx context.Context, f *steps.Fault) {
	if t == nil {
		return
	}
	span := trace.SpanFromContext(ctx)
	if f != nil {
		span.SetAttributes(genai.ErrorType.String(string(f.Class)))
		span.SetStatus(codes.Error, f.Message)
	}
	span.End()
}

// ended makes the span of a whole run, after its end.
func (t *Traces) ended(s *steps.State) {
	if t == nil || s.Trace == "" {
		return
	}
	ctx := carrierForm.Extract(context.Background(), carrier{"traceparent": {s.Trace}})
	_, span := t.tracer.Start(ctx, "run "+s.Program.Plan.Name, trace.WithTimestamp(s.Submitted), trace.WithAttributes(
		attrConversation.String(s.Run), genai.Operation.String(genai.InvokeAgent), genai.AgentName.String(s.Program.Plan.Name), attrState.String(string(s.Status()))))
	if s.Status() == steps.RunFailed {
		span.SetStatus(codes.Error, s.Reason)
	}
	span.End(trace.WithTimestamp(s.Ended))
}

// parentOf is the traceparent of the span in ctx; empty without one.
func parentOf(ctx context.Context) string {
	h := carrier{}
	carrierForm.Inject(ctx, h)
	return h.Get("traceparent")
}

// traceAttrs are the ids that link a log line to its trace.
func traceAttrs(ctx context.Context) []slog.Attr {
	c := trace.SpanContextFromContext(ctx)
	if !c.IsValid() {
		return nil
	}
	return []slog.Attr{slog.String("trace_id", c.TraceID().String()), slog.String("span_id", c.SpanID().String())}
}
