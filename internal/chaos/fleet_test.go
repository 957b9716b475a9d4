package chaos

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"belay/internal/approval"
	"belay/internal/freeport"
)

// fleet is the real programs, as processes: one with the NATS server (and a dispatcher), dispatchers, workers. One that
// has ended is started again, the way any supervisor does.
type fleet struct {
	t      *testing.T
	dir    string
	bin    string
	url    string
	mutant string

	mu    sync.Mutex
	procs map[member]*process
	kills map[string]int
	down  bool

	alone      bool                  // the server's process has the only dispatcher
	serverArgs []string              // beside the usual ones
	workerArgs []string              // likewise
	wrap       func(member) []string // what starts a program in place of this process, before its own words; may be nil
	listen     string                // of the server's process, for its health; empty = nothing
	prepare    func()                // called when the folder is there; may be nil

	argsOf func(member) []string // the program and its arguments; nil = those of args

	crash func(member) []string // more of the environment of a process that starts; may be nil

	onEnd func(member) // called when a process has ended, before it is started again; may be nil
}

type member struct {
	role string
	n    int
}

func (m member) String() string { return fmt.Sprint(m.role, m.n) }

type process struct {
	*exec.Cmd
	ended chan struct{}
}

// builds are the programs that were made, by their tags, for all tests: linking them takes longer than many a test.
var builds struct {
	sync.Mutex
	of  map[string]string
	own []string // the folders that go with the tests
}

// build makes the programs, with the mutants' tags as asked. In BELAY_PROGRAMS the true ones may stand already: Go looks whether they are
// those of these sources, and links them only if not.
func build(t *testing.T, tags string) string {
	t.Helper()
	builds.Lock()
	defer builds.Unlock()
	if bin := builds.of[tags]; bin != "" {
		return bin
	}
	bin := os.Getenv("BELAY_PROGRAMS")
	if bin == "" || tags != "" {
		var err error
		if bin, err = os.MkdirTemp("", "belay-chaos-"); err != nil {
			t.Fatal(err)
		}
		builds.own = append(builds.own, bin)
	}
	if out, err := exec.Command("go", "build", "-tags", tags, "-o", bin+"/", module()+"/cmd/...").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	if builds.of == nil {
		builds.of = map[string]string{}
	}
	builds.of[tags] = bin
	return bin
}

func startFleet(t *testing.T, bin, mutant, tools string, workerArgs ...string) *fleet {
	t.Helper()
	f := &fleet{bin: bin, mutant: mutant, workerArgs: workerArgs}
	return f.begin(t, tools)
}

func (f *fleet) begin(t *testing.T, tools string) *fleet {
	t.Helper()
	f.t, f.dir, f.procs, f.kills = t, t.TempDir(), map[member]*process{}, map[string]int{}
	f.url = "nats://" + freeport.Address(t)
	for name, text := range map[string]string{"tools.yaml": tools, "plan.yaml": planText} {
		if err := os.WriteFile(filepath.Join(f.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if f.prepare != nil {
		f.prepare()
	}
	f.shareKey()
	t.Cleanup(f.end)
	f.start(member{"server", 0})
	f.connect()
	for n := range 2 {
		if !f.alone {
			f.start(member{"dispatcher", n}) // the server's process has the third
		}
	}
	for n := range 3 {
		f.start(member{"worker", n})
	}
	return f
}

func (f *fleet) args(m member) []string {
	switch m.role {
	case "server":
		usual := []string{"dispatcher", "dev", "--no-worker", "--nats-listen", f.url[len("nats://"):], "--listen", f.listen, "--data-dir", filepath.Join(f.dir, "store")}
		return append(usual, f.serverArgs...)
	case "dispatcher":
		return []string{"dispatcher", "serve", "--server", f.url, "--data-dir", filepath.Join(f.dir, fmt.Sprint("d", m.n))}
	}
	usual := []string{"worker", "--server", f.url, "--tools", filepath.Join(f.dir, "tools.yaml"), "--ack-wait", "2s", "--concurrency", "8"}
	return append(usual, f.workerArgs...)
}

// keys is the folder of the key that people's decisions are signed with in the tests. It is the first dispatchers' own, because
// workers believe no other that comes later.
func (f *fleet) keys() string { return filepath.Join(f.dir, "keys") }

// shareKey gives the dispatchers that key.
func (f *fleet) shareKey() {
	if _, err := approval.Open(f.keys()); err != nil {
		f.t.Fatal(err)
	}
	files, _ := filepath.Glob(filepath.Join(f.keys(), "*"))
	for _, name := range files {
		key, err := os.ReadFile(name)
		for _, of := range []string{"store", "d0"} {
			to := filepath.Join(f.dir, of, "keys")
			err = errors.Join(err, os.MkdirAll(to, 0o700), keep(filepath.Join(to, filepath.Base(name)), key))
		}
		if err != nil {
			f.t.Fatal(err)
		}
	}
}

// keep writes a file so that it outlives a power cut.
func keep(name string, text []byte) error {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Sync(), f.Close())
}

// environment is this process's without what would lead to somebody else's server or settings.
func environment() []string {
	return slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "NATS_") || strings.HasPrefix(v, "BELAY_") })
}

