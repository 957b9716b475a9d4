package natsexec_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
	"go.opentelemetry.io/otel/trace"

	"belay/internal/bus/bustest"
	"belay/internal/executor"
	"belay/internal/executor/executortest"
	natsexec "belay/internal/executor/nats"
	"belay/internal/steps"
	"belay/internal/wire"
)

func text(s string) executor.Text { return func(any) (string, error) { return s, nil } }

// asking is an executor that asks a service with this handler.
func asking(t *testing.T, h nats.MsgHandler) executor.Executor {
	t.Helper()
	conn := bustest.Connect(t).NATS()
	if _, err := conn.Subscribe("shop.orders", h); err != nil {
		t.Fatal(err)
	}
	return natsexec.New(conn, wire.Default, executor.NATS{Subject: text("shop.orders"), MaxBytes: executortest.Limit})
}

func answering(body string) executortest.Make {
	return func(t *testing.T) executor.Executor {
		return asking(t, func(m *nats.Msg) { respond(t, m, body) })
	}
}

func respond(t *testing.T, m *nats.Msg, body string) {
	if err := m.Respond([]byte(body)); err != nil {
		t.Error(err)
	}
}

func TestConformance(t *testing.T) {
	executortest.Exercise(t, executortest.Subject{
		Succeed: func(t *testing.T) executor.Executor {
			return asking(t, func(m *nats.Msg) { respond(t, m, string(m.Data)) })
		},
		Hang: func(t *testing.T, started chan<- struct{}) executor.Executor {
			return asking(t, func(*nats.Msg) { close(started) })
		},
		Large:   answering(`"` + strings.Repeat("x", 500_000) + `"`),
		Garbage: answering("+OK"),
		Nothing: answering(""),
		BadUTF8: answering("\"\xff\""),
		Fail: func(t *testing.T) executor.Executor {
			return natsexec.New(bustest.Connect(t).NATS(), wire.Default, executor.NATS{Subject: text("nobody.here")})
		},
	})
}

func TestNoResponders(t *testing.T) {
	t.Parallel()
	x := natsexec.New(bustest.Connect(t).NATS(), wire.Default, executor.NATS{Subject: text("nobody.here")})
	f := executortest.Fault(t.Context(), t, x, executortest.Request(`{}`))
	if f.Class != steps.Connection || f.Acted != steps.ActedNo || !strings.Contains(f.Message, "nobody.here") {
		t.Errorf("fault = %+v, want connection that did not act and names the subject", f)
	}
}

func TestClosedConnection(t *testing.T) {
	t.Parallel()
	conn := bustest.Connect(t).NATS()
	conn.Close()
	f := executortest.Fault(t.Context(), t, natsexec.New(conn, wire.Default, executor.NATS{Subject: text("a.b")}), executortest.Request(`{}`))
	if f.Class != steps.Connection {
		t.Errorf("fault = %+v, want connection", f)
	}
}

func TestTooLargeToSend(t *testing.T) {
	t.Parallel()
	x := natsexec.New(bustest.Connect(t).NATS(), wire.Default, executor.NATS{Subject: text("a.b")})
	f := executortest.Fault(t.Context(), t, x, executortest.Request(`"`+strings.Repeat("x", 2<<20)+`"`))
	if f.Class != steps.InvalidInput || f.Acted != steps.ActedNo {
		t.Errorf("fault = %+v, want invalid_input that did not act", f)
	}
}

func TestSubjectsThatAreNone(t *testing.T) {
	t.Parallel()
	conn := bustest.Connect(t).NATS()
	for _, subject := range []string{"", ".", "a..b", "a.", "a.*", "a.>", ">", "a b", "a\r\nPUB x 0", "a\tb"} {
		f := executortest.Fault(t.Context(), t, natsexec.New(conn, wire.Default, executor.NATS{Subject: text(subject)}), executortest.Request(`{}`))
		if f.Class != steps.InvalidInput || f.Acted != steps.ActedNo {
			t.Errorf("%q: fault = %+v, want invalid_input that did not act", subject, f)
		}
	}
}

// TestSubjectsOfBelayItself: a tool publishes no decision and deletes no stream.
func TestSubjectsOfBelayItself(t *testing.T) {
	t.Parallel()
	conn := bustest.Connect(t).NATS()
	for _, subject := range []string{"belay.people", "belay.runs.0.r.decisions", "$JS.API.STREAM.DELETE.BELAY_RUNS_0", "$KV.x.y", "$SYS.REQ.SERVER.PING"} {
		f := executortest.Fault(t.Context(), t, natsexec.New(conn, wire.Default, executor.NATS{Subject: text(subject)}), executortest.Request(`{}`))
		if f.Class != steps.InvalidInput || f.Acted != steps.ActedNo || !strings.Contains(f.Message, "Belay's own") {
			t.Errorf("%q: fault = %+v, want invalid_input that did not act", subject, f)
		}
	}
	f := executortest.Fault(t.Context(), t, natsexec.New(conn, wire.Default, executor.NATS{Subject: text("belays.people")}), executortest.Request(`{}`))
	if f.Class != steps.Connection {
		t.Errorf("somebody else's subject: %+v", f)
	}
}

