package requests

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"belay/internal/bus"
	"belay/internal/bus/embedded"
	"belay/internal/runlog"
	"belay/internal/steps"
)

// TestAnAnswerThatWasLost: a request is made once more where no answer came, and a run that the second one finds is not said to be
// created: it may have been there for long.
func TestAnAnswerThatWasLost(t *testing.T) {
	t.Parallel()
	server, err := embedded.Start(embedded.Options{StoreDir: t.TempDir(), Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Shutdown()
	b, err := bus.Connect(t.Context(), bus.Options{InProcess: server, Timeout: 500 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	nc, err := nats.Connect(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	asked := 0
	if _, err := nc.Subscribe(b.Names().Requests(), func(m *nats.Msg) {
		if asked++; asked > 1 {
			_ = m.Respond([]byte(`{"v":1,"submitted":[{}]}`))
		}
	}); err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	came := Remote{Bus: b}.Submit(t.Context(), []runlog.Submission{{Run: "r", Submitted: steps.Submitted{}}})
	if len(came) != 1 || came[0].Err != nil || came[0].Created {
		t.Errorf("%+v", came)
	}
}
