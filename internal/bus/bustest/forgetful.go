package bustest

import (
	"os"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"belay/internal/bus"
	"belay/internal/bus/embedded"
	"belay/internal/freeport"
)

// Forgetful is a server that can lose the end of what it has stored, as one whose disk fails and whose machine then dies.
// It is for one connection.
type Forgetful struct {
	Bus *bus.Bus

	t      testing.TB
	o      embedded.Options
	server *embedded.Server
	kept   string // a copy of the store
}

// StartForgetful starts one with Belay's streams, the log in so many partitions, and connects to it.
func StartForgetful(t testing.TB, partitions int) *Forgetful {
	t.Helper()
	f := &Forgetful{t: t, o: embedded.Options{StoreDir: t.TempDir(), Durability: embedded.Interval, Listen: freeport.Address(t)}, kept: t.TempDir()}
	f.serve()
	t.Cleanup(func() { f.server.Shutdown() })
	var err error
	if f.Bus, err = bus.Connect(t.Context(), bus.Options{Server: f.server.URL(), Timeout: 5 * time.Second}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Bus.Close)
	if err := f.Bus.Setup(t.Context(), bus.SetupOptions{Partitions: partitions, Replicas: 1}); err != nil {
		t.Fatal(err)
	}
	return f
}

func (f *Forgetful) serve() {
	f.t.Helper()
	var err error
	if f.server, err = embedded.Start(f.o); err != nil {
		f.t.Fatal(err)
	}
}

// Keep makes sure of all that is stored now. The server is away meanwhile.
func (f *Forgetful) Keep() {
	f.t.Helper()
	f.away(func() error { return replace(f.kept, f.o.StoreDir) })
}

// Forget loses what was stored since Keep. The bus is connected again when it returns.
func (f *Forgetful) Forget() {
	f.t.Helper()
	f.away(func() error { return replace(f.o.StoreDir, f.kept) })
}

func (f *Forgetful) away(do func() error) {
	f.t.Helper()
	connected := f.Bus.NATS().StatusChanged(nats.CONNECTED)
	defer f.Bus.NATS().RemoveStatusListener(connected)
	f.server.Shutdown()
	if err := do(); err != nil {
		f.t.Fatal(err)
	}
	f.serve()
	select {
	case <-connected:
	case <-time.After(30 * time.Second):
		f.t.Fatal("not connected again after 30 s")
	}
}

// replace puts a copy of a folder in the place of another.
func replace(folder, by string) error {
	if err := os.RemoveAll(folder); err != nil {
		return err
	}
	return os.CopyFS(folder, os.DirFS(by))
}