func (f *fleet) start(m member) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.down {
		return
	}
	argsOf := f.args
	if f.argsOf != nil {
		argsOf = f.argsOf
	}
	args := argsOf(m)
	out, err := os.OpenFile(f.log(m), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		f.t.Error(err)
		return
	}
	defer out.Close()
	args[0] = filepath.Join(f.bin, args[0])
	if f.wrap != nil {
		args = append(f.wrap(m), args...)
	}
	p := &process{Cmd: exec.Command(args[0], args[1:]...), ended: make(chan struct{})}
	p.Stdout, p.Stderr = out, out
	p.Env = append(environment(), "BELAY_MUTANT="+f.mutant, "XDG_STATE_HOME="+f.dir, "XDG_CONFIG_HOME="+f.dir)
	if f.crash != nil {
		p.Env = append(p.Env, f.crash(m)...)
	}
	if err := p.Start(); err != nil {
		f.t.Error(err)
		return
	}
	f.procs[m] = p
	go func() {
		_ = p.Wait()
		f.mu.Lock()
		onEnd := f.onEnd
		f.mu.Unlock()
		if onEnd != nil {
			onEnd(m)
		}
		close(p.ended)
		f.start(m)
	}()
}

// log is the file of what a process says, of all that was started for it.
func (f *fleet) log(m member) string { return filepath.Join(f.dir, m.String()+".log") }

// kill ends a process without a word; it is started again at once.
func (f *fleet) kill(m member) {
	f.mu.Lock()
	p := f.procs[m]
	f.kills[m.role]++
	f.mu.Unlock()
	_ = p.Process.Kill()
	<-p.ended
}

// stop has a process end as it does when it is asked to; it is started again at once.
func (f *fleet) stop(m member) {
	f.mu.Lock()
	p := f.procs[m]
	f.mu.Unlock()
	_ = p.Process.Signal(syscall.SIGTERM)
	<-p.ended
}

// freeze stops a process for longer than the ack wait, and lets it go on as if nothing had been.
func (f *fleet) freeze(m member, d time.Duration) {
	f.mu.Lock()
	p := f.procs[m]
	f.kills["frozen"]++
	f.mu.Unlock()
	_ = p.Process.Signal(syscall.SIGSTOP)
	time.AfterFunc(d, func() { _ = p.Process.Signal(syscall.SIGCONT) })
}

func (f *fleet) members() []member {
	all := []member{{"server", 0}}
	for n := range 2 {
		all = append(all, member{"dispatcher", n})
	}
	for n := range 3 {
		all = append(all, member{"worker", n})
	}
	return all
}

func (f *fleet) end() {
	f.mu.Lock()
	f.down = true
	procs := f.procs
	f.mu.Unlock()
	for _, p := range procs {
		_ = p.Process.Kill()
		<-p.ended
	}
	if f.t.Failed() {
		f.t.Logf("logs of the processes:\n%s", f.logs())
	}
}

// logs is the end of what every process has said.
func (f *fleet) logs() string {
	files, _ := filepath.Glob(filepath.Join(f.dir, "*.log"))
	text := ""
	for _, name := range files {
		b, _ := os.ReadFile(name)
		text += fmt.Sprintf("== %s\n%s\n", filepath.Base(name), b[max(0, len(b)-3000):])
	}
	return text
}

// connect waits until the server takes connections.
func (f *fleet) connect() {
	ctx, cancel := context.WithTimeout(f.t.Context(), time.Minute)
	defer cancel()
	for {
		var d net.Dialer
		c, err := d.DialContext(ctx, "tcp", f.url[len("nats://"):])
		if err == nil {
			c.Close()
			return
		}
		if ctx.Err() != nil {
			f.t.Fatalf("the server does not come up: %v\n%s", err, f.logs())
		}
		pause(ctx, 20*time.Millisecond)
	}
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
