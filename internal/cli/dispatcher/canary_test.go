package dispatcher_test

import (
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"belay/internal/cli/clitest"
	"belay/internal/executor/executortest"
)

// canary is a secret with whatever some escape cares about.
const canary = `cnry/7f+Qz"w\x=3&k<%2z`

// echo is a program that says what it was given, in every form: as its result, as its last words, or as no JSON.
func echo() {
	said := executortest.Echo(os.Getenv("CANARY"))
	switch os.Args[1] {
	case "result":
		_, _ = os.Stdout.Write(said)
	case "refusal":
		_, _ = os.Stderr.Write(said)
		_, _ = os.Stdout.Write(said)
		os.Exit(3)
	case "garbage":
		_, _ = os.Stdout.WriteString("no JSON: ")
		_, _ = os.Stdout.Write(said)
	}
}

const canaryTools = `
tools:
  web.result: {effects: none, rungs: [{http: {url: "%[1]s/result", auth: {bearer_env: CANARY}}}]}
  web.refusal: {effects: none, rungs: [{http: {url: "%[1]s/refusal", auth: {bearer_env: CANARY}}}]}
  web.garbage: {effects: none, rungs: [{retry: {max_attempts: 1}, http: {url: "%[1]s/garbage", auth: {basic_env: CANARY_USER}}}]}
  web.written: {effects: none, rungs: [{http: {url: "%[1]s/result", headers: {X-Api-Key: %[2]q}}}]}
  cmd.result: {effects: none, rungs: [{command: {argv: [echo-canary, result], env: [CANARY]}}]}
  cmd.text: {effects: none, rungs: [{command: {argv: [echo-canary, result], env: [CANARY], stdout: text}}]}
  cmd.refusal: {effects: none, rungs: [{command: {argv: [echo-canary, refusal], env: [CANARY]}}]}
  cmd.garbage: {effects: none, rungs: [{retry: {max_attempts: 1}, command: {argv: [echo-canary, garbage], env: [CANARY]}}]}
`

const canaryPlan = `
name: canary
steps:
  - {id: a, tool: web.result, needs: []}
  - {id: b, tool: web.refusal, needs: []}
  - {id: c, tool: web.garbage, needs: []}
  - {id: d, tool: web.written, needs: []}
  - {id: e, tool: cmd.result, needs: []}
  - {id: f, tool: cmd.text, needs: []}
  - {id: g, tool: cmd.refusal, needs: []}
  - {id: h, tool: cmd.garbage, needs: []}
`

// canaryWorld is a dev with its files, and everything that was seen of it.
type canaryWorld struct {
	t    *testing.T
	dir  string
	env  []string
	seen map[string][]byte
}

// shop answers with everything it was sent, in every form.
func shop(w http.ResponseWriter, r *http.Request) {
	given := r.Header.Get("X-Api-Key") + strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	if _, password, ok := r.BasicAuth(); ok {
		given = password
		fmt.Fprintln(w, r.Header.Get("Authorization"))
	}
	switch r.URL.Path {
	case "/refusal":
		w.WriteHeader(http.StatusUnprocessableEntity)
	case "/garbage":
		fmt.Fprintln(w, "no JSON: ")
	}
	_, _ = w.Write(executortest.Echo(given))
}

