//go:build linux

package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"belay/internal/bus"
	"belay/internal/freeport"
	"belay/internal/steps"
)

// How often the disk is full, or fails or is slow, in the tests of this file.
var (
	fullDisks = flag.Int("chaos.full", 1, "how often the disk is full or the store's limit reached, by turns; the figure in docs/reliability.md is of 20")
	badDisks  = flag.Int("chaos.baddisk", 1, "how often the disk fails or is slow; the figure in docs/reliability.md is of 20")
)

const (
	smallDisk = 12 << 20
	perFull   = 30               // runs that are submitted while it happens
	goesOn    = 50 * time.Second // after the disk takes writes again; ten on a machine that does nothing else
)

// smallStore is a fleet whose server, in the process of `dispatcher dev`, has its store on a small disk of its own.
type smallStore struct {
	*load
	store string
	page  string // of its health
}

func newSmallStore(t *testing.T) *smallStore {
	t.Helper()
	w := newWorld(t)
	f := &fleet{bin: build(t, ""), listen: freeport.Address(t)}
	s := &smallStore{page: "http://" + f.listen}
	f.prepare = func() {
		s.store = filepath.Join(f.dir, "store")
		if err := os.Mkdir(s.store, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Mount("tmpfs", s.store, "tmpfs", 0, "size="+strconv.Itoa(smallDisk)); err != nil {
			t.Skipf("needs the right to mount a small disk (in a container --cap-add SYS_ADMIN): %v", err)
		}
		t.Cleanup(func() { _ = syscall.Unmount(s.store, syscall.MNT_DETACH) })
	}
	f.workerArgs = []string{"--concurrency", "64"}
	f.begin(t, w.diskTools())
	c := f.client(w)
	c.doc = diskDocument(t, f)
	s.load = &load{client: c}
	return s
}

// fill takes all of the disk, and returns what gives it back.
func (s *smallStore) fill(t *testing.T) (giveBack func()) {
	t.Helper()
	name := filepath.Join(s.store, "filler")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for err == nil {
		_, err = f.Write(make([]byte, 4<<10))
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	return func() { _ = os.Remove(name) }
}

// stuff stores so much in a stream that the server's limit is reached, and returns what removes it.
func (s *smallStore) stuff(t *testing.T) (giveBack func()) {
	t.Helper()
	js, err := jetstream.New(s.bus.NATS())
	if err == nil {
		_, err = js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "STUFF", Subjects: []string{"stuff"}})
	}
	for err == nil {
		_, err = js.Publish(t.Context(), "stuff", make([]byte, 64<<10))
	}
	if api, is := errors.AsType[*jetstream.APIError](err); !is || api.ErrorCode != 10023 {
		t.Fatal(err)
	}
	return func() {
		if err := js.DeleteStream(context.Background(), "STUFF"); err != nil {
			t.Error(err)
		}
	}
}

// health is the status of /readyz and what it says.
func (s *smallStore) health(ctx context.Context) (int, string) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.page+"/readyz", nil)
	if err != nil {
		return 0, err.Error()
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body)
	return res.StatusCode, string(body)
}

// await waits until /readyz has a status, and returns how long that took and what it says.
func (s *smallStore) await(t *testing.T, status int) (time.Duration, string) {
	t.Helper()
	began := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		got, body := s.health(ctx)
		if got == status {
			return time.Since(began), body
		}
		if ctx.Err() != nil {
			t.Fatalf("/readyz is %d after a minute, not %d: %s\n%s", got, status, body, s.fleet.logs())
		}
		pause(ctx, 50*time.Millisecond)
	}
}

// refused submits a run that cannot be stored, and checks what its submitter is told, and when.
func (s *smallStore) told(t *testing.T) {
	t.Helper()
	began := time.Now()
	_, err := s.runs.Submit(t.Context(), runID(s.next), steps.Submitted{Document: s.doc.JSON, Input: json.RawMessage(`{"n":1}`)})
	s.next++
	took := time.Since(began)
	if err == nil {
		s.accepted = append(s.accepted, runID(s.next-1)) // there was a bit of room for it
		return
	}
	t.Logf("its submitter was told after %s", took.Round(time.Millisecond))
	if took > 30*time.Second || !strings.Contains(err.Error(), "the store takes no writes") || !errors.Is(err, bus.ErrUncertain) && !errors.Is(err, bus.ErrFull) {
		t.Errorf("after %s: %v", took, err)
	}
}

