package chaos

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"belay"
	"belay/belaytype"
	"belay/internal/bus"
	"belay/internal/bus/embedded"
	"belay/internal/freeport"
	"belay/internal/plan"
	"belay/internal/runlog"
	"belay/internal/steps"
	"belay/worker"
)

var (
	kept = flag.Int("chaos.kept", 500, "finished runs that are kept; the figures in docs/reliability.md are of 1000000")
	side = flag.Int("chaos.beside", 50, "runs in each of the five pairs that compare it with an empty store; the figures in docs/reliability.md are of 1000")
	open = flag.Int("chaos.open", 50, "runs that wait for a retry; the figures in docs/reliability.md are of 100000")
)

const (
	keptTools = `
tools:
  step: {effects: idempotent, rungs: [{name: primary, go: {}}]}
  later: {effects: idempotent, timeout: 72h, rungs: [{name: primary, http: {method: GET, url: "URL"}, retry: {max_attempts: 9, initial: 24h, max: 48h}}]}
`
	keptOne  = "name: one\nlabels: {team: pay}\ninput: {order: o}\nsteps:\n  - {id: a, tool: step}\n"
	keptFive = "name: five\nsteps:\n  - {id: a, tool: step}\n  - {id: b, tool: step}\n  - {id: c, tool: step}\n  - {id: d, tool: step}\n  - {id: e, tool: step}\n"
	keptOpen = "name: parked\nsteps:\n  - {id: a, tool: later}\n"
)

// TestWhatIsKeptCostsNothing fills a store with finished runs and with runs that wait for a retry, and then looks at what
// that does: to lists, to the start of a dispatcher that takes over all of it, to the cost of a step beside an empty store.
func TestWhatIsKeptCostsNothing(t *testing.T) {
	bin := build(t, "")
	var asked atomic.Int64
	down := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	t.Cleanup(down.Close)
	tools := strings.ReplaceAll(keptTools, "URL", down.URL)

	full := newStore(t, bin, tools)
	full.fill(*kept)
	began := time.Now()
	full.serve()
	t.Logf("a dispatcher without an index of the %d runs kept is ready after %v", *kept, since(began))
	full.indexed(*kept)
	full.work()
	began = time.Now()
	full.submit(keptOpen, *open)
	for int(asked.Load()) < *open {
		pause(t.Context(), 10*time.Millisecond)
	}
	t.Logf("%d runs wait for a retry, after %v", *open, since(began))
	full.look()

	empty := newStore(t, bin, tools)
	empty.serve()
	empty.work()
	compare(t, full, empty)

	full.restart()
	full.look()
	compare(t, full, empty)
	full.backlog(*open)
}

func since(began time.Time) time.Duration { return time.Since(began).Round(time.Millisecond) }

// store is a NATS server in this process, a dispatcher as a process of its own, and a client and a worker.
type store struct {
	t      *testing.T
	bin    string
	dir    string
	url    string
	tools  string
	client *belay.Client
	proc   *exec.Cmd
}