func newCanaryWorld(t *testing.T) *canaryWorld {
	service := httptest.NewServer(http.HandlerFunc(shop))
	t.Cleanup(service.Close)
	w := &canaryWorld{t: t, dir: t.TempDir(), seen: map[string][]byte{}}
	others := slices.DeleteFunc(os.Environ(), func(v string) bool {
		return strings.HasPrefix(v, "NATS_") || strings.HasPrefix(v, "BELAY_") || strings.HasPrefix(v, "XDG_") || strings.HasPrefix(v, "OTEL_")
	})
	w.env = append(others, "HOME="+w.dir, "XDG_STATE_HOME="+w.dir+"/state", "OTEL_TRACES_EXPORTER=console", "CANARY="+canary, "CANARY_USER=mia:"+canary)
	for name, text := range map[string]string{"tools.yaml": fmt.Sprintf(canaryTools, service.URL, canary), "plan.yaml": canaryPlan} {
		if err := os.WriteFile(filepath.Join(w.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

func (w *canaryWorld) command(args ...string) *exec.Cmd {
	c := exec.Command("dispatcher", args...)
	c.Dir, c.Env = w.dir, w.env
	return c
}

// see runs a command and keeps what it says.
func (w *canaryWorld) see(args ...string) []byte {
	w.t.Helper()
	said, err := w.command(args...).CombinedOutput()
	if err != nil {
		w.t.Errorf("%v: %v\n%s", args, err, said)
	}
	w.seen[strings.Join(args, " ")] = said
	return said
}

// visit gets a page and keeps it.
func (w *canaryWorld) visit(url string) {
	w.t.Helper()
	res, err := http.Get(url)
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		w.t.Errorf("%s: %s, %v", url, res.Status, err)
	}
	w.seen[url] = body
}

// dev starts dev and gives the console's address. Stop ends it and keeps its log and traces.
func (w *canaryWorld) dev(args ...string) (console string, stop func()) {
	w.t.Helper()
	log := filepath.Join(w.t.TempDir(), "dev.log")
	out, err := os.Create(log)
	if err != nil {
		w.t.Fatal(err)
	}
	c := w.command(append([]string{"dev", "--verbose", "--log-level", "debug", "--tools", "tools.yaml", "--nats-listen", "127.0.0.1:0", "--listen", "127.0.0.1:0"}, args...)...)
	c.Stdout, c.Stderr = out, out
	if err := c.Start(); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = c.Process.Kill() })
	at := regexp.MustCompile(`"console":"(http://[^ "]+)`)
	var found [][]byte
	if !clitest.Eventually(func() bool {
		said, _ := os.ReadFile(log)
		found = at.FindSubmatch(said)
		return found != nil
	}) {
		w.t.Fatal("dev is not ready")
	}
	return string(found[1]), func() {
		_ = c.Process.Signal(syscall.SIGTERM)
		_ = c.Wait()
		w.seen["log and traces"], _ = os.ReadFile(log)
	}
}

// TestCanary: what a tool is given as a secret is nowhere afterwards, however the tool wrote it down.
func TestCanary(t *testing.T) {
	t.Parallel()
	w := newCanaryWorld(t)
	if n := len(executortest.Traces(executortest.Echo(canary), canary)); n < 20 {
		t.Fatalf("an echo has the secret in %d forms only: this test sees nothing", n)
	}
	console, stop := w.dev()
	w.see("run", "plan.yaml", "--id", "canary", "--detach")
	var cards []struct{ ID string }
	if !clitest.Eventually(func() bool {
		said, err := w.command("esc", "ls", "-o", "json").Output()
		return err == nil && json.Unmarshal(said, &cards) == nil && len(cards) == 4
	}) {
		t.Fatalf("there are %d cards, want one for each tool that refuses or talks nonsense\n%s", len(cards), w.see("runs", "show", "canary"))
	}
	for _, card := range cards {
		w.see("esc", "show", card.ID)
		w.see("esc", "show", card.ID, "-o", "json")
		w.visit(console + "/e/" + card.ID)
		w.visit(console + "/api/v1/escalations/" + card.ID)
	}
	for _, page := range []string{"/", "/runs", "/runs/canary", "/runs/canary/document", "/tools", "/metrics", "/api/v1/escalations", "/api/v1/runs/canary"} {
		w.visit(console + page)
	}
	w.see("esc", "ls")
	w.see("esc", "decide", cards[0].ID, "skip", "--reason", "not needed")
	w.see("runs", "cancel", "canary")
	w.see("runs", "show", "canary", "-o", "json")
	w.see("runs", "export", "canary")
	w.see("audit", "export")
	stop()
	w.keepFiles()
	w.judge()
}

// keepFiles keeps everything that is on disk, as it lies there.
func (w *canaryWorld) keepFiles() {
	for _, name := range []string{"tools.yaml"} { // it was written there by us
		_ = os.Remove(filepath.Join(w.dir, name))
	}
	err := filepath.WalkDir(w.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		w.seen[path] = data
		return err
	})
	if err != nil {
		w.t.Error(err)
	}
}

func (w *canaryWorld) judge() {
	stored := 0
	for where, data := range w.seen {
		if found := executortest.Traces(data, canary); found != nil {
			w.t.Errorf("%s has the secret: %v", where, found)
		}
		if strings.HasPrefix(where, w.dir) {
			stored += strings.Count(string(data), "[value of ")
		}
	}
	if stored < 8*10 {
		w.t.Errorf("the store has %d words on what was hidden: the echoes never came there", stored)
	}
	for _, where := range []string{"runs export canary", "runs show canary -o json"} {
		if !strings.Contains(string(w.seen[where]), "[value of ") {
			w.t.Errorf("%s has no word on what was hidden", where)
		}
	}
	if !strings.Contains(string(w.seen["log and traces"]), "TraceID") {
		w.t.Error("no traces were seen")
	}
}
