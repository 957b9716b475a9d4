package natsexec_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"belay/internal/bus/bustest"
	"belay/internal/executor"
	"belay/internal/executor/executortest"
	natsexec "belay/internal/executor/nats"
	"belay/internal/steps"
	"belay/internal/wire"
)

// TestReferenceOfFaults: docs/faults.md says what comes of requests that do not work.
func TestReferenceOfFaults(t *testing.T) {
	t.Parallel()
	conn := bustest.Connect(t).NATS()
	asked := func(spec executor.NATS, params string) executortest.Cause {
		return func(t *testing.T) steps.Fault {
			return executortest.Fault(t.Context(), t, natsexec.New(conn, wire.Default, spec), executortest.Request(params))
		}
	}
	answered := func(h nats.MsgHandler) executortest.Cause {
		return func(t *testing.T) steps.Fault {
			return executortest.Fault(t.Context(), t, asking(t, h), executortest.Request(`{}`))
		}
	}
	refusing := func(code string) executortest.Cause {
		return answered(func(m *nats.Msg) {
			reply := nats.NewMsg(m.Reply)
			reply.Header.Set("Nats-Service-Error", "no stock")
			reply.Header.Set("Nats-Service-Error-Code", code)
			_ = m.RespondMsg(reply)
		})
	}
	silent := func(t *testing.T) steps.Fault {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		return executortest.Fault(ctx, t, asking(t, func(*nats.Msg) {}), executortest.Request(`{}`))
	}
	broken := func(t *testing.T) steps.Fault {
		own := bustest.Connect(t).NATS()
		if _, err := own.Subscribe("shop.orders", func(*nats.Msg) { own.Close() }); err != nil {
			t.Fatal(err)
		}
		return executortest.Fault(t.Context(), t, natsexec.New(own, wire.Default, executor.NATS{Subject: text("shop.orders")}), executortest.Request(`{}`))
	}
	executortest.Agree(t, "nats", "what happens", map[string][]executortest.Cause{
		"no service listens on the subject, or the connection is down": {asked(executor.NATS{Subject: text("nobody.here")}, `{}`)},
		"the connection breaks while it waits":                         {broken},
		"the reply has `Nats-Service-Error-Code`":                      {refusing("404"), refusing("503")},
		"that is not a number":                                         {refusing("none")},
		"the timeout passes":                                           {silent},
		"the reply is not JSON, or too large": {
			answered(func(m *nats.Msg) { respond(t, m, "+OK") }), answered(func(m *nats.Msg) { respond(t, m, `"`+strings.Repeat("x", executortest.Limit)+`"`) }),
		},
		"the request is too large, or no subject can be made of the parameters": {
			asked(executor.NATS{Subject: text("a.b")}, `"`+strings.Repeat("x", 2<<20)+`"`), asked(executor.NATS{Subject: text("a b")}, `{}`),
		},
		"a template fails": {asked(executor.NATS{Subject: func(any) (string, error) { return "", errors.New("params.order is null") }}, `{}`)},
	})
}
