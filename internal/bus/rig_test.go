package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"belay/internal/bus/embedded"
	"belay/internal/freeport"
)

// start makes an embedded server on dir and a bus on it, both gone at the end of the test.
func start(t testing.TB, dir, durability string) (*embedded.Server, *Bus) {
	t.Helper()
	s := serve(t, embedded.Options{StoreDir: dir, Durability: durability})
	b := connect(t, s)
	setUp(t, b, SetupOptions{})
	return s, b
}

func serve(t testing.TB, o embedded.Options) *embedded.Server {
	t.Helper()
	s, err := embedded.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Shutdown)
	return s
}

func connect(t testing.TB, s *embedded.Server) *Bus {
	t.Helper()
	return dial(t, Options{InProcess: s})
}

func dial(t testing.TB, o Options) *Bus {
	t.Helper()
	o.Logger = slog.New(slog.DiscardHandler)
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
	*embedded.Server
	o embedded.Options
}

func startRestartable(t testing.TB, durability string) *restartable {
	t.Helper()
	r := &restartable{t: t, o: embedded.Options{StoreDir: t.TempDir(), Durability: durability, Listen: freeport.Address(t)}}
	r.begin()
	t.Cleanup(func() { r.Shutdown() })
	return r
}

func (r *restartable) begin() {
	r.t.Helper()
	s, err := embedded.Start(r.o)
	if err != nil {
		r.t.Fatal(err)
	}
	r.Server = s
}

func (r *restartable) restart() {
	r.t.Helper()
	r.Shutdown()
	r.begin()
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
	for end := time.Now().Add(patience); errors.Is(err, ErrUncertain) && time.Now().Before(end); {
		_, err = b.PublishWait(t.Context(), b.Names().RunsStream(0), Message{Subject: fmt.Sprintf("belay.runs.0.%s.plan", run), Data: []byte("{}")})
	}
	if err != nil {
		t.Fatal(err)
	}
}

// patience is how long tests wait for what comes at once on a machine that is not busy.
const patience = time.Minute

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
