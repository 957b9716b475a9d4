package remote

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"belay/internal/executor"
	"belay/internal/steps"
)

// attempt executes in the background; what came of it is in done.
type attempt struct {
	done   chan struct{}
	result executor.Result
	err    error
}

func execute(ctx context.Context, x executor.Executor) *attempt {
	a := &attempt{done: make(chan struct{})}
	go func() {
		defer close(a.done)
		a.result, a.err = x.Execute(ctx, executor.Request{Run: "r", Step: "s", Attempt: "0-0-1", Tool: "t", Rung: "primary", Params: []byte("{}"), Try: 1})
	}()
	return a
}

func (a *attempt) fault(t *testing.T) steps.Fault {
	t.Helper()
	<-a.done
	f, ok := errors.AsType[steps.Fault](a.err)
	if !ok {
		t.Fatalf("ended with %v, want a fault", a.err)
	}
	return f
}

// waiter is a program that polls once.
func waiter(h *Hub, patience time.Duration, names ...string) <-chan *lease {
	rungs, unknown := h.find(names)
	if unknown != "" {
		panic(unknown)
	}
	got := make(chan *lease, 1)
	go func() {
		l, err := h.poll(context.Background(), rungs, "py-1", patience)
		if err != nil {
			panic(err)
		}
		got <- l
	}()
	synctest.Wait()
	return got
}

func reserve(t *testing.T, x executor.Polled) executor.Seat {
	t.Helper()
	seat, _ := x.Reserve()
	if seat == nil {
		t.Fatal("nobody waits")
	}
	return seat
}

func TestASilentProgramHasCrashed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := NewHub(nil)
		x := h.Executor("t", "primary", executor.Remote{})
		got := waiter(h, time.Minute, "t")
		began := time.Now()
		a := execute(t.Context(), reserve(t, x))
		l := <-got
		for range 4 { // as long as it gives signs of life, it goes on
			time.Sleep(14 * time.Second)
			if stop, err := l.beat(""); stop != "" || err != nil {
				t.Fatalf("beat: %q, %v", stop, err)
			}
		}
		f := a.fault(t)
		if f.Class != steps.Crashed || f.Acted != steps.ActedMaybe || f.Message != "the program py-1 gave no sign of life for 15s in the middle of the call: it ended, or it hangs" {
			t.Errorf("fault = %+v", f)
		}
		if took := time.Since(began); took != 4*14*time.Second+15*time.Second {
			t.Errorf("that took %s", took)
		}
		if _, err := l.beat(""); err == nil || !strings.Contains(err.Error(), "gave no sign of life for 15s") {
			t.Errorf("its next beat: %v", err)
		}
		if err := l.finish(t.Context(), l.succeeded([]byte(`{"output":1}`), false)); err == nil || !strings.Contains(err.Error(), "gave no sign of life") {
			t.Errorf("its late word: %v", err)
		}
	})
}

func TestTheDeadlineWaitsForNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := NewHub(nil)
		x := h.Executor("t", "primary", executor.Remote{})
		got := waiter(h, time.Minute, "t")
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		began := time.Now()
		a := execute(ctx, reserve(t, x))
		l := <-got
		time.Sleep(2100 * time.Millisecond)
		if stop, err := l.beat(""); stop != "its deadline has passed" || err != nil {
			t.Errorf("beat: %q, %v", stop, err)
		}
		if f := a.fault(t); f.Class != steps.Timeout || time.Since(began) != 2*time.Second+stoppedGrace {
			t.Errorf("fault = %+v after %s", f, time.Since(began))
		}
		if _, err := l.beat(""); err == nil || !strings.Contains(err.Error(), "its deadline has passed") {
			t.Errorf("a beat after the end: %v", err)
		}
	})
}

func TestWhoIsStoppedHasUntilItsNextBeat(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := NewHub(nil)
		x := h.Executor("t", "primary", executor.Remote{})
		got := waiter(h, time.Minute, "t")
		ctx, cancel := context.WithCancelCause(t.Context())
		a := execute(ctx, reserve(t, x))
		<-got
		cancel(errors.New("the worker is leaving"))
		began := time.Now()
		if f := a.fault(t); f.Class != steps.Unavailable || !strings.Contains(f.Message, "the worker is leaving") || time.Since(began) != 6*time.Second {
			t.Errorf("fault = %+v after %s", f, time.Since(began))
		}
	})
}

