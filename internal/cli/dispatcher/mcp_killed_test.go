package dispatcher_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"belay/internal/cli/clitest"
	"belay/internal/freeport"
)

// waiting is what one client orders at the shop, which answers once it is told to.
type waiting struct {
	came   chan struct{} // closed: the shop has the order
	answer chan struct{} // closed: the shop answers
	free   func()        // lets it answer
	n      atomic.Int32  // how often it was ordered
}

// patientShop has the order of each client by the client's name.
type patientShop map[string]*waiting

func newPatientShop(clients ...string) patientShop {
	s := patientShop{}
	for _, c := range clients {
		h := &waiting{came: make(chan struct{}), answer: make(chan struct{})}
		h.free = sync.OnceFunc(func() { close(h.answer) })
		s[c] = h
	}
	return s
}

func (s patientShop) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var order struct{ From string }
	_ = json.NewDecoder(r.Body).Decode(&order)
	h := s[order.From]
	if h == nil {
		http.Error(w, "nobody orders here under this name", http.StatusBadRequest)
		return
	}
	n := h.n.Add(1)
	if n == 1 {
		close(h.came)
	}
	<-h.answer
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, `{"order": %d, "of": %q}`, n, order.From)
}

// serving starts a NATS server, `serve` and a worker in processes of their own, and gives the address of serve and the flags
// with which commands find it.
func (w *canaryWorld) serving() (url string, flags []string) {
	w.t.Helper()
	nats, web := freeport.Address(w.t), freeport.Address(w.t)
	w.env = append(w.env, "NATS_URL=nats://"+nats, "BELAY_PREFIX=prod", "OTEL_TRACES_EXPORTER=none")
	w.background("dev ready", "dev", "--no-worker", "--prefix", "other", "--data-dir", "elsewhere", "--nats-listen", nats, "--listen", "")
	w.background("dispatcher ready", "serve", "--tools", "tools.yaml", "--listen", web)
	worker := exec.Command("worker", "--tools", "tools.yaml")
	w.start("worker ready", worker)
	return "http://" + web, []string{"--server", "nats://" + nats, "--prefix", "prod"}
}

func (w *canaryWorld) background(ready string, args ...string) {
	w.t.Helper()
	w.start(ready, w.command(args...))
}

// start starts a program that says when it is ready, and ends it with the test.
func (w *canaryWorld) start(ready string, c *exec.Cmd) {
	w.t.Helper()
	path := filepath.Join(w.t.TempDir(), "said")
	out, err := os.Create(path)
	if err != nil {
		w.t.Fatal(err)
	}
	c.Dir, c.Env, c.Stdout, c.Stderr = w.dir, w.env, out, out
	if err := c.Start(); err != nil {
		w.t.Fatal(err)
	}
	said := func() string { text, _ := os.ReadFile(path); return string(text) }
	w.t.Cleanup(func() {
		_ = c.Process.Signal(syscall.SIGTERM)
		_ = c.Wait()
		_ = out.Close()
		if w.t.Failed() {
			w.t.Logf("%q said:\n%s", c.Args, said())
		}
	})
	if !clitest.Eventually(func() bool { return strings.Contains(said(), ready) }) {
		w.t.Fatalf("%q is not ready:\n%s", c.Args, said())
	}
}

const patientTools = `tools:
  order: {effects: unsafe, rungs: [{timeout: 1m, http: {method: POST, url: %q, body: "${ params }"}}]}
`

// killed is a client that orders once, in a process of its own.
type killed struct {
	name  string
	argv  []string // of the process
	waits bool     // it says when it knows that its call is under way
}

// killedClients are those of package.json: both clients of the SDK in their eras, the one for tasks, and the inspector.
func killedClients(dir, url, token string, child []string) (all []killed) {
	node := filepath.Join(dir, "node_modules", ".bin", "node") // the one of package.json: the inspector needs a newer one than machines have
	for _, way := range []string{"sdk 1 over HTTP", "sdk 1 over stdio", "client 2 over HTTP", "client 2 over HTTP, 2026-07-28", "client 2 over stdio, 2026-07-28", "tasks"} {
		all = append(all, killed{way, []string{node, filepath.Join(dir, "once.mjs"), way}, true})
	}
	inspector := []string{node, filepath.Join(dir, "node_modules", ".bin", "mcp-inspector"), "--cli"}
	call := func(name string) []string {
		return []string{"--method", "tools/call", "--tool-name", "order", "--tool-arg", "from=" + name}
	}
	over, below := "inspector over HTTP", "inspector over stdio"
	return append(all,
		killed{over, slices.Concat(inspector, []string{url + "/mcp", "--transport", "http", "--header", "Authorization: Bearer " + token}, call(over)), false},
		killed{below, slices.Concat(inspector, call(below), []string{"--"}, child), false})
}

