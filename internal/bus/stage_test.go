package bus

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"belay/internal/bus/embedded"
	"belay/internal/freeport"
	"belay/internal/wire"
)

// staging is a server whose batches are staged in memory.
type staging struct {
	t      *testing.T
	dir    string
	server *embedded.Server
	bus    *Bus
}

func startStaging(t *testing.T, dir string) *staging {
	t.Helper()
	s := &staging{t: t, dir: dir}
	var err error
	if s.server, err = embedded.Start(embedded.Options{StoreDir: dir, Listen: freeport.Address(t)}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.server.Shutdown)
	s.bus = dial(t, Options{InProcess: s.server})
	setUp(t, s.bus, SetupOptions{Partitions: 1})
	if err := s.server.StageInMemory(); err != nil {
		t.Fatal(err)
	}
	if s.folder() == "" {
		t.Skip("there is no file system in memory")
	}
	return s
}

// folder is where the batches of the log are; empty where that is on disk.
func (s *staging) folder() string {
	links, _ := filepath.Glob(filepath.Join(s.dir, "jetstream", "$G", "streams", s.bus.Names().RunsStream(0), "batches"))
	if len(links) == 0 {
		return ""
	}
	target, _ := os.Readlink(links[0])
	return target
}

// batch publishes a group that goes as a batch.
func (s *staging) batch(n int) {
	s.t.Helper()
	group := make([]item, n)
	answers := make(chan error, n)
	for i := range group {
		group[i] = item{Message{Subject: s.bus.Names().Log(0, "r", wire.KindOutcome), Data: []byte("x")}, func(_ uint64, err error) { answers <- err }}
	}
	s.bus.publisher(s.bus.Names().RunsStream(0)).sendBatch(group)
	for range n {
		if err := <-answers; err != nil {
			s.t.Error(err)
		}
	}
}

func (s *staging) has(n int) {
	s.t.Helper()
	if all, err := s.bus.ReadLog(s.t.Context(), "r", 0); err != nil || len(all) != n {
		s.t.Errorf("%d messages are stored, not %d: %v", len(all), n, err)
	}
}

func TestBatchesAreStagedInMemory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := startStaging(t, dir)
	folder := s.folder()
	s.batch(20)
	s.has(20)
	if err := s.server.StageInMemory(); err != nil || s.folder() != folder {
		t.Errorf("asked again: %v, %s", err, s.folder())
	}
	// Somebody cleans the memory: then a batch cannot be staged, and its messages are stored all the same.
	if err := os.RemoveAll(filepath.Dir(folder)); err != nil {
		t.Fatal(err)
	}
	s.batch(20)
	s.has(40)
	s.bus.Close()
	s.server.Shutdown()

	// After the machine was off the folder is gone, and the store opens as ever.
	s = startStaging(t, dir)
	s.has(40)
	s.batch(20)
	s.has(60)
	folder = s.folder()
	s.bus.Close()
	s.server.Shutdown()
	if _, err := os.Stat(filepath.Dir(folder)); !os.IsNotExist(err) {
		t.Errorf("%s was left: %v", folder, err)
	}
}

// TestStagesThatAKilledProcessLeft are removed by the next one that starts, whichever store it is for; those of processes
// that live stay.
func TestStagesThatAKilledProcessLeft(t *testing.T) {
	t.Parallel()
	other := startStaging(t, t.TempDir())
	left, err := os.MkdirTemp("/dev/shm", "belay-stage-left-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(left) })
	if err := os.WriteFile(filepath.Join(left, "lock"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s := startStaging(t, t.TempDir())
	if _, err := os.Stat(left); !os.IsNotExist(err) {
		t.Errorf("%s is still there: %v", left, err)
	}
	for _, folder := range []string{s.folder(), other.folder()} {
		if _, err := os.Stat(folder); err != nil || !strings.HasPrefix(folder, "/dev/shm/belay-stage-") {
			t.Errorf("batches are staged in %q: %v", folder, err)
		}
	}
	other.batch(20)
	other.has(20)
}
