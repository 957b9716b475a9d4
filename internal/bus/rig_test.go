package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"
)

// start makes an embedded server on dir and a bus on it, both gone at the end of the test.
func start(t testing.TB, dir, durability string) (*Server, *Bus) {
	t.Helper()
	s := serve(t, ServerOptions{StoreDir: dir, Durability: durability})
	b := connect(t, s)
	setUp(t, b, SetupOptions{})
	return s, b
}

func serve(t testing.TB, o ServerOptions) *Server {
	t.Helper()
	s, err := StartServer(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Shutdown)
	return s
}

func connect(t testing.TB, s *Server) *Bus {
	t.Helper()
	return dial(t, Options{InProcess: s})
}

func dial(t testing.TB, o Options) *Bus {
	t.Helper()
	o.Log = slog.New(slog.DiscardHandler)
	b, err := Connect(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

func setUp(t testing.TB, b *Bus, o SetupOptions) {
	t.Helper()
	if err := b.Setup(context.Background(), o); err != nil {
		t.Fatal(err)
	}
}

// restartable is a server with a port, so that connections find it again after a restart.
type restartable struct {
	t testing.TB
	*Server
	o ServerOptions
}

func startRestartable(t testing.TB, durability string) *restartable {
	t.Helper()
	r := &restartable{t: t, o: ServerOptions{StoreDir: t.TempDir(), Durability: durability, Listen: freePort(t)}}
	r.begin()
	t.Cleanup(func() { r.Shutdown() })
	return r
}

func (r *restartable) begin() {
	r.t.Helper()
	var err error
	if r.Server, err = StartServer(r.o); err != nil {
		r.t.Fatal(err)
	}
}

func (r *restartable) restart() {
	r.t.Helper()
	r.Shutdown()
	r.begin()
}

func freePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func zero() *uint64 { return new(uint64) }

// publishAll publishes n messages at once and returns what became of each.
func publishAll(b *Bus, stream string, n int, m func(i int) Message) ([]uint64, []error) {
	seqs, errs := make([]uint64, n), make([]error, n)
	var wg sync.WaitGroup
	wg.Add(n)
	for i := range n {
		b.Publish(stream, m(i), func(seq uint64, err error) {
			seqs[i], errs[i] = seq, err
			wg.Done()
		})
	}
	wg.Wait()
	return seqs, errs
}

// put stores one plan in partition 0 and goes on trying while the server is away.
func put(t testing.TB, b *Bus, run string) {
	t.Helper()
	err := ErrUncertain
	for end := time.Now().Add(20 * time.Second); errors.Is(err, ErrUncertain) && time.Now().Before(end); {
		_, err = b.PublishWait(t.Context(), b.Names().RunsStream(0), Message{Subject: fmt.Sprintf("belay.runs.0.%s.plan", run), Data: []byte("{}")})
	}
	if err != nil {
		t.Fatal(err)
	}
}

// within takes the next value, or fails the test.
func within[T any](t testing.TB, d time.Duration, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(d):
		t.Fatalf("nothing came within %s", d)
		panic("unreachable")
	}
}
