package bus

import (
	"bufio"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestPortInUse(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dir := t.TempDir()
	_, err = StartServer(ServerOptions{StoreDir: dir, Listen: l.Addr().String()})
	if err == nil || !strings.Contains(err.Error(), l.Addr().String()) || !strings.Contains(err.Error(), "--nats-listen") {
		t.Fatalf("got %v", err)
	}
	serve(t, ServerOptions{StoreDir: dir}) // the store is free all the same
}

func TestAddressesThatAreRefused(t *testing.T) {
	for _, address := range []string{"0.0.0.0:4222", "192.168.1.1:4222", "example.com:4222", "127.0.0.1", "127.0.0.1:port", "127.0.0.1:70000", "[::]:4222"} {
		s, err := StartServer(ServerOptions{StoreDir: t.TempDir(), Listen: address})
		if err == nil {
			s.Shutdown()
		}
		if err == nil || !strings.Contains(err.Error(), address) {
			t.Errorf("%s: %v", address, err)
		}
	}
}

func TestWithoutListenThereIsNoPort(t *testing.T) {
	s := serve(t, ServerOptions{StoreDir: t.TempDir()})
	if s.URL() != "" {
		t.Errorf("it listens on %s", s.URL())
	}
	with := serve(t, ServerOptions{StoreDir: t.TempDir(), Listen: ":0"})
	if !strings.HasPrefix(with.URL(), "nats://127.0.0.1:") {
		t.Errorf("it listens on %s", with.URL())
	}
	dial(t, Options{Server: with.URL()})
}

func TestUnknownDurability(t *testing.T) {
	if _, err := StartServer(ServerOptions{StoreDir: t.TempDir(), Durability: "never"}); err == nil || !strings.Contains(err.Error(), "never") {
		t.Errorf("got %v", err)
	}
}

func TestStoreThatCannotBeWritten(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := StartServer(ServerOptions{StoreDir: filepath.Join(file, "store")}); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("got %v", err)
	}
}

func TestSecondServerOnAStoreIsRefused(t *testing.T) {
	dir := t.TempDir()
	s := serve(t, ServerOptions{StoreDir: dir})
	_, err := StartServer(ServerOptions{StoreDir: dir})
	if !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), fmt.Sprintf("process %d", os.Getpid())) || !strings.Contains(err.Error(), dir) {
		t.Fatalf("got %v", err)
	}
	s.Shutdown()
	serve(t, ServerOptions{StoreDir: dir})
}

func TestServerIsReadySoonAndQuiet(t *testing.T) {
	var log strings.Builder
	began := time.Now()
	s := serve(t, ServerOptions{StoreDir: t.TempDir(), Log: slog.New(slog.NewTextHandler(&log, nil))})
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("it took %s", took)
	}
	s.Shutdown()
	if log.Len() > 0 {
		t.Errorf("it said:\n%s", &log)
	}
}

// The child of [TestConfirmedOutlivesAKill]: it publishes and prints what was confirmed, until it is killed.
func TestMain(m *testing.M) {
	if dir := os.Getenv("BELAY_TEST_PUBLISH_TO"); dir != "" {
		publishForEver(dir, os.Getenv("BELAY_TEST_DURABILITY"))
	}
	os.Exit(m.Run())
}

func TestConfirmedOutlivesAKill(t *testing.T) {
	for _, durability := range []string{DurabilityFsync, DurabilityInterval} {
		t.Run(durability, func(t *testing.T) {
			dir := t.TempDir()
			confirmed := killedWhilePublishing(t, dir, durability)
			_, b := start(t, dir, durability)
			all, err := b.readMany(t.Context(), b.Names().RunsStream(0), b.Names().RunsSubjects(0), 0)
			if err != nil {
				t.Fatal(err)
			}
			stored := map[string]bool{}
			for _, e := range all {
				stored[e.Subject] = true
			}
			for _, subject := range confirmed {
				if !stored[subject] {
					t.Fatalf("%s was confirmed and is not there", subject)
				}
			}
		})
	}
}

// killedWhilePublishing lists what a process had confirmed when it was killed.
func killedWhilePublishing(t *testing.T, dir, durability string) (confirmed []string) {
	t.Helper()
	child := exec.CommandContext(t.Context(), os.Args[0])
	child.Env = append(os.Environ(), "BELAY_TEST_PUBLISH_TO="+dir, "BELAY_TEST_DURABILITY="+durability)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if confirmed = append(confirmed, lines.Text()); len(confirmed) == 3000 {
			if err := child.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = child.Wait() // it was killed
	if len(confirmed) < 3000 {
		t.Fatalf("only %d were confirmed", len(confirmed))
	}
	return confirmed[:len(confirmed)-1] // the last line may be cut
}
