package bus

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
)

func TestPortInUse(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, err = StartServer(ServerOptions{StoreDir: t.TempDir(), Listen: l.Addr().String()})
	if err == nil || !strings.Contains(err.Error(), l.Addr().String()) {
		t.Fatalf("got %v", err)
	}
}

func TestSecondServerOnAStoreIsRefused(t *testing.T) {
	dir := t.TempDir()
	start(t, dir, DurabilityInterval)
	_, err := StartServer(ServerOptions{StoreDir: dir})
	if !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), "process") {
		t.Fatalf("got %v", err)
	}
}

func TestAcknowledgedSurvivesARestart(t *testing.T) {
	dir := t.TempDir()
	s, err := StartServer(ServerOptions{StoreDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	b := connect(t, s)
	if err := b.Setup(t.Context(), SetupOptions{Partitions: 2}); err != nil {
		t.Fatal(err)
	}
	_, errs := publishAll(b, b.Names().RunsStream(1), 200, func(i int) Message {
		return Message{Subject: fmt.Sprintf("belay.runs.1.r%d.plan", i), Data: []byte("x")}
	})
	b.Close()
	s.Shutdown()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	_, b = start(t, dir, DurabilityFsync)
	if b.Partitions() != 2 {
		t.Errorf("%d partitions after the restart, they were made as 2", b.Partitions())
	}
	runs, err := b.Runs(t.Context(), 1)
	if err != nil || len(runs) != 200 {
		t.Fatalf("%d runs, %v", len(runs), err)
	}
}