func newStore(t *testing.T, bin, tools string) *store {
	t.Helper()
	s := &store{t: t, bin: bin, dir: t.TempDir(), tools: tools}
	server, err := embedded.Start(embedded.Options{StoreDir: filepath.Join(s.dir, "store"), Durability: embedded.Interval, Listen: freeport.Address(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Shutdown)
	s.url = server.URL()
	b := s.connect()
	if err := b.Setup(t.Context(), bus.SetupOptions{Partitions: 4, Replicas: 1}); err != nil {
		t.Fatal(err)
	}
	if s.client, err = belay.Open(t.Context(), belay.Options{NATS: belay.NATS{Server: s.url, Timeout: 2 * time.Minute}}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.client.Close)
	return s
}

func (s *store) connect() *bus.Bus {
	s.t.Helper()
	b, err := bus.Connect(s.t.Context(), bus.Options{Server: s.url, Timeout: 30 * time.Second})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(b.Close)
	return b
}

// fill writes the logs of finished runs, and acknowledges their events as the dispatcher has that ended them.
func (s *store) fill(runs int) {
	s.t.Helper()
	b := s.connect()
	if err := b.Open(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
	log := runlog.New(b, plan.NewCache(8))
	doc, err := plan.ParsePlan("one.yaml", []byte(keptOne), s.internalTools())
	if err != nil {
		s.t.Fatal(err)
	}
	var stored sync.WaitGroup
	var failed atomic.Pointer[error]
	room := make(chan struct{}, 8000)
	for i := range runs {
		if err := failed.Load(); err != nil {
			s.t.Fatal(*err)
		}
		run := uuid.Must(uuid.NewV7()).String()
		for _, e := range []steps.Event{
			steps.Submitted{Document: doc.JSON, Input: fmt.Appendf(nil, `{"order":"o-%d"}`, i), Labels: map[string]string{"team": "pay"}, By: "fill"},
			steps.Succeeded{Attempt: steps.Attempt{Step: "a", Try: 1}, Worker: "w", Output: json.RawMessage(`{"ok":true}`)},
			steps.Closed{State: steps.RunSucceeded},
		} {
			m, stream, err := log.Message(run, e)
			if err != nil {
				s.t.Fatal(err)
			}
			room <- struct{}{}
			stored.Add(1)
			b.Publish(stream, m, func(_ uint64, err error) {
				if err != nil {
					failed.Store(&err)
				}
				<-room
				stored.Done()
			})
		}
	}
	stored.Wait()
	for p := range b.Partitions() {
		s.acknowledge(b, p)
	}
	b.Close()
}

func (s *store) acknowledge(b *bus.Bus, p int) {
	s.t.Helper()
	last, err := b.LastSeq(s.t.Context(), p)
	if err != nil {
		s.t.Fatal(err)
	}
	if last == 0 {
		return
	}
	done := make(chan struct{})
	c, err := b.ConsumeLog(s.t.Context(), p, func(d bus.Delivery) {
		_ = d.Ack()
		if d.Seq == last {
			close(done)
		}
	})
	if err != nil {
		s.t.Fatal(err)
	}
	<-done
	c.Stop()
	<-c.Done()
}

func (s *store) internalTools() *plan.Tools {
	s.t.Helper()
	name := filepath.Join(s.dir, "tools.yaml")
	if err := os.WriteFile(name, []byte(s.tools), 0o600); err != nil {
		s.t.Fatal(err)
	}
	tools, err := plan.LoadTools(name)
	if err != nil {
		s.t.Fatal(err)
	}
	return tools
}

// serve starts the dispatcher, and returns when it is ready.
func (s *store) serve() {
	s.t.Helper()
	s.proc = exec.Command(filepath.Join(s.bin, "dispatcher"), "serve", "--server", s.url, "--data-dir", filepath.Join(s.dir, "d"), "--listen", "", "--log-level", "debug")
	s.proc.Env = append(environment(), "XDG_STATE_HOME="+s.dir, "XDG_CONFIG_HOME="+s.dir)
	log, err := os.OpenFile(filepath.Join(s.dir, "d.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		s.t.Fatal(err)
	}
	defer log.Close()
	from, err := log.Seek(0, 2)
	if err != nil {
		s.t.Fatal(err)
	}
	s.proc.Stdout, s.proc.Stderr = log, log
	if err := s.proc.Start(); err != nil {
		s.t.Fatal(err)
	}
	proc := s.proc
	s.t.Cleanup(func() { _ = proc.Process.Kill(); _ = proc.Wait() })
	s.said(from, "dispatcher ready", 1)
}

// said waits until the dispatcher has logged a message so many times, and returns those lines.
func (s *store) said(from int64, message string, times int) (lines []string) {
	s.t.Helper()
	for limit := time.Now().Add(10 * time.Minute); time.Now().Before(limit); pause(s.t.Context(), 20*time.Millisecond) {
		f, err := os.Open(filepath.Join(s.dir, "d.log"))
		if err != nil {
			s.t.Fatal(err)
		}
		lines = lines[:0]
		if _, err := f.Seek(from, 0); err != nil {
			s.t.Fatal(err)
		}
		for in := bufio.NewScanner(f); in.Scan(); {
			if strings.Contains(in.Text(), message) {
				lines = append(lines, in.Text())
			}
		}
		f.Close()
		if len(lines) >= times {
			return lines
		}
	}
	s.t.Fatalf("the dispatcher has not said %q in ten minutes", message)
	return nil
}

// work starts a worker in this process.
func (s *store) work() {
	s.t.Helper()
	tools, err := belay.ParseTools("tools.yaml", []byte(s.tools))
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- worker.Run(ctx, worker.Options{NATS: belay.NATS{Server: s.url}, Tools: tools, DrainTimeout: time.Second},
			belay.Handle("step", func(context.Context, struct{}) (bool, error) { return true, nil }))
	}()
	s.t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			s.t.Error(err)
		}
	})
}