// demand is what a rung asks the queue for.
func demand(x executor.Polled) (asked *[]int, stop func()) {
	asked = &[]int{}
	stop = x.Demand(func(n int) { *asked = append(*asked, n) })
	return asked, stop
}

func TestOneMessageIsAskedForPerPoll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := NewHub(nil)
		a, b := h.Executor("t", "primary", executor.Remote{}), h.Executor("t", "second", executor.Remote{})
		asked, stop := demand(a)
		defer stop()
		if seat, pause := a.Reserve(); seat != nil || pause != 0 {
			t.Errorf("nobody waits, and a seat is %v, %s", seat, pause)
		}
		waiter(h, 10*time.Second, "t")
		waiter(h, 20*time.Second, "t/primary")
		first := reserve(t, a) // the one that waits longest, for both
		if seat, _ := b.Reserve(); seat != nil {
			t.Error("one poll was given to two attempts")
		}
		first.Leave(false)
		first = reserve(t, a)
		second := reserve(t, a)
		second.Leave(false)
		time.Sleep(11 * time.Second) // its patience ends while it is reserved
		if first.Waits() || !second.(*seat).rung.waits() {
			t.Error("the first poll still waits, or the second does not")
		}
		first.Leave(false)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if want := []int{1, 2, 1, 2, 1, 0, 1, 0}; !slices.Equal(*asked, want) {
			t.Errorf("asked for %d, want %d", *asked, want)
		}
	})
}

// waits reports whether somebody waits for the rung.
func (r *rung) waits() bool {
	r.hub.mu.Lock()
	defer r.hub.mu.Unlock()
	return len(r.waiting) > 0
}

func TestWhoseProgramsAreBusyIsServedAllTheSame(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := NewHub(nil)
		a, b := h.Executor("a", "primary", executor.Remote{}), h.Executor("b", "primary", executor.Remote{})
		asked, stop := demand(b)
		defer stop()
		got := waiter(h, time.Minute, "a", "b")
		seat := reserve(t, a)
		executing := execute(t.Context(), seat)
		l := <-got
		if s, pause := b.Reserve(); s != nil || pause != busyPause {
			t.Errorf("a seat is %v, %s", s, pause)
		}
		time.Sleep(busyPause)
		synctest.Wait()
		w := l.succeeded([]byte(`{"output":1}`), false)
		if err := l.hear(w); err != nil {
			t.Fatal(err)
		}
		<-executing.done
		seat.Leave(true)
		synctest.Wait()
		if want := []int{1, 0, 1, 0, 1, 0}; !slices.Equal(*asked, want) {
			t.Errorf("asked for %d, want %d", *asked, want)
		}
	})
}

func TestASeatWhosePollIsGoneTakesAnother(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := NewHub(nil)
		x := h.Executor("t", "primary", executor.Remote{})
		none := waiter(h, time.Second, "t")
		s := reserve(t, x)
		if <-none != nil {
			t.Fatal("a poll that timed out got a lease")
		}
		if f := execute(t.Context(), s).fault(t); f.Class != steps.Unavailable || f.Acted != steps.ActedNo {
			t.Errorf("fault = %+v", f)
		}
		waiter(h, time.Second, "t")
		s = reserve(t, x)
		time.Sleep(2 * time.Second)
		got := waiter(h, time.Minute, "t")
		a := execute(t.Context(), s)
		l := <-got
		if err := l.hear(l.succeeded([]byte(`{"output":1}`), false)); err != nil {
			t.Fatal(err)
		}
		if <-a.done; a.err != nil {
			t.Error(a.err)
		}
	})
}