func TestTemplateErrors(t *testing.T) {
	t.Parallel()
	conn := bustest.Connect(t).NATS()
	bad := func(any) (string, error) { return "", errors.New("params.order is null") }
	for _, spec := range []executor.NATS{{Subject: bad}, {Subject: text("a"), Headers: map[string]executor.Text{"H": bad}}} {
		f := executortest.Fault(t.Context(), t, natsexec.New(conn, wire.Default, spec), executortest.Request(`{}`))
		if f.Class != steps.BadExpression || f.Acted != steps.ActedNo {
			t.Errorf("fault = %+v, want bad_expression that did not act", f)
		}
	}
}

func TestServiceErrors(t *testing.T) {
	t.Parallel()
	conn := bustest.Connect(t).NATS()
	service, err := micro.AddService(conn, micro.Config{Name: "shop", Version: "1.0.0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = service.Stop() })
	refuse := micro.HandlerFunc(func(r micro.Request) {
		var code string
		if err := json.Unmarshal(r.Data(), &code); err != nil {
			t.Error(err)
		}
		if err := r.Error(code, "no stock", []byte("details\xff"), micro.WithHeaders(micro.Headers{"Retry-After": {"30"}})); err != nil {
			t.Error(err)
		}
	})
	if err := service.AddEndpoint("orders", refuse, micro.WithEndpointSubject("shop.orders")); err != nil {
		t.Fatal(err)
	}
	x := natsexec.New(conn, wire.Default, executor.NATS{Subject: text("shop.orders")})
	for code, want := range map[string]steps.Fault{
		"400": {Class: steps.InvalidInput, Acted: steps.ActedNo, Status: 400}, "404": {Class: steps.NotFound, Acted: steps.ActedNo, Status: 404},
		"409": {Class: steps.Conflict, Acted: steps.ActedNo, Status: 409},
		"429": {Class: steps.RateLimited, Acted: steps.ActedNo, Status: 429, RetryAfter: steps.Duration(30 * time.Second)},
		"500": {Class: steps.Unavailable, Acted: steps.ActedMaybe, Status: 500, RetryAfter: steps.Duration(30 * time.Second)},
		"503": {Class: steps.Unavailable, Acted: steps.ActedMaybe, Status: 503, RetryAfter: steps.Duration(30 * time.Second)},
		"200": {Class: steps.ToolError, Acted: steps.ActedMaybe, Status: 200}, "SOLD_OUT": {Class: steps.ToolError, Acted: steps.ActedMaybe},
	} {
		want.Message, want.Detail = "shop.orders: "+code+" no stock", "details\uFFFD"
		if got := executortest.Fault(t.Context(), t, x, executortest.Request(fmt.Sprintf("%q", code))); got != want {
			t.Errorf("%s: fault = %+v, want %+v", code, got, want)
		}
	}
}

func TestHeaders(t *testing.T) {
	t.Parallel()
	got := make(chan nats.Header, 1)
	conn := bustest.Connect(t).NATS()
	if _, err := conn.Subscribe("shop", func(m *nats.Msg) {
		got <- m.Header
		respond(t, m, "1")
	}); err != nil {
		t.Fatal(err)
	}
	ctx := trace.ContextWithSpanContext(t.Context(), trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}}))
	x := natsexec.New(conn, wire.Default, executor.NATS{Subject: text("shop"), Headers: map[string]executor.Text{"X-Team": text("payments"), "Idempotency-Key": text("mine")}})
	req := executortest.Request(`{}`)
	req.Grant = "v1.e30"
	executortest.Output(ctx, t, x, req)
	h := <-got
	for name, want := range map[string]string{
		"Idempotency-Key": "run-1/step-1/0", "Belay-Run-Id": "run-1", "Belay-Step-Id": "step-1", "Belay-Attempt": "0-0-1", "X-Team": "payments", "Belay-Grant": "v1.e30",
		"traceparent": "00-01000000000000000000000000000000-0200000000000000-00",
	} {
		if h.Get(name) != want {
			t.Errorf("header %s = %q, want %q", name, h.Get(name), want)
		}
	}
}