func (s *store) submit(text string, runs int) {
	s.t.Helper()
	p := planOf(s.t, s.tools, text)
	for runs > 0 {
		n := min(runs, 1000)
		if _, err := s.client.SubmitMany(s.t.Context(), p, make([]belay.Submission, n)); err != nil {
			s.t.Fatal(err)
		}
		runs -= n
	}
}

func (s *store) page(f belaytype.Filter) belaytype.Page {
	s.t.Helper()
	page, err := s.client.ListPage(s.t.Context(), f)
	if err != nil {
		s.t.Fatal(err)
	}
	return page
}

// indexed waits until lists have all runs. Meanwhile they have the newest, and say so.
func (s *store) indexed(runs int) {
	s.t.Helper()
	began := time.Now()
	var slowest time.Duration
	for {
		asked := time.Now()
		page := s.page(belaytype.Filter{Limit: 50})
		slowest = max(slowest, time.Since(asked))
		if page.Total >= runs {
			break
		}
		if page.Short == "" {
			s.t.Errorf("a list with %d of %d runs does not say that some are missing", page.Total, runs)
		}
		pause(s.t.Context(), 50*time.Millisecond)
	}
	s.t.Logf("its index has all of them %v later; a list took %v at most meanwhile", since(began), slowest.Round(time.Millisecond))
}

// slack is by how much times may be over their limits: with few runs kept this is one of many tests on a busy machine.
func (s *store) slack() time.Duration {
	if *kept < 100_000 {
		return 20
	}
	return 1
}

// look measures lists, as a program and as a person gets them.
func (s *store) look() {
	s.t.Helper()
	s.settle()
	newest := s.page(belaytype.Filter{Limit: 50})
	for _, l := range []struct {
		name  string
		f     belaytype.Filter
		limit time.Duration
	}{
		{"the newest 50", belaytype.Filter{Limit: 50}, 100 * time.Millisecond},
		{"the next page", belaytype.Filter{Limit: 50, After: newest.Next}, 100 * time.Millisecond},
		{"by state", belaytype.Filter{Limit: 50, State: belaytype.Succeeded}, time.Second},
		{"by workflow", belaytype.Filter{Limit: 50, Workflow: "parked"}, time.Second},
		{"by label", belaytype.Filter{Limit: 50, Labels: map[string]string{"team": "pay"}}, time.Second},
		{"by input", belaytype.Filter{Limit: 50, Input: map[string]string{"order": fmt.Sprint("o-", *kept/2)}}, time.Second},
		{"by time", belaytype.Filter{Limit: 50, Until: time.Now().Add(-time.Second)}, time.Second},
	} {
		var took []time.Duration
		var page belaytype.Page
		for range 5 {
			began := time.Now()
			page = s.page(l.f)
			took = append(took, time.Since(began))
		}
		slices.Sort(took)
		s.t.Logf("list, %s: %d of %d in %v", l.name, len(page.Items), page.Total, took[2].Round(10*time.Microsecond))
		if took[2] > l.limit*s.slack() {
			s.t.Errorf("list, %s, takes %v", l.name, took)
		}
	}
	id := newest.Items[len(newest.Items)-1].ID
	for _, args := range [][]string{{"runs", "ls"}, {"runs", "show", id[len(id)-8:]}} {
		began := time.Now()
		cmd := exec.Command(filepath.Join(s.bin, "dispatcher"), append(args, "--server", s.url, "--data-dir", filepath.Join(s.dir, "cli"))...)
		cmd.Env = append(environment(), "XDG_STATE_HOME="+s.dir, "XDG_CONFIG_HOME="+s.dir)
		if out, err := cmd.CombinedOutput(); err != nil {
			s.t.Errorf("dispatcher %v: %v\n%s", args, err, out)
		}
		s.t.Logf("dispatcher %s, the whole command: %v", strings.Join(args[:2], " "), since(began))
	}
	mib := s.memory()
	if mib > 700*1000*1000>>20 {
		s.t.Errorf("the dispatcher's process has %d MiB, more than 700 MB", mib)
	}
	s.t.Logf("the dispatcher's process has %d MiB", mib)
}

