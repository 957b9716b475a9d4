package embedded

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// TestStartedAnew: a server that refuses writes after one has failed is replaced by another one on the same store and port, and
// its clients connect again by themselves, those in the process too.
func TestStartedAnew(t *testing.T) {
	t.Parallel()
	s := serve(t, Options{StoreDir: t.TempDir(), Listen: ":0"})
	url := s.URL()
	js, nc := client(t, url)
	_, within := client(t, "", nats.InProcessServer(s))
	if _, err := js.AddStream(&nats.StreamConfig{Name: "S", Subjects: []string{"s"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := js.Publish("s", []byte("before")); err != nil {
		t.Fatal(err)
	}
	first := nc.ConnectedServerId()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	reopened := make(chan struct{}, 1)
	go func() {
		_ = s.Tend(ctx, func(context.Context) error { reopened <- struct{}{}; return nil })
	}()
	s.failed.add("S")
	select {
	case <-reopened:
	case <-time.After(30 * time.Second):
		t.Fatal("it was not started anew")
	}
	if failed, _ := s.Failed(); s.URL() != url || len(failed) > 0 {
		t.Errorf("it listens on %s, not on %s; failed: %v", s.URL(), url, failed)
	}
	for _, c := range []*nats.Conn{nc, within} {
		elsewhere(t, c, first)
	}
	if a, err := js.Publish("s", []byte("after")); err != nil || a.Sequence != 2 {
		t.Errorf("%+v, %v", a, err)
	}
}

func client(t *testing.T, url string, o ...nats.Option) (nats.JetStreamContext, *nats.Conn) {
	t.Helper()
	nc, err := nats.Connect(url, append(o, nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := nc.JetStream()
	if err != nil {
		t.Fatal(err)
	}
	return js, nc
}

// elsewhere waits until a connection is one to another server.
func elsewhere(t *testing.T, nc *nats.Conn, before string) {
	t.Helper()
	status := nc.StatusChanged(nats.CONNECTED)
	timeout := time.After(30 * time.Second)
	for nc.ConnectedServerId() == before || !nc.IsConnected() {
		select {
		case <-status:
		case <-timeout:
			t.Fatalf("%s", nc.Status())
		}
	}
}

// TestWhatTheServerSaysOfAFailedWrite is known, with the stream.
func TestWhatTheServerSaysOfAFailedWrite(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"Filestore [BELAY_RUNS_0] Critical write error: write /x/1.blk: no space left on device":               "BELAY_RUNS_0",
		"JetStream stream '$G > KV_BELAY_TALLY' critical write error: write /x/1.blk: no space left on device": "KV_BELAY_TALLY",
	} {
		if m := failedWrite.FindStringSubmatch(text); m == nil || m[1]+m[2] != want {
			t.Errorf("%q: %q", text, m)
		}
	}
	if failedWrite.MatchString("JetStream failed to store a msg on stream '$G > S': maximum bytes exceeded") {
		t.Error("a refusal is taken for a failed write")
	}
}

// TestSpace is what the store has, within the disk's limits.
func TestSpace(t *testing.T) {
	t.Parallel()
	s := serve(t, Options{StoreDir: t.TempDir(), MaxStore: 1 << 20})
	space, ok := s.Space()
	if !ok || space.Limit != 1<<20 || space.Headroom() <= 0 || space.Headroom() > 1<<20 {
		t.Errorf("%+v, %v", space, ok)
	}
	if !strings.HasPrefix(s.Dir(), "/") || s.Refuses() {
		t.Errorf("%s; refuses: %v", s.Dir(), s.Refuses())
	}
}
