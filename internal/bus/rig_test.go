package bus

import (
	"context"
	"log/slog"
	"net"
	"sync"
	"testing"
)

// start makes an embedded server on dir and a bus on it, both gone at the end of the test.
func start(t testing.TB, dir, durability string) (*Server, *Bus) {
	t.Helper()
	s, err := StartServer(ServerOptions{StoreDir: dir, Durability: durability})
	if err != nil {
		t.Fatal(err)
	}
	b := connect(t, s)
	t.Cleanup(func() { b.Close(); s.Shutdown() })
	if err := b.Setup(context.Background(), SetupOptions{}); err != nil {
		t.Fatal(err)
	}
	return s, b
}

func connect(t testing.TB, s *Server) *Bus {
	t.Helper()
	b, err := Connect(context.Background(), Options{InProcess: s, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return b
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

func freePort(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