func TestAProgramThatIsGoneHasNotBegun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := NewHub(nil)
		x := h.Executor("t", "primary", executor.Remote{})
		rungs, _ := h.find([]string{"t"})
		ctx, cancel := context.WithCancel(t.Context())
		p, err := h.enter(rungs, "py-1")
		if err != nil {
			t.Fatal(err)
		}
		a := execute(t.Context(), reserve(t, x))
		l := <-p.answer
		cancel()
		if p.take(ctx, l) != nil {
			t.Error("a program that is gone got the call")
		}
		if f := a.fault(t); f.Class != steps.Connection || f.Acted != steps.ActedNo {
			t.Errorf("fault = %+v", f)
		}
	})
}

func TestAProgramHearsWhenItsWordIsStored(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		leave func(executor.Seat)
		code  string
	}{
		"stored":     {func(s executor.Seat) { time.Sleep(3 * time.Second); s.Leave(true) }, ""},
		"not stored": {func(s executor.Seat) { s.Leave(false) }, "lease_ended"},
		"late":       {func(s executor.Seat) { time.Sleep(time.Minute); s.Leave(true) }, "not_stored"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h := NewHub(nil)
				x := h.Executor("t", "primary", executor.Remote{})
				got := waiter(h, time.Minute, "t")
				s := reserve(t, x)
				a := execute(t.Context(), s)
				l := <-got
				go func() { <-a.done; c.leave(s) }()
				w := l.succeeded([]byte(`{"output":1}`), false)
				err := l.finish(t.Context(), w)
				if p, _ := errors.AsType[*problem](err); (p == nil) != (c.code == "") || p != nil && p.code != c.code {
					t.Errorf("said: %v, want %q", err, c.code)
				}
				time.Sleep(time.Hour)
				if err := l.finish(t.Context(), w); (err != nil) != (name == "not stored") {
					t.Errorf("said again: %v", err)
				}
			})
		})
	}
}

func TestEndedLeasesAreForgotten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := NewHub(nil)
		x := h.Executor("t", "primary", executor.Remote{})
		for range 3 {
			got := waiter(h, time.Minute, "t")
			s := reserve(t, x)
			a := execute(t.Context(), s)
			l := <-got
			if err := l.hear(l.succeeded([]byte(`{"output":1}`), false)); err != nil {
				t.Fatal(err)
			}
			<-a.done
			s.Leave(true)
			time.Sleep(keepEnded/2 + time.Second)
		}
		if len(h.leases) != 2 || len(h.ended) != 2 {
			t.Errorf("%d leases, %d ended are remembered, want 2", len(h.leases), len(h.ended))
		}
	})
}

func TestAddresses(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"127.0.0.1:7480": true, "localhost:0": true, "[::1]:7480": true, "unix:/run/w.sock": true,
		"0.0.0.0:7480": false, ":7480": false, "10.0.0.1:7480": false, "worker.example:1": false, "unix:": false, "7480": false, "": false,
	} {
		if _, err := ParseAddress(text); (err == nil) != want {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestASocketIsItsOwnersOnly(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "w.sock")
	a := Address{"unix", path}
	stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	stale.SetUnlinkOnClose(false)
	if _, err := a.Listen(t.Context()); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("a socket that is answered at: %v", err)
	}
	_ = stale.Close()
	l, err := a.Listen(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	about, err := os.Lstat(path)
	if err != nil || about.Mode().Perm() != 0o600 {
		t.Errorf("the socket's mode is %v, %v", about, err)
	}
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
	_ = l.Close()
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("%v is left", left)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Listen(t.Context()); err == nil || !strings.Contains(err.Error(), "is not a socket") {
		t.Errorf("a file that is not a socket: %v", err)
	}
}

func TestTokens(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "belay", "work-token")
	first, err := ReadToken(file)
	if err != nil || len(first) < 40 {
		t.Fatalf("token %q, %v", first, err)
	}
	if second, err := ReadToken(file); err != nil || second != first {
		t.Errorf("read again: %q, %v", second, err)
	}
	if err := os.Chmod(file, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadToken(file); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("a file that others can read: %v", err)
	}
	short := filepath.Join(t.TempDir(), "short")
	if err := os.WriteFile(short, []byte("short\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadToken(short); err == nil || !strings.Contains(err.Error(), "at least 20") {
		t.Errorf("a short token: %v", err)
	}
}
