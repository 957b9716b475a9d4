package chaos

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"belay/internal/freeport"
)

var comebacks = flag.Int("chaos.comebacks", 1, "how often a process with the embedded store is killed and started again, of each kind; the figures in docs/reliability.md are of 50")

// shop is a real server that takes payments and answers questions, slowly, and remembers when.
type shop struct {
	*httptest.Server
	mu    sync.Mutex
	calls map[string][]time.Time // by path: /TOOL/RUN/STEP
}

func newShop(t *testing.T) *shop {
	s := &shop{calls: map[string][]time.Time{}}
	s.Server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		s.mu.Lock()
		s.calls[r.URL.Path] = append(s.calls[r.URL.Path], time.Now())
		s.mu.Unlock()
		select {
		case <-time.After(500*time.Millisecond + time.Duration(rand.IntN(1000))*time.Millisecond):
		case <-r.Context().Done():
			return
		}
		fmt.Fprint(rw, `{"ok":true}`)
	}))
	t.Cleanup(s.CloseClientConnections)
	return s
}

// since is when the first call of a run came after a time.
func (s *shop) since(run string, after time.Time) (first time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for path, all := range s.calls {
		if !strings.Contains(path, "/"+run+"/") {
			continue
		}
		for _, at := range all {
			if at.After(after) && (first.IsZero() || at.Before(first)) {
				first = at
			}
		}
	}
	return first
}

// payments is how many came for a run.
func (s *shop) payments(run string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.calls["/pay/"+run+"/p"])
}