// settle waits until nothing is being worked off any more.
func (s *store) settle() {
	s.t.Helper()
	for was := s.cpu(); ; {
		pause(s.t.Context(), time.Second)
		now := s.cpu()
		if now-was < 200*time.Millisecond || s.t.Context().Err() != nil {
			return
		}
		was = now
	}
}

// memory of the dispatcher's process, in MiB.
func (s *store) memory() int {
	s.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.proc.Process.Pid))
	if err != nil {
		s.t.Skip("what a process needs is read from /proc")
	}
	_, rest, _ := strings.Cut(string(text), "VmRSS:")
	kib, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		s.t.Fatal(err)
	}
	return kib >> 10
}

// restart kills the dispatcher and starts another one, and measures how long work stands still.
func (s *store) restart() {
	s.t.Helper()
	s.kill()
	info, err := os.Stat(filepath.Join(s.dir, "d.log"))
	if err != nil {
		s.t.Fatal(err)
	}
	began := time.Now()
	s.serve()
	ready := since(began)
	if ready > 10*time.Second {
		s.t.Errorf("started anew: ready only after %v", ready)
	}
	s.t.Logf("started anew: ready after %v", ready)
	s.load(1)
	s.t.Logf("started anew: the first run has ended after %v", since(began))
	lines := s.said(info.Size(), "read the open runs", 4)
	s.t.Logf("started anew: all open runs are read after %v, %d MiB\n%s", since(began), s.memory(), strings.Join(lines, "\n"))
}

func (s *store) kill() {
	_ = s.proc.Process.Kill()
	_ = s.proc.Wait()
}

// backlog submits runs while there is no dispatcher, and then starts one.
func (s *store) backlog(runs int) {
	s.t.Helper()
	s.kill()
	p := planOf(s.t, s.tools, keptOne)
	var all []*belay.Run
	for len(all) < runs {
		some, err := s.client.SubmitMany(s.t.Context(), p, make([]belay.Submission, min(runs-len(all), 1000)))
		if err != nil {
			s.t.Fatal(err)
		}
		all = append(all, some...)
	}
	began := time.Now()
	s.serve()
	for _, run := range all {
		if _, err := run.Wait(s.t.Context()); err != nil {
			s.t.Fatal(err)
		}
	}
	s.t.Logf("%d runs that were submitted while there was no dispatcher have ended %v after it started, %d MiB", runs, since(began), s.memory())
}

// load runs so many runs of five steps.
func (s *store) load(runs int) {
	s.t.Helper()
	flood(s.t, s.client, planOf(s.t, s.tools, keptFive), runs, func(string, time.Duration) {})
}

// compare measures the same load beside an empty store, in pairs.
func compare(t *testing.T, full, empty *store) {
	t.Helper()
	full.load(100)
	empty.load(100)
	var times, cpu []float64
	for range 5 {
		f, fc := full.measured(*side)
		e, ec := empty.measured(*side)
		times, cpu = append(times, f.Seconds()/e.Seconds()), append(cpu, fc.Seconds()/ec.Seconds())
	}
	slices.Sort(times)
	slices.Sort(cpu)
	if cpu[2] > 2 {
		t.Errorf("a step needs %.2f of the CPU that it needs with an empty store", cpu)
	}
	t.Logf("a step beside one of an empty store: %.2f of the time %.2f; %.2f of the CPU %.2f", times[2], times, cpu[2], cpu)
}

// measured is load, how long it takes, and how much CPU time this process and the dispatcher need for it.
func (s *store) measured(runs int) (took, cpu time.Duration) {
	s.t.Helper()
	began, used := time.Now(), s.cpu()
	s.load(runs)
	return time.Since(began), s.cpu() - used
}

func (s *store) cpu() time.Duration {
	s.t.Helper()
	var own syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &own); err != nil {
		s.t.Fatal(err)
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.proc.Process.Pid))
	if err != nil {
		s.t.Skip("what a process needs is read from /proc")
	}
	f := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	user, _ := strconv.Atoi(f[11])
	system, _ := strconv.Atoi(f[12])
	return time.Duration(own.Utime.Nano()+own.Stime.Nano()) + time.Duration(user+system)*10*time.Millisecond
}
