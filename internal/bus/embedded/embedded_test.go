package embedded

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestPortInUse(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dir := t.TempDir()
	_, err = Start(Options{StoreDir: dir, Listen: l.Addr().String()})
	if err == nil || !strings.Contains(err.Error(), l.Addr().String()) || !strings.Contains(err.Error(), "--nats-listen") {
		t.Fatalf("got %v", err)
	}
	serve(t, Options{StoreDir: dir}) // the store is free all the same
}

func TestAddressesThatAreRefused(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"0.0.0.0:4222", "192.168.1.1:4222", "example.com:4222", "127.0.0.1", "127.0.0.1:port", "127.0.0.1:70000", "[::]:4222"} {
		s, err := Start(Options{StoreDir: t.TempDir(), Listen: address})
		if err == nil {
			s.Shutdown()
		}
		if err == nil || !strings.Contains(err.Error(), address) {
			t.Errorf("%s: %v", address, err)
		}
	}
}

func TestWithoutListenThereIsNoPort(t *testing.T) {
	t.Parallel()
	s := serve(t, Options{StoreDir: t.TempDir()})
	if s.URL() != "" {
		t.Errorf("it listens on %s", s.URL())
	}
	with := serve(t, Options{StoreDir: t.TempDir(), Listen: ":0"})
	if !strings.HasPrefix(with.URL(), "nats://127.0.0.1:") {
		t.Errorf("it listens on %s", with.URL())
	}
	c, err := net.Dial("tcp", strings.TrimPrefix(with.URL(), "nats://"))
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}

func TestUnknownDurability(t *testing.T) {
	t.Parallel()
	if _, err := Start(Options{StoreDir: t.TempDir(), Durability: "never"}); err == nil || !strings.Contains(err.Error(), "never") {
		t.Errorf("got %v", err)
	}
}

func TestStoreThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Start(Options{StoreDir: filepath.Join(file, "store")}); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("got %v", err)
	}
}

func TestSecondServerOnAStoreIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := serve(t, Options{StoreDir: dir})
	_, err := Start(Options{StoreDir: dir})
	if !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), fmt.Sprintf("process %d", os.Getpid())) || !strings.Contains(err.Error(), dir) {
		t.Fatalf("got %v", err)
	}
	s.Shutdown()
	serve(t, Options{StoreDir: dir})
}

func TestServerIsReadySoonAndQuiet(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	soonest := time.Hour
	for range 5 { // this machine may be busy with other things
		began := time.Now()
		s := serve(t, Options{StoreDir: t.TempDir(), Logger: slog.New(slog.NewTextHandler(&log, nil))})
		soonest = min(soonest, time.Since(began))
		s.Shutdown()
	}
	if soonest > 2*time.Second {
		t.Errorf("it took %s", soonest)
	}
	if log.Len() > 0 {
		t.Errorf("it said:\n%s", &log)
	}
}

func serve(t testing.TB, o Options) *Server {
	t.Helper()
	s, err := Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Shutdown)
	return s
}

// TestTheLockIsGivenUp: also while a program that is being started still has this process's files.
func TestTheLockIsGivenUp(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := Start(Options{StoreDir: dir, Durability: Interval})
	if err != nil {
		t.Fatal(err)
	}
	child, err := syscall.Dup(int(s.lock.Fd())) // what a child has between fork and exec
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(child) })
	s.Shutdown()
	if s, err = Start(Options{StoreDir: dir, Durability: Interval}); err != nil {
		t.Fatal(err)
	}
	s.Shutdown()
}

// TestWhoDidNotCloseTheStore: only a process that had the store and ended without closing it is named.
func TestWhoDidNotCloseTheStore(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	openings := map[string]bool{}
	open := func(want string) {
		t.Helper()
		s, err := Start(Options{StoreDir: dir, Durability: Interval})
		if err != nil {
			t.Fatal(err)
		}
		if got := s.Crashed(); got != want {
			t.Errorf("%q did not close it, want %q", got, want)
		}
		if openings[s.Opening()] {
			t.Error("two openings have one name")
		}
		openings[s.Opening()] = true
		s.Shutdown()
	}
	leave := func(text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, "lock"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	open("")
	open("")
	leave("4711\nOPENING\n")
	open("4711")
	open("")
	leave("4711\n") // an older version leaves that in any case
	open("")
}