func (s *shop) files(t *testing.T, dir string) {
	t.Helper()
	files := map[string]string{
		"tools.yaml": strings.ReplaceAll(`
tools:
  ask: {effects: idempotent, rungs: [{name: primary, http: {method: POST, url: "URL/ask/${ params.run }/${ params.step }"}, timeout: 20s}]}
  pay: {effects: unsafe, rungs: [{name: primary, http: {method: POST, url: "URL/pay/${ params.run }/${ params.step }"}, timeout: 20s}]}
`, "URL", s.URL),
		"plans/quick.yaml": `
name: quick
input: {run: x}
steps: [{id: a, tool: ask, with: {run: "${ input.run }", step: a}}]
`,
		"plans/long.yaml": `
name: long
input: {run: x}
steps:
  - {id: a, tool: ask, with: {run: "${ input.run }", step: a}}
  - {id: b, tool: ask, needs: [a], with: {run: "${ input.run }", step: b}}
  - {id: c, tool: ask, needs: [b], with: {run: "${ input.run }", step: c}}
`,
		"plans/paid.yaml": `
name: paid
input: {run: x}
steps:
  - {id: a, tool: ask, with: {run: "${ input.run }", step: a}}
  - {id: p, tool: pay, needs: [a], with: {run: "${ input.run }", step: p}}
`,
	}
	if err := os.MkdirAll(filepath.Join(dir, "plans"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// comeback is one process with the embedded store that is killed and started again, and what is submitted to it.
type comeback struct {
	*testing.T
	*shop
	dir, program, nats, http string

	proc  *exec.Cmd
	limit context.Context

	mu       sync.Mutex
	n        int
	accepted []*begun
}

// begun is a run that was accepted.
type begun struct {
	name, id string
	state    string // as it was seen last
}

// rests reports whether it needs nothing any more, or a person, who is only asked about a payment that may have been made.
func (s *begun) rests() bool { return s.state == "succeeded" || s.state == "waiting" }

// TestAKilledStoreComesBack: `dispatcher dev` and `dispatcher run`, each with its store, dispatcher and worker in one process, are killed while
// calls are under way, and started again at once. What is submitted then is done soon, and what was under way goes on soon: calls that may be
// repeated are, and about one that may not a person is asked. Nothing is lost, and nothing paid twice.
func TestAKilledStoreComesBack(t *testing.T) {
	if testing.Short() {
		t.Skip("processes that are killed, for half a minute")
	}
	t.Parallel()
	bin := build(t, "")
	t.Run("dev", func(t *testing.T) {
		t.Parallel()
		newComeback(t, bin).ofDev()
	})
	t.Run("run", func(t *testing.T) {
		t.Parallel()
		newComeback(t, bin).ofRun()
	})
}

func newComeback(t *testing.T, bin string) *comeback {
	t.Helper()
	c := &comeback{T: t, shop: newShop(t), dir: t.TempDir(), program: filepath.Join(bin, "dispatcher"), nats: freeport.Address(t), http: freeport.Address(t)}
	c.files(t, c.dir)
	limit, cancel := context.WithTimeout(t.Context(), time.Duration(*comebacks)*time.Minute+2*time.Minute)
	c.limit = limit
	t.Cleanup(func() {
		cancel()
		c.kill()
		if log, err := os.ReadFile(c.log()); err == nil && t.Failed() {
			t.Logf("%s", log[max(0, len(log)-20_000):])
		}
	})
	return c
}

func (c *comeback) log() string { return filepath.Join(c.dir, "log") }

func (c *comeback) start(args ...string) {
	c.Helper()
	out, err := os.OpenFile(c.log(), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		c.Fatal(err)
	}
	defer out.Close()
	cmd := exec.Command(c.program, append(args, "--data-dir", filepath.Join(c.dir, "data"))...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = c.dir, out, out
	cmd.Env = append(environment(), "XDG_STATE_HOME="+c.dir, "XDG_CONFIG_HOME="+c.dir)
	if err := cmd.Start(); err != nil {
		c.Fatal(err)
	}
	c.proc = cmd
}

// kill ends the process without a word.
func (c *comeback) kill() {
	if c.proc != nil {
		_ = c.proc.Process.Kill()
		_ = c.proc.Wait()
		c.proc = nil
	}
}

func (c *comeback) ofDev() {
	dev := []string{"dev", "--listen", c.http, "--nats-listen", c.nats, "--tools", "tools.yaml", "--plans", "plans"}
	c.start(dev...)
	c.submit("quick", "")
	var fresh, all []time.Duration
	for range *comebacks {
		for busy := time.Now().Add(2*time.Second + time.Duration(rand.IntN(1500))*time.Millisecond); time.Now().Before(busy); {
			c.submit([]string{"long", "paid"}[rand.IntN(2)], "")
			pause(c.limit, 100*time.Millisecond)
		}
		open := c.open()
		c.kill()
		killed := time.Now()
		c.start(dev...)
		var done time.Duration
		var wg sync.WaitGroup
		wg.Go(func() {
			c.submit("quick", "?wait=60s")
			done = time.Since(killed)
		})
		late := c.goOn(open, killed)
		wg.Wait()
		c.Logf("killed with %d runs under way: all of them went on after %.1f s, a run that was submitted then ended after %.1f s", len(open), late.Seconds(), done.Seconds())
		fresh, all = append(fresh, done), append(all, late)
	}
	c.settle()
	c.told("a run that was submitted then ended", fresh)
	c.told("all that were under way went on", all)
}

// told says how long something took, and whether that is what it is to be at least once: a busy machine may be slow.
func (c *comeback) told(what string, all []time.Duration) {
	slices.Sort(all)
	c.Logf("%s after %.1f s, half of the %d times, and %.1f s at most", what, all[len(all)/2].Seconds(), len(all), all[len(all)-1].Seconds())
	if all[0] > 12*time.Second {
		c.Errorf("%s after %s at best: leases and ack waits of the process that was killed are waited for", what, all[0])
	}
}

// submit submits a run until it is accepted.
func (c *comeback) submit(plan, query string) {
	c.mu.Lock()
	c.n++
	name := fmt.Sprint(plan, c.n)
	c.mu.Unlock()
	body := fmt.Sprintf(`{"plan": %q, "input": {"run": %q}}`, plan, name)
	for c.limit.Err() == nil {
		var run struct{ ID, State string }
		if c.ask(http.MethodPost, "/runs"+query, name, body, &run) && run.ID != "" {
			c.mu.Lock()
			c.accepted = append(c.accepted, &begun{name, run.ID, run.State})
			c.mu.Unlock()
			return
		}
		pause(c.limit, 20*time.Millisecond)
	}
	c.Errorf("%s is not accepted", name)
}

// ask asks the API, and reports whether it has answered.
func (c *comeback) ask(method, path, key, body string, into any) bool {
	req, err := http.NewRequestWithContext(c.limit, method, "http://"+c.http+"/api/v1"+path, bytes.NewReader([]byte(body)))
	if err != nil {
		c.Error(err)
		return false
	}
	req.Header.Set("Content-Type", "application/json")
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	defer res.Body.Close()
	return res.StatusCode < 300 && json.NewDecoder(res.Body).Decode(into) == nil
}

// look asks how a run is.
func (c *comeback) look(s *begun) {
	var run struct{ State string }
	if !s.rests() && c.ask(http.MethodGet, "/runs/"+s.id, "", "", &run) {
		s.state = run.State
	}
}

// open are the runs that are under way.
func (c *comeback) open() (all []*begun) {
	for _, s := range c.accepted {
		if c.look(s); !s.rests() {
			all = append(all, s)
		}
	}
	return all
}

// goOn waits until each of the runs has made a call since they were killed, has ended, or asks a person. It returns how long that took.
func (c *comeback) goOn(runs []*begun, killed time.Time) (took time.Duration) {
	for len(runs) > 0 && c.limit.Err() == nil {
		runs = slices.DeleteFunc(runs, func(s *begun) bool {
			at := c.since(s.name, killed)
			if at.IsZero() {
				if c.look(s); !s.rests() {
					return false
				}
				at = time.Now()
			}
			took = max(took, at.Sub(killed))
			return true
		})
		pause(c.limit, 50*time.Millisecond)
	}
	if len(runs) > 0 {
		c.Errorf("%d runs stand still, the first is %+v", len(runs), *runs[0])
	}
	return took
}

// settle waits until all runs rest, and compares them with the payments.
func (c *comeback) settle() {
	for open := c.open(); len(open) > 0; open = c.open() {
		if c.limit.Err() != nil {
			c.Fatalf("%d of %d runs stand still, the first is %+v", len(open), len(c.accepted), *open[0])
		}
		pause(c.limit, 200*time.Millisecond)
	}
	paid, asked := 0, 0
	for _, s := range c.accepted {
		n := c.payments(s.name)
		paid += n
		switch is := strings.HasPrefix(s.name, "paid"); {
		case s.state == "waiting" && is && n <= 1:
			asked++
		case s.state != "succeeded" || is && n != 1:
			c.Errorf("%s is %s with %d payments", s.name, s.state, n)
		}
	}
	c.Logf("%d runs, none lost; %d payments, none twice; %d times a person was asked whether one had happened", len(c.accepted), paid, asked)
}

// ofRun kills `dispatcher run` while it makes a call, safe or not, and starts the same command again.
func (c *comeback) ofRun() {
	var all []time.Duration
	asked := 0
	for n := range *comebacks {
		plan, step := "long", "/ask/%s/b"
		if n%2 == 1 {
			plan, step = "paid", "/pay/%s/p"
		}
		name := fmt.Sprint(plan, "-", n)
		args := []string{"run", "plans/" + plan + ".yaml", "--tools", "tools.yaml", "--id", name, "--input", "run=" + name}
		c.start(args...)
		for c.limit.Err() == nil && !c.heard(fmt.Sprintf(step, name)) {
			pause(c.limit, 10*time.Millisecond)
		}
		pause(c.limit, 300*time.Millisecond) // the log has heard of it
		c.kill()
		killed := time.Now()
		c.start(args...)
		err := c.proc.Wait()
		ended := time.Since(killed)
		code := c.proc.ProcessState.ExitCode()
		c.proc = nil
		went := ended
		if at := c.since(name, killed); !at.IsZero() {
			went = at.Sub(killed)
		}
		switch {
		case plan == "long" && code == 0:
		case plan == "paid" && code == 11 && c.payments(name) == 1:
			asked++
		default:
			c.Errorf("%s: %v, %d payments", name, err, c.payments(name))
		}
		c.Logf("%s went on, or asked a person, after %.1f s", name, went.Seconds())
		all = append(all, went)
	}
	c.Logf("%d times a person was asked about the payment that was under way; none was made twice", asked)
	c.told("a run of `dispatcher run` went on", all)
}

func (s *shop) heard(path string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.calls[path]) > 0
}