// round lets something happen to the disk while runs are submitted, and measures how soon work goes on after it.
func (s *smallStore) round(t *testing.T, happen func(*testing.T) (over func()), mustBeSeen bool) (goneOn time.Duration) {
	t.Helper()
	s.awake(t)
	s.await(t, http.StatusOK)
	submitted := s.burst(t.Context(), perFull)
	pause(t.Context(), time.Duration(rand.Int64N(int64(100*time.Millisecond))))
	over := happen(t)
	if mustBeSeen {
		took, body := s.await(t, http.StatusServiceUnavailable)
		t.Logf("/readyz: 503 after %s: %s", took.Round(time.Millisecond), strings.TrimSpace(body))
		s.told(t)
	}
	pause(t.Context(), time.Duration(rand.Int64N(int64(2*time.Second))))
	over()
	began := time.Now()
	ready, _ := s.await(t, http.StatusOK)
	s.awake(t)
	goneOn = time.Since(began)
	t.Logf("ready %s after the disk was well, and a run that was submitted then ended after %s", ready.Round(time.Millisecond), goneOn.Round(time.Millisecond))
	submitted.Wait()
	s.people(t.Context())
	return goneOn
}

// end checks that everything that was accepted came to its end, that nothing was done twice, and that nobody was alarmed for
// nothing.
func (s *smallStore) end(t *testing.T, what string, n int, slowest time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	lost := s.lost(ctx)
	charges, twice := s.world.sum("/pay")
	t.Logf("%s, %d times: %d runs accepted, %d not, %d lost; %d charges, %d doubled; %d answers by people; a run ended at most %s after the disk was well",
		what, n, len(s.accepted), s.refused, len(lost), charges, len(twice), s.answered, slowest.Round(10*time.Millisecond))
	if len(lost) > 0 || len(twice) > 0 || charges < 2*len(s.accepted) {
		t.Errorf("lost: %v; charged twice: %v", lost, twice)
	}
	if slowest > goesOn {
		t.Errorf("work went on only after %s", slowest)
	}
	if _, body := s.await(t, http.StatusOK); !strings.Contains(body, "ready") {
		t.Error(body)
	}
	if n := len(s.fleet.kills); n > 0 {
		t.Errorf("processes were started anew: %v", s.fleet.kills)
	}
}

// TestFullDisk: while runs are submitted the disk of the embedded server is full, or the limit of its store is reached. The health
// check and whoever submits say so; once there is room, work goes on within ten seconds, in the same processes.
func TestFullDisk(t *testing.T) {
	s := newSmallStore(t)
	pid := s.fleet.pid(member{"server", 0})
	slowest := time.Duration(0)
	for i := range *fullDisks {
		happen := s.fill
		if i%2 == 1 {
			happen = s.stuff
		}
		slowest = max(slowest, s.round(t, happen, true))
	}
	s.end(t, "a full disk or a limit that is reached", *fullDisks, slowest)
	if now := s.fleet.pid(member{"server", 0}); now != pid {
		t.Errorf("the server's process was %d and is %d", pid, now)
	}
}

// TestBadDisk: while runs are submitted, writes of the embedded server fail with EIO, or its syncs do, or writes are slow.
func TestBadDisk(t *testing.T) {
	needStrace(t)
	s := newSmallStore(t)
	slowest := time.Duration(0)
	injections := []string{"pwrite64:error=EIO:when=12+", "fsync:error=EIO", "pwrite64:delay_enter=50000"}
	for i := range *badDisks {
		inject := injections[i%len(injections)]
		slowest = max(slowest, s.round(t, func(t *testing.T) func() {
			stop := s.fleet.inject(t, member{"server", 0}, inject)
			pause(t.Context(), 5*time.Second)
			return stop
		}, false))
	}
	s.end(t, "a disk that fails or is slow", *badDisks, slowest)
}

func (f *fleet) pid(m member) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.procs[m].Process.Pid
}

// inject lets calls of a process fail or take longer until the returned function is called.
func (f *fleet) inject(t *testing.T, m member, what string) (stop func()) {
	t.Helper()
	call, _, _ := strings.Cut(what, ":")
	cmd := exec.Command("strace", "-f", "-qq", "-o", "/dev/null", "-p", strconv.Itoa(f.pid(m)), "-e", "trace="+call, "-e", "inject="+what)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return func() {
		_ = cmd.Process.Signal(syscall.SIGINT) // it lets go of the process
		_ = cmd.Wait()
	}
}
