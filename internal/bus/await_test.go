package bus

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"belay/internal/bus/embedded"
	"belay/internal/freeport"
)

// TestWhoComesFirstWaits for the server, and for a dispatcher that makes the streams; each is said once.
func TestWhoComesFirstWaits(t *testing.T) {
	t.Parallel()
	at, said := freeport.Address(t), &strings.Builder{}
	missing := make(chan struct{}, 1)
	done := make(chan error, 1)
	go func() {
		done <- Await(context.WithoutCancel(t.Context()), slog.New(slog.NewTextHandler(said, nil)), time.Minute, func(ctx context.Context) error {
			b, err := Connect(ctx, Options{Server: "nats://" + at, Timeout: time.Second})
			if err != nil {
				return err
			}
			defer b.Close()
			err = b.Open(ctx)
			if err != nil {
				select {
				case missing <- struct{}{}:
				default:
				}
			}
			return err
		})
	}()
	s := serve(t, embedded.Options{StoreDir: t.TempDir(), Durability: embedded.Interval, Listen: at})
	select {
	case <-missing:
	case <-time.After(30 * time.Second):
		t.Fatal("it does not connect")
	}
	setUp(t, connect(t, s), SetupOptions{Partitions: 1})
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(said.String(), "waiting for a dispatcher to make the streams"); n != 1 || strings.Count(said.String(), "waiting for") > 2 {
		t.Errorf("it said:\n%s", said)
	}
}

// TestWhatWaitingDoesNotMendEndsAtOnce: wrong credentials, drift, streams with other settings.
func TestWhatWaitingDoesNotMendEndsAtOnce(t *testing.T) {
	t.Parallel()
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true, Username: "u", Password: "p"})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(30 * time.Second) {
		t.Fatal("the server does not start")
	}
	for name, o := range map[string]Options{
		"wrong password": {Server: s.ClientURL(), User: "u", Password: "x"}, "no JetStream": {Server: s.ClientURL(), User: "u", Password: "p"},
	} {
		tries := 0
		err := Await(t.Context(), slog.New(slog.DiscardHandler), time.Hour, func(ctx context.Context) error {
			tries++
			_, err := Connect(ctx, o)
			return err
		})
		if err == nil || tries != 1 {
			t.Errorf("%s: %v after %d tries", name, err, tries)
		}
	}
	for _, err := range []error{&Drift{"the log", partitionsField, 2, 3}, ErrLimits, ErrReplicas} {
		if what := comes(fmt.Errorf("stream: %w", err)); what != "" {
			t.Errorf("%v: waits for %s", err, what)
		}
	}
}
