//go:build linux

package chaos

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"belay/internal/plan"
	"belay/internal/steps"
)

// How often the disk fails in TestDiskThatFails. Each window takes about twelve seconds.
var windows = flag.Int("chaos.windows", 1, "windows of a failing disk; the figure in docs/reliability.md is of 70")

// A window is longer than a publish waits for its answer, so that everybody gets to look whether the server has it.
const (
	windowLength = 7 * time.Second
	perWindow    = 150 // runs
)

const diskPlan = `
name: disk
input: {n: 1}
steps:
  - {id: a, tool: charge, with: {n: "${ input.n }"}}
  - {id: b, tool: charge, with: {n: "${ steps.a.output.ok }"}}
`

// TestDiskThatFails lets every fsync of the NATS server fail for a while, again and again, and then kills it; whatever it
// wrote meanwhile is cut off its files before it comes back, as a machine would lose it. Meanwhile runs are submitted, and
// each of them charges twice, with a tool that must not be repeated. Every run that was accepted ends, and nothing is
// charged twice.
func TestDiskThatFails(t *testing.T) {
	n := *windows
	if testing.Short() {
		n = min(n, 1)
	}
	needStrace(t)
	w := newWorld(t)
	f := startFleet(t, build(t, ""), "", w.diskTools(), "--concurrency", "64")
	c := f.client(w)
	c.doc = diskDocument(t, f)
	load := &load{client: c}
	for i := range n {
		// The first write that fails is what readers can see of it: sometimes a group of submissions, sometimes of claims.
		after := time.Duration(rand.Int64N(int64(25 * time.Millisecond)))
		if i%2 == 1 {
			after = 10*time.Millisecond + time.Duration(rand.Int64N(int64(120*time.Millisecond)))
		}
		load.window(t, f, after, i%8 != 7)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	lost := load.lost(ctx)
	charges, twice := w.sum("/pay")
	t.Logf("%d windows: %d runs accepted, %d not, %d lost; %d charges, %d doubled; %d answers by people; not explained by the disk: %v; cut off: %d files",
		n, len(load.accepted), load.refused, len(lost), charges, len(twice), c.answered, c.strange, load.cut)
	if len(lost) > 0 {
		var log strings.Builder
		err := load.runs.Export(t.Context(), lost[0], &log)
		t.Errorf("lost: %v; the log of the first: %s%v", lost, log.String(), err)
	}
	if len(twice) > 0 {
		t.Errorf("charged twice: %v", twice)
	}
	if load.cut == 0 || len(load.accepted) == 0 {
		t.Error("nothing was cut off, or no run was accepted: the test shows nothing")
	}
}

func (w *world) diskTools() string {
	return w.tools("100ms") + strings.ReplaceAll(`  charge: {effects: unsafe, timeout: 10m, rungs: [{name: primary, http: {method: POST, url: "URL/pay"}, timeout: 10s, retry: {initial: 100ms, max_attempts: 9}}]}
`, "URL", w.URL)
}

func diskDocument(t *testing.T, f *fleet) *plan.Document {
	t.Helper()
	tools, err := plan.LoadTools(filepath.Join(f.dir, "tools.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	doc, err := plan.ParsePlan("plan.yaml", []byte(diskPlan), tools)
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// needStrace skips the test where calls cannot be made to fail.
func needStrace(t *testing.T) {
	t.Helper()
	if out, err := exec.Command("strace", "-f", "-e", "trace=fsync", "-e", "inject=fsync:error=EIO", "true").CombinedOutput(); err != nil {
		t.Skipf("needs strace, and the right to trace (apt-get install strace; in a container --cap-add SYS_PTRACE): %v %.300s", err, out)
	}
}

// load is the runs that are submitted, and what became of them.
type load struct {
	*client
	next int

	mu       sync.Mutex
	accepted []string
	refused  int
	cut      int // files
}

// window is one failure of the disk, from the first fsync that fails until the server is back.
func (l *load) window(t *testing.T, f *fleet, after time.Duration, lose bool) {
	l.awake(t)
	submitted := l.burst(t.Context(), perWindow)
	pause(t.Context(), after)
	disk := f.breakDisk(t, member{"server", 0})
	pause(t.Context(), windowLength)
	f.mu.Lock()
	f.onEnd = func(m member) {
		if m.role == "server" && lose {
			l.cut += disk.lose(t)
		}
	}
	f.mu.Unlock()
	f.kill(member{"server", 0})
	disk.end()
	f.mu.Lock()
	f.onEnd = nil
	f.mu.Unlock()
	f.connect()
	submitted.Wait()
	l.people(t.Context())
}

// awake waits until everything works again: a run that is submitted now ends.
func (l *load) awake(t *testing.T) {
	t.Helper()
	id := runID(l.next)
	l.next++
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err := errors.New("not tried")
	for err != nil && ctx.Err() == nil {
		_, err = l.runs.Submit(ctx, id, steps.Submitted{Document: l.doc.JSON, Input: json.RawMessage(`{"n":1}`)})
		pause(ctx, 50*time.Millisecond)
	}
	for ctx.Err() == nil {
		if s, err := l.runs.Load(ctx, id); err == nil && s.Status() == steps.RunSucceeded {
			l.mu.Lock() // a burst may be under way
			l.accepted = append(l.accepted, id)
			l.mu.Unlock()
			return
		}
		l.people(ctx)
		pause(ctx, 50*time.Millisecond)
	}
	t.Fatalf("nothing works a minute after the disk is whole again: %v\n%s", err, l.fleet.logs())
}

// burst submits runs at once, each once: one that is not accepted is nobody's promise.
func (l *load) burst(ctx context.Context, runs int) *sync.WaitGroup {
	var wg sync.WaitGroup
	for range runs {
		id := runID(l.next)
		l.next++
		wg.Go(func() {
			_, err := l.runs.Submit(ctx, id, steps.Submitted{Document: l.doc.JSON, Input: json.RawMessage(`{"n":1}`)})
			l.mu.Lock()
			defer l.mu.Unlock()
			if err != nil {
				l.refused++
				return
			}
			l.accepted = append(l.accepted, id)
		})
	}
	return &wg
}

// lost waits until all accepted runs have ended, and names those that never do.
func (l *load) lost(ctx context.Context) []string {
	left := slices.Clone(l.accepted)
	for {
		l.people(ctx)
		left = slices.DeleteFunc(left, func(id string) bool {
			s, err := l.runs.Load(ctx, id)
			return err == nil && s.Status() == steps.RunSucceeded
		})
		if len(left) == 0 || ctx.Err() != nil {
			return left
		}
		pause(ctx, 300*time.Millisecond)
	}
}

// disk is a process whose every fsync fails, and what it writes meanwhile.
type disk struct {
	trace string // files of the tracer, one per thread
	cmd   *exec.Cmd
	ended chan struct{}
}

// breakDisk lets the fsyncs of a process fail from now on. It is stopped until all of its threads are watched, so that
// nothing that it has confirmed can be taken for lost.
func (f *fleet) breakDisk(t *testing.T, m member) *disk {
	t.Helper()
	f.mu.Lock()
	pid := f.procs[m].Process.Pid
	f.mu.Unlock()
	d := &disk{trace: filepath.Join(t.TempDir(), "trace"), ended: make(chan struct{})}
	d.cmd = exec.Command("strace", "-ff", "-y", "-s", "0", "-o", d.trace, "-p", strconv.Itoa(pid),
		"-e", "trace=pwrite64,fsync,fdatasync", "-e", "inject=fsync,fdatasync:error=EIO")
	said, err := d.cmd.StderrPipe()
	if err == nil {
		_ = syscall.Kill(pid, syscall.SIGSTOP)
		err = d.cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	attached := make(chan struct{})
	go func() {
		defer close(d.ended)
		first := true
		for lines := bufio.NewScanner(said); lines.Scan(); {
			if first && strings.Contains(lines.Text(), "attached") {
				close(attached)
				first = false
			}
		}
		_ = d.cmd.Wait()
	}()
	select {
	case <-attached:
	case <-d.ended:
		t.Fatal("strace ended before it was attached")
	case <-time.After(time.Minute):
		t.Fatal("strace does not attach")
	}
	_ = syscall.Kill(pid, syscall.SIGCONT)
	return d
}

// end waits for the tracer, which ends with its process.
func (d *disk) end() {
	select {
	case <-d.ended:
	case <-time.After(time.Minute):
		_ = d.cmd.Process.Kill()
		<-d.ended
	}
}

var written = regexp.MustCompile(`^pwrite64\(\d+<([^>]+\.blk)>, .*, (\d+), (\d+)\)`)

// lose cuts off what was written while nothing could be synced, and counts the files.
func (d *disk) lose(t *testing.T) (files int) {
	d.end()
	first := map[string]int64{}
	traces, err := filepath.Glob(d.trace + ".*")
	if err != nil {
		t.Error(err)
	}
	for _, name := range traces {
		d.read(t, name, first)
	}
	for name, at := range first {
		switch info, err := os.Stat(name); {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			t.Error(err)
		case info.Size() > at:
			if err := os.Truncate(name, at); err != nil {
				t.Error(err)
			}
			files++
		}
	}
	return files
}

// read finds out where each file began to be written.
func (d *disk) read(t *testing.T, name string, first map[string]int64) {
	file, err := os.Open(name)
	if err != nil {
		t.Error(err)
		return
	}
	defer file.Close()
	in := bufio.NewReader(file)
	for {
		line, err := in.ReadString('\n')
		if m := written.FindStringSubmatch(line); m != nil {
			at, _ := strconv.ParseInt(m[3], 10, 64)
			if was, ok := first[m[1]]; !ok || at < was {
				first[m[1]] = at
			}
		}
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Error(err)
			return
		}
	}
}
