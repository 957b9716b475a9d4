package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"belay/internal/freeport"
	"belay/internal/steps"
)

// TestTheLastWorkerDies with a call under way: a person is asked a minute after it is gone, and the step is finished
// once when a worker is there again.
func TestTheLastWorkerDies(t *testing.T) {
	if testing.Short() {
		t.Skip("takes more than a minute: that is how long a tool may be without a worker")
	}
	t.Parallel()
	l := &lastWorker{T: t, bin: build(t, ""), dir: t.TempDir(), calling: make(chan struct{}, 16)}
	slow := httptest.NewServer(http.HandlerFunc(l.serve))
	t.Cleanup(slow.CloseClientConnections)
	l.write("tools.yaml", "tools: {slow: {effects: idempotent, timeout: 10m, rungs: [{name: primary, http: {method: POST, url: \""+slow.URL+"\"}, timeout: 5m}]}}")
	l.write("plan.yaml", "name: last\nsteps: [{id: a, tool: slow}]\n")
	l.url = "nats://" + freeport.Address(t)
	l.start("dispatcher", "dev", "--no-worker", "--nats-listen", l.url[len("nats://"):], "--listen", "", "--data-dir", filepath.Join(l.dir, "store"))
	(&fleet{t: t, url: l.url}).connect()
	l.ready()
	worker := l.start("worker", "--server", l.url, "--tools", "tools.yaml", "--ack-wait", "2s")
	l.command("run", "plan.yaml", "--id", "last", "--detach")
	<-l.calling
	l.until("its step is in the log as begun", time.Minute, func(s shown) bool { return s.Steps[0].State == "running" })
	gone := time.Now()
	if err := worker.Process.Kill(); err != nil {
		t.Fatal(err)
	}

	run := l.until("a person is asked", 2*time.Minute, func(s shown) bool { return s.State == "waiting" })
	if took := time.Since(gone); took < 55*time.Second {
		t.Errorf("a person is asked after %v, not after a minute", took)
	}
	if f := run.Steps[0].Attempts[0]; f.Class != steps.NoWorker || !strings.Contains(f.Message, "its worker is gone") {
		t.Errorf("%s: %s", f.Class, f.Message)
	}
	l.answer.Store(true)
	l.start("worker", "--server", l.url, "--tools", "tools.yaml", "--ack-wait", "2s")
	l.command("esc", "decide", "last-1", "retry", "--reason", "a worker is there again")
	if run := l.until("it succeeds", time.Minute, func(s shown) bool { return s.State == "succeeded" }); len(run.Steps[0].Attempts) != 2 {
		t.Errorf("%+v", run)
	}
	if n := l.calls.Load(); n != 2 {
		t.Errorf("%d calls: the one that died with its worker, and one more", n)
	}
}

type lastWorker struct {
	*testing.T
	bin, dir, url string
	calling       chan struct{}
	calls         atomic.Int64
	answer        atomic.Bool
}

// serve answers no call before it is told to.
func (l *lastWorker) serve(rw http.ResponseWriter, r *http.Request) {
	n := l.calls.Add(1)
	l.calling <- struct{}{}
	if !l.answer.Load() {
		<-r.Context().Done()
		return
	}
	fmt.Fprintf(rw, `{"call":%d}`, n)
}

func (l *lastWorker) write(name, text string) {
	l.Helper()
	if err := os.WriteFile(filepath.Join(l.dir, name), []byte(text), 0o600); err != nil {
		l.Fatal(err)
	}
}

func (l *lastWorker) prepare(ctx context.Context, program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(l.bin, program), args...)
	cmd.Dir, cmd.Env = l.dir, append(environment(), "XDG_STATE_HOME="+l.dir, "XDG_CONFIG_HOME="+l.dir)
	return cmd
}

// start runs a program until the test ends.
func (l *lastWorker) start(program string, args ...string) *exec.Cmd {
	l.Helper()
	cmd := l.prepare(context.Background(), program, args...)
	cmd.Stdout, cmd.Stderr = l.Output(), l.Output()
	if err := cmd.Start(); err != nil {
		l.Fatal(err)
	}
	l.Cleanup(func() { _, _ = cmd.Process.Kill(), cmd.Wait() })
	return cmd
}

// ready waits until the dispatcher answers.
func (l *lastWorker) ready() {
	l.Helper()
	ctx, cancel := context.WithTimeout(l.Context(), time.Minute)
	defer cancel()
	for l.prepare(ctx, "dispatcher", "runs", "ls", "--server", l.url).Run() != nil {
		if pause(ctx, 100*time.Millisecond); ctx.Err() != nil {
			l.Fatal("the dispatcher does not come up")
		}
	}
}

func (l *lastWorker) command(args ...string) []byte {
	l.Helper()
	out, err := l.prepare(l.Context(), "dispatcher", append(args, "--server", l.url, "-o", "json")...).Output()
	if err != nil {
		l.Fatalf("dispatcher %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

type shown struct {
	State string
	Steps []struct {
		State    string
		Attempts []struct {
			Class   steps.Class
			Message string
		}
	}
}

// until shows the run again and again until it is as wanted.
func (l *lastWorker) until(what string, limit time.Duration, is func(shown) bool) shown {
	l.Helper()
	ctx, cancel := context.WithTimeout(l.Context(), limit)
	defer cancel()
	for {
		var s shown
		if err := json.Unmarshal(l.command("runs", "show", "last"), &s); err != nil {
			l.Fatal(err)
		}
		if is(s) {
			return s
		}
		if pause(ctx, 300*time.Millisecond); ctx.Err() != nil {
			l.Fatalf("never: %s: %+v", what, s)
		}
	}
}