// TestKilledClientsOfOthers: a client that dies in the middle of an unsafe call, and calls again as a new process, gets the
// result of its first call, and there is one effect.
func TestKilledClientsOfOthers(t *testing.T) {
	t.Parallel()
	dir, err := filepath.Abs("../../server/mcptools/check")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "node_modules", ".bin", "node")); err != nil {
		t.Skip("needs `npm ci` in internal/server/mcptools/check")
	}
	w := newCanaryWorld(t)
	tools := filepath.Join(w.dir, "tools.yaml")
	var names []string
	for _, c := range killedClients("", "", "", nil) {
		names = append(names, c.name)
	}
	shop := newPatientShop(names...)
	at := httptest.NewServer(shop)
	t.Cleanup(at.Close)
	if err := os.WriteFile(tools, fmt.Appendf(nil, patientTools, at.URL), 0o600); err != nil {
		t.Fatal(err)
	}
	url, flags := w.serving()
	token := string(regexp.MustCompile(`belay_[0-9a-f]{16}_\S+`).Find(w.see("token", "create", "ada", "--role", "submitter", "--tool", "order", "--unsafe")))
	child := slices.Concat([]string{"dispatcher"}, flags, []string{"mcp", "--tools", tools})
	argv, err := json.Marshal(child)
	if err != nil || token == "" {
		t.Fatal(err, "no token")
	}
	env := append(slices.Clone(w.env), "MCP_URL="+url+"/mcp", "MCP_TOKEN="+token, "MCP_ARGV="+string(argv))
	var all sync.WaitGroup
	for _, c := range killedClients(dir, url, token, child) {
		all.Go(func() { c.orders(t, dir, env, shop[c.name]) })
	}
	all.Wait()
}

// orders lets a client be killed in the middle of its order, and order again.
func (c killed) orders(t *testing.T, dir string, env []string, h *waiting) {
	defer h.free()
	first := c.program(t, dir, env)
	if err := first.Start(); err != nil {
		t.Error(c.name, err)
		return
	}
	ended := make(chan error, 1)
	go func() { ended <- first.Wait() }()
	select {
	case <-h.came:
	case err := <-ended:
		t.Errorf("%s has ended without an order: %v\n%s", c.name, err, first.Stderr)
		return
	case <-time.After(time.Minute):
		t.Errorf("%s does not order", c.name)
	}
	left := children(first.Process.Pid)
	if err := first.Process.Kill(); err != nil {
		t.Error(c.name, err)
	}
	<-ended
	if below := strings.Contains(c.name, "stdio"); below && runtime.GOOS == "linux" && len(left) == 0 || !clitest.Eventually(func() bool { return !slices.ContainsFunc(left, alive) }) {
		t.Errorf("%s: of the servers %v that it started, some outlive it", c.name, left)
	}
	again := c.program(t, dir, env)
	out, err := again.StdoutPipe()
	if err == nil {
		if !c.waits {
			h.free()
		}
		err = again.Start()
	}
	if err != nil {
		t.Error(c.name, err)
		return
	}
	said := h.read(out)
	if err := again.Wait(); err != nil {
		t.Errorf("%s, the second time: %v\n%s\n%s", c.name, err, said, again.Stderr)
	}
	if n := h.n.Load(); n != 1 || !orderedOnce.MatchString(said) || !saysSo.MatchString(said) {
		t.Errorf("%s: %d orders, and the second call gave\n%s", c.name, n, said)
	}
}

var (
	orderedOnce = regexp.MustCompile(`"order": ?1\b`) // the shop's answer to the first order
	saysSo      = regexp.MustCompile(`(?i)an equal call started the run`)
)

// children are the processes that a process has started, as Linux tells.
func children(pid int) (all []int) {
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, file := range files {
		text, _ := os.ReadFile(file)
		for _, word := range strings.Fields(string(text)) {
			if child, err := strconv.Atoi(word); err == nil {
				all = append(all, child)
			}
		}
	}
	return all
}

// alive reports whether a process executes still; one that has ended may wait for somebody to ask how.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(stat), ") Z ")
}

// read reads what a client says, and lets the shop answer once it says that it waits.
func (h *waiting) read(out io.Reader) (said string) {
	for lines := bufio.NewScanner(out); lines.Scan(); said += lines.Text() + "\n" {
		if lines.Text() == "waits" {
			h.free()
		}
	}
	return said
}

func (c killed) program(t *testing.T, dir string, env []string) *exec.Cmd {
	p := exec.CommandContext(t.Context(), c.argv[0], c.argv[1:]...)
	p.Dir, p.Env, p.Stderr = dir, env, &strings.Builder{}
	return p
}
