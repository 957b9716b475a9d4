package natsexec_test

import (
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"belay/internal/bus/bustest"
	"belay/internal/executor"
	"belay/internal/executor/executortest"
	natsexec "belay/internal/executor/nats"
	"belay/internal/wire"
)

// A service that repeats the key it was sent, in every form, does not put it into the log.
func TestRepliesAreRedacted(t *testing.T) {
	t.Parallel()
	const secret = `cnry/7f+Qz"w\x=3&k<%2z`
	conn := bustest.Connect(t).NATS()
	echo := executortest.Echo(secret)
	for subject, headers := range map[string]nats.Header{"says.yes": nil, "says.no": {micro.ErrorCodeHeader: {"400"}, micro.ErrorHeader: {"bad key " + secret}}} {
		_, err := conn.Subscribe(subject, func(m *nats.Msg) {
			if m.Header.Get("X-Key") != secret {
				t.Errorf("the key came as %q", m.Header.Get("X-Key"))
			}
			if err := m.RespondMsg(&nats.Msg{Data: echo, Header: headers}); err != nil {
				t.Error(err)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	spec := func(subject string) executor.NATS {
		return executor.NATS{Subject: text(subject), Headers: map[string]executor.Text{"X-Key": text(secret)}, Hidden: map[string]string{"header X-Key": secret}}
	}
	out := executortest.Output(t.Context(), t, natsexec.New(conn, wire.Default, spec("says.yes")), executortest.Request(`{}`))
	if found := executortest.Traces(out, secret); found != nil {
		t.Errorf("the output has the secret: %v", found)
	}
	f := executortest.Fault(t.Context(), t, natsexec.New(conn, wire.Default, spec("says.no")), executortest.Request(`{}`))
	if found := executortest.Traces([]byte(f.Message+f.Detail), secret); found != nil || f.Detail == "" {
		t.Errorf("the fault has the secret: %v in %+v", found, f)
	}
}
