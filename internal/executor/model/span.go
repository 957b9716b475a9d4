package modelexec

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"belay/internal/executor"
	"belay/internal/genai"
	"belay/internal/steps"
)

// observed makes a span of one call, where spans are made at all, and has it counted.
type observed struct {
	rung  *rung
	span  trace.Span
	began time.Time
}

func (x *rung) observe(ctx context.Context, req executor.Request, c *conversation) (context.Context, observed) {
	tracer := trace.SpanFromContext(ctx).TracerProvider().Tracer("belay")
	ctx, span := tracer.Start(ctx, genai.Chat+" "+x.spec.Model, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(
		genai.Operation.String(genai.Chat), genai.Provider.String(x.spec.Provider), genai.RequestModel.String(x.spec.Model),
		genai.Conversation.String(req.Run), genai.ServerAddress.String(x.host)))
	if c.maxOutput > 0 {
		span.SetAttributes(genai.MaxTokens.Int(c.maxOutput))
	}
	if t := x.spec.Temperature; t != nil {
		span.SetAttributes(genai.Temperature.Float64(*t))
	}
	return ctx, observed{x, span, time.Now()}
}

// end says how the call ended. The error is what the worker is given.
func (o observed) end(a *answer, used *steps.Usage, err error) {
	call := genai.Call{Provider: o.rung.spec.Provider, Model: o.rung.spec.Model, Took: time.Since(o.began), Usage: used}
	if f, is := errors.AsType[steps.Fault](err); is {
		call.Class = f.Class
		o.span.SetAttributes(genai.ErrorType.String(string(f.Class)))
		o.span.SetStatus(codes.Error, string(f.Class)+" "+string(f.Reason)) // its message may quote the answer
	}
	if a.finish != "" {
		o.span.SetAttributes(genai.FinishReasons.StringSlice([]string{a.finish}))
	}
	if used != nil {
		o.span.SetAttributes(genai.ResponseModel.String(used.Model), genai.ResponseID.String(used.Response),
			genai.InputTokens.Int64(used.Input), genai.OutputTokens.Int64(used.Output), genai.CachedTokens.Int64(used.Cached))
	}
	o.span.End()
	if o.rung.asked != nil {
		o.rung.asked(call)
	}
}
