package conformance

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"belay/internal/bus"
	"belay/internal/bus/bustest"
	"belay/internal/bus/embedded"
	"belay/internal/wire"
)

// TestACarelessWorkerIsTold has a worker that acknowledges first, claims nothing, asks no log, and makes up a class. That a
// good one breaks no rule is tested where it is, in examples.
func TestACarelessWorkerIsTold(t *testing.T) {
	t.Parallel()
	found := probed(t, "")
	good := []string{"asks for work", "answers a call", ruleReadable, ruleAttempt, ruleTool, ruleTerm}
	for _, f := range found {
		want := false
		for _, g := range good {
			want = want || strings.HasPrefix(f.Rule, g)
		}
		if f.OK != want || f.OK != (f.Detail == "") {
			t.Errorf("%s: %v, %s", f.Rule, f.OK, f.Detail)
		}
	}
	if len(found) != 1+len(probes)+len(generalRules) {
		t.Errorf("%d findings", len(found))
	}
}

// TestWhoSpeaksAsAnotherToolIsTold: the subject of an outcome may name the tool that the worker serves, and no other.
func TestWhoSpeaksAsAnotherToolIsTold(t *testing.T) {
	t.Parallel()
	for token, may := range map[string]bool{".notes~search": true, ".notes~search~more": false, ".notes~search.x": false} {
		t.Run(token, func(t *testing.T) {
			t.Parallel()
			found := probed(t, token)
			if !slices.ContainsFunc(found, func(f Finding) bool { return f.Rule == ruleTool && f.OK == may }) {
				t.Errorf("want %v: %+v", may, found)
			}
		})
	}
}

// probed are the findings about a careless worker whose outcomes have this behind their subject.
func probed(t *testing.T, token string) []Finding {
	t.Helper()
	server, err := embedded.Start(embedded.Options{StoreDir: t.TempDir(), Durability: embedded.Interval})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Shutdown)
	b := bustest.Dial(t, server)
	if err := b.Setup(t.Context(), bus.SetupOptions{Partitions: 1, Replicas: 1}); err != nil {
		t.Fatal(err)
	}
	careless(t, connection(t, server), token)
	found, err := Worker(t.Context(), connection(t, server, nats.NoEcho()), Options{
		Names: b.Names(), Partitions: 1, Tool: "notes.search", Rung: "primary", Params: json.RawMessage(`{}`), Wait: time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func connection(t *testing.T, server *embedded.Server, o ...nats.Option) *nats.Conn {
	t.Helper()
	nc, err := nats.Connect("", append(o, nats.InProcessServer(server))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

func careless(t *testing.T, nc *nats.Conn, token string) {
	t.Helper()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	c, err := js.CreateConsumer(t.Context(), wire.Default.StepsStream(), jetstream.ConsumerConfig{
		Durable: "notes~search~~primary", FilterSubject: "belay.steps.notes~search.primary.>",
		AckPolicy: jetstream.AckExplicitPolicy, MaxDeliver: -1, MaxAckPending: -1,
	})
	if err != nil {
		t.Fatal(err)
	}
	consuming, err := c.Consume(func(m jetstream.Msg) {
		_ = m.Ack()
		s, err := wire.DecodeStep(m.Data())
		if err != nil {
			return
		}
		body, _ := json.Marshal(map[string]any{
			"v": 1, "type": "failed", "step": s.Step, "round": s.Round, "rung": s.Rung, "try": s.Try, "worker": "careless",
			"fault": map[string]string{"class": "oops", "message": "it did not work"},
		})
		_ = nc.Publish("belay.runs.0."+s.Run+".outcome"+token, body)
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(consuming.Stop)
}
