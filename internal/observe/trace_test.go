package observe

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"belay/internal/steps"
)

var silent = slog.New(slog.DiscardHandler)

func recorder() (*Traces, *tracetest.SpanRecorder) {
	r := tracetest.NewSpanRecorder()
	return tracesTo(sdktrace.WithSpanProcessor(r)), r
}

// TestOneTrace: submitter, worker and dispatcher are three processes; what they make is one trace.
func TestOneTrace(t *testing.T) {
	t.Parallel()
	client, clientSpans := recorder()
	parent, end := client.Submit(t.Context(), "r", "trip")
	end(nil)

	worker, workerSpans := recorder()
	a := &Attempts{Traces: worker, Worker: "w1"}
	m := steps.StepMessage{Run: "r", Attempt: steps.Attempt{Step: "pay", Try: 2}, Tool: "pay", RungName: "primary"}
	ctx := a.Began(t.Context(), m, map[string][]string{"Traceparent": {parent}}, 3)
	a.Ended(ctx, m, steps.Failed{Fault: steps.Fault{Class: steps.Timeout, Message: "slow"}}, time.Second)

	dispatcher, runSpans := recorder()
	h := newHistory(t, &Runs{Traces: dispatcher})
	h.s.Trace = parent
	h.trip()

	submit, process, run := only(t, clientSpans), only(t, workerSpans), only(t, runSpans)
	for _, s := range []sdktrace.ReadOnlySpan{process, run} {
		if s.SpanContext().TraceID() != submit.SpanContext().TraceID() || s.Parent().SpanID() != submit.SpanContext().SpanID() {
			t.Errorf("%s is not below the submit", s.Name())
		}
	}
	if submit.Name() != "submit trip" || submit.SpanKind() != trace.SpanKindProducer || process.Name() != "process steps.pay" || process.SpanKind() != trace.SpanKindConsumer {
		t.Errorf("%s %s, %s %s", submit.Name(), submit.SpanKind(), process.Name(), process.SpanKind())
	}
	if process.Status().Code != codes.Error || valueOf(process, "error.type") != "timeout" || valueOf(process, "belay.delivery.count") != "3" || valueOf(process, "belay.attempt") != "0-0-2" {
		t.Errorf("status %v, attributes %v", process.Status(), process.Attributes())
	}
	if run.Name() != "run trip" || !run.StartTime().Equal(h.s.Submitted) || !run.EndTime().Equal(h.s.Ended) || valueOf(run, "belay.run.state") != "degraded" {
		t.Errorf("%s from %s to %s, %v", run.Name(), run.StartTime(), run.EndTime(), run.Attributes())
	}
	for _, s := range []sdktrace.ReadOnlySpan{submit, process, run} {
		for _, at := range s.Attributes() {
			if strings.Contains(at.Value.String(), canary) {
				t.Errorf("%s has content in %s", s.Name(), at.Key)
			}
		}
	}
}

func only(t *testing.T, r *tracetest.SpanRecorder) sdktrace.ReadOnlySpan {
	t.Helper()
	if n := len(r.Ended()); n != 1 {
		t.Fatalf("%d spans, want 1", n)
	}
	return r.Ended()[0]
}

func valueOf(s sdktrace.ReadOnlySpan, key attribute.Key) string {
	for _, at := range s.Attributes() {
		if at.Key == key {
			return at.Value.String()
		}
	}
	return ""
}

// TestWithoutTracesTheContextIsPassedOn: a worker that makes no spans still hands the submitter's trace to its tools.
func TestWithoutTracesTheContextIsPassedOn(t *testing.T) {
	t.Parallel()
	const parent = "00-0102030405060708090a0b0c0d0e0f10-0102030405060708-01"
	a := &Attempts{}
	ctx := a.Began(t.Context(), steps.StepMessage{}, map[string][]string{"traceparent": {parent}}, 1)
	if got := parentOf(ctx); got != parent {
		t.Errorf("%q", got)
	}
	a.Ended(ctx, steps.StepMessage{}, steps.Succeeded{}, 0)
	if parent, end := (*Traces)(nil).Submit(t.Context(), "r", "w"); parent != "" {
		t.Errorf("a trace out of nothing: %q", parent)
	} else {
		end(nil)
	}
}

func TestTracesAreOffUnlessAskedFor(t *testing.T) {
	for name, env := range map[string]map[string]string{
		"nothing set": {}, "another variable": {"OTEL_SERVICE_NAME": "x"}, "none": {"OTEL_TRACES_EXPORTER": "none"},
		"disabled": {"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"},
	} {
		traces, err := NewTraces(t.Context(), func(k string) string { return env[k] }, silent, "belay-test", "1")
		if traces != nil || err != nil {
			t.Errorf("%s: %v %v", name, traces, err)
		}
	}
	t.Setenv("OTEL_TRACES_EXPORTER", "carrier-pigeon")
	if _, err := NewTraces(t.Context(), func(string) string { return "carrier-pigeon" }, silent, "belay-test", "1"); err == nil || !strings.Contains(err.Error(), "carrier-pigeon") {
		t.Errorf("an exporter that does not exist: %v", err)
	}
	t.Setenv("OTEL_TRACES_EXPORTER", "console")
	traces, err := NewTraces(t.Context(), func(string) string { return "console" }, silent, "belay-test", "1")
	if traces == nil || err != nil {
		t.Fatal(err)
	}
	if err := traces.Close(); err != nil {
		t.Error(err)
	}
}

func TestCarrierWritesLowerCaseAndReadsAny(t *testing.T) {
	t.Parallel()
	c := carrier{}
	c.Set("Traceparent", "x")
	if len(c["traceparent"]) != 1 || c.Get("TRACEPARENT") != "x" || c.Get("baggage") != "" || len(c.Keys()) != 1 {
		t.Errorf("%v", c)
	}
	if (carrier{"traceparent": nil}).Get("traceparent") != "" {
		t.Error("a key without a value has one")
	}
	for _, bad := range []string{"", "00-", "x", strings.Repeat("-", 34)} {
		if traceID(bad) != "" {
			t.Errorf("%q has a trace id", bad)
		}
	}
	ctx := carrierForm.Extract(context.Background(), carrier{"traceparent": {"garbage"}})
	if parentOf(ctx) != "" {
		t.Error("garbage is a parent")
	}
}

// TestACallersSpanIsTheParent of the submit, where it is a valid one.
func TestACallersSpanIsTheParent(t *testing.T) {
	t.Parallel()
	for traceparent, id := range map[string]string{
		"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01": "b7ad6b7169203331",
		"00-0af7651916cd43dd8448eb211c80319c-b7ad6b716920333-01":  "0000000000000000",
		"": "0000000000000000",
	} {
		traces, spans := recorder()
		parent, end := traces.SubmitFor(t.Context(), traceparent, "r", "trip")
		end(nil)
		submit := only(t, spans)
		if submit.Parent().SpanID().String() != id || !strings.Contains(parent, submit.SpanContext().SpanID().String()) || !strings.Contains(parent, submit.SpanContext().TraceID().String()) {
			t.Errorf("%q: below %s, the run is below %s", traceparent, submit.Parent().SpanID(), parent)
		}
	}
}
