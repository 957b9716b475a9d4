package modelexec_test

import (
	"encoding/json"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"belay/internal/executor"
	"belay/internal/executor/executortest"
	modelexec "belay/internal/executor/model"
	"belay/internal/genai"
	"belay/internal/outbound"
	"belay/internal/scriptedmodel"
	"belay/internal/steps"
)

// TestSpans: a call has a span below the attempt's, and it is counted, without what was asked and answered.
func TestSpans(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p string) {
		const secret = "nobody is to read this"
		ended := tracetest.NewSpanRecorder()
		tracer := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(ended)).Tracer("test")
		ctx, parent := tracer.Start(t.Context(), "process steps.ask")
		s := scriptedmodel.New(scriptedmodel.Script{Answers: []scriptedmodel.Answer{
			{Text: secret, Input: 1200, Output: 34, Cached: 1000, Times: 1}, {Text: secret, Fault: scriptedmodel.Refusal},
		}})
		var calls []genai.Call
		c := modelexec.NewClient("1.2.3", outbound.Policy{}, func(c genai.Call) { calls = append(calls, c) })
		t.Cleanup(c.Close)
		half := 0.5
		x := c.Executor(executor.Model{Provider: p, Model: "small-1", BaseURL: service(t, s), MaxOutputTokens: 50, Temperature: &half})
		_ = executortest.Output(ctx, t, x, executortest.Request(`{"prompt":"`+secret+`"}`))
		_ = executortest.Fault(ctx, t, x, executortest.Request(`{"prompt":"`+secret+`"}`))
		spans := ended.Ended()
		if len(spans) != 2 || len(calls) != 2 {
			t.Fatalf("%d spans, %d calls", len(spans), len(calls))
		}
		good, bad := spans[0], spans[1]
		if good.Name() != "chat small-1" || good.SpanKind() != trace.SpanKindClient || good.Parent().SpanID() != parent.SpanContext().SpanID() {
			t.Errorf("span = %s %s below %s", good.Name(), good.SpanKind(), good.Parent().SpanID())
		}
		got := attribute.NewSet(good.Attributes()...)
		for _, want := range []attribute.KeyValue{
			genai.Operation.String("chat"), genai.Provider.String(p), genai.RequestModel.String("small-1"), genai.ResponseModel.String("small-1"), genai.ResponseID.String("scripted-1"),
			genai.InputTokens.Int(1200), genai.OutputTokens.Int(34), genai.CachedTokens.Int(1000), genai.MaxTokens.Int(50), genai.Temperature.Float64(0.5), genai.Conversation.String("run-1"),
		} {
			if v, _ := got.Value(want.Key); v != want.Value {
				t.Errorf("%s = %v, want %v", want.Key, v.String(), want.Value.String())
			}
		}
		wrong := attribute.NewSet(bad.Attributes()...)
		if v, _ := wrong.Value(genai.ErrorType); v.AsString() != "tool_error" || bad.Status().Code != codes.Error {
			t.Errorf("a refusal has the attributes %v and the status %v", bad.Attributes(), bad.Status())
		}
		all, _ := json.Marshal(tracetest.SpanStubsFromReadOnlySpans(spans))
		if strings.Contains(string(all), secret) {
			t.Errorf("the spans have what was said: %s", all)
		}
		if a, z := calls[0], calls[1]; a.Provider != p || a.Model != "small-1" || a.Usage.Input != 1200 || a.Class != "" || a.Took <= 0 || z.Class != steps.ToolError || z.Usage == nil {
			t.Errorf("calls = %+v", calls)
		}
	})
}
