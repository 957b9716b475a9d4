//go:build unix

package mcpexec_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.opentelemetry.io/otel/propagation"

	"belay/internal/executor"
	"belay/internal/executor/executortest"
	mcpexec "belay/internal/executor/mcp"
	"belay/internal/outbound"
	"belay/internal/steps"
)

// variable is one that a server's program sees.
func variable(name, value string) executor.EnvVar { return executor.EnvVar{Name: name, Value: value} }

func said(t *testing.T, x executor.Executor) string {
	t.Helper()
	var out struct{ Text string }
	if err := json.Unmarshal(executortest.Output(t.Context(), t, x, executortest.Request(`{}`)), &out); err != nil {
		t.Fatal(err)
	}
	return out.Text
}

// everywhere runs a test against the library's server: over stdio and HTTP, in the present protocol and an older one.
func everywhere(t *testing.T, test func(t *testing.T, server executor.MCPServer)) {
	for name, make := range map[string]func(*testing.T) executor.MCPServer{
		"stdio":           func(t *testing.T) executor.MCPServer { return program(t, "library") },
		"stdio, older":    func(t *testing.T) executor.MCPServer { return program(t, "older") },
		"HTTP":            func(t *testing.T) executor.MCPServer { return libraryHTTP(t, false, false) },
		"HTTP, older":     func(t *testing.T) executor.MCPServer { return libraryHTTP(t, true, false) },
		"HTTP, stateless": func(t *testing.T) executor.MCPServer { return libraryHTTP(t, true, true) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, make(t))
		})
	}
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, server executor.MCPServer) {
		all := rungs(t)
		for _, c := range []struct {
			spec executor.MCP
			want string
		}{
			{executor.MCP{Tool: "echo"}, `{"order":"A-1009"}`},
			{executor.MCP{Tool: "say"}, `{"text":"{\"n\": 1.50}"}`},
			{executor.MCP{Tool: "say", Response: executor.FormatJSON}, `{"n": 1.50}`},
			{executor.MCP{Tool: "picture"}, `{"content":[{"type":"text","text":"a red dot"},{"type":"image","mimeType":"image/png","data":"ZG90"}]}`},
		} {
			c.spec.Server = server
			if got := string(executortest.Output(t.Context(), t, all.Executor(c.spec), executortest.Request(`{"order":"A-1009"}`))); got != c.want {
				t.Errorf("%s: output = %s, want %s", c.spec.Tool, got, c.want)
			}
		}
		f := executortest.Fault(t.Context(), t, all.Executor(executor.MCP{Server: server, Tool: "none"}), executortest.Request(`{}`))
		if f.Class != steps.NotFound || f.Acted != steps.ActedNo {
			t.Errorf("fault of an unknown tool = %+v, want not_found that did not act", f)
		}
		f = executortest.Fault(t.Context(), t, all.Executor(executor.MCP{Server: server, Tool: "fail"}), executortest.Request(`{}`))
		if f.Class != steps.ToolError || !f.MayHaveActed() || !strings.Contains(f.Message, "the card is expired") {
			t.Errorf("fault = %+v, want a tool_error in the tool's words", f)
		}
	})
}

func TestProgress(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, server executor.MCPServer) {
		if strings.Contains(t.Name(), "stateless") {
			t.Skip("a server without sessions is not told of a cancel in the older protocol")
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		heard := make(chan string, 1)
		req := executortest.Request(`{}`)
		req.Progress = func(s string) {
			heard <- s
			cancel()
		}
		executortest.Fault(ctx, t, rung(t, server, "progress"), req)
		if len(heard) == 0 {
			t.Fatal("nothing was heard")
		}
		if got := <-heard; got != "packing (1 of 3)" {
			t.Errorf("progress = %q, want the server's words", got)
		}
	})
}

func TestKeyAndProgressTokenGoOut(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, server executor.MCPServer) {
		meta := said(t, rung(t, server, "meta"))
		if !strings.Contains(meta, `"belay/idempotency-key":"run-1/step-1/0"`) || !strings.Contains(meta, `"progressToken"`) {
			t.Errorf("_meta = %s, want the idempotency key and a progress token", meta)
		}
	})
}

// TestQuestions: whatever the protocol, a question reaches people as the fault of its call, and the next call is served.
func TestQuestions(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, server executor.MCPServer) {
		if strings.Contains(t.Name(), "stateless") {
			t.Skip("a server without sessions cannot ask in the older protocol")
		}
		all := rungs(t)
		ask, echo := all.Executor(executor.MCP{Server: server, Tool: "ask"}), all.Executor(executor.MCP{Server: server, Tool: "echo"})
		for range 2 {
			f := executortest.Fault(t.Context(), t, ask, executortest.Request(`{}`))
			if f.Class != steps.NeedsHuman || f.Message != "Which of the two invoices?" || !strings.Contains(f.Detail, `"invoice":{"type":"string"}`) || !f.MayHaveActed() {
				t.Errorf("fault = %+v, want needs_human with the question and its schema", f)
			}
			executortest.Output(t.Context(), t, echo, executortest.Request(`{}`))
		}
	})
}

// TestQuestionAmongCalls: in the older protocol nothing says which call a question is about. The others end as they would.
func TestQuestionAmongCalls(t *testing.T) {
	t.Parallel()
	addr, called := calls(t)
	all, server := rungs(t), program(t, "older", variable(callVar, addr))
	hang, ask := all.Executor(executor.MCP{Server: server, Tool: "hang"}), all.Executor(executor.MCP{Server: server, Tool: "ask"})
	ctx, cancel := context.WithCancelCause(t.Context())
	hung, asked := make(chan error, 1), make(chan error, 1)
	go func() { _, err := hang.Execute(ctx, executortest.Request(`{}`)); hung <- err }()
	conn := <-called
	go func() { _, err := ask.Execute(t.Context(), executortest.Request(`{}`)); asked <- err }()
	// The next call has another session, because the first one has a question.
	pid := all.Executor(executor.MCP{Server: server, Tool: "pid"})
	first := said(t, pid)
	for said(t, pid) == first {
		select {
		case err := <-asked:
			t.Fatalf("the question was taken for one of a call among two: %v", err)
		default:
		}
	}
	cancel(errors.New("enough"))
	if f := proper(t, <-hung); f.Class != steps.Unavailable || !strings.Contains(f.Message, "enough") {
		t.Errorf("fault of the other call = %+v", f)
	}
	if f := proper(t, <-asked); f.Class != steps.NeedsHuman {
		t.Errorf("fault = %+v, want the question", f)
	}
	conn.Close()
}

func proper(t *testing.T, err error) steps.Fault {
	t.Helper()
	f, ok := errors.AsType[steps.Fault](err)
	if !ok {
		t.Fatalf("no fault: %v", err)
	}
	return f
}

// TestCancelReachesTheServer: the server is told that nobody waits any more, and serves the next call.
func TestCancelReachesTheServer(t *testing.T) {
	t.Parallel()
	addr, called := calls(t)
	all, server := rungs(t), program(t, "library", variable(callVar, addr))
	hang, pid := all.Executor(executor.MCP{Server: server, Tool: "hang"}), all.Executor(executor.MCP{Server: server, Tool: "pid"})
	before := said(t, pid)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { _, err := hang.Execute(ctx, executortest.Request(`{}`)); done <- err }()
	conn := <-called
	cancel()
	if f := proper(t, <-done); f.Class != steps.Unavailable || !f.MayHaveActed() {
		t.Errorf("fault = %+v", f)
	}
	if b, err := io.ReadAll(conn); err != nil || string(b) != "cancelled" {
		t.Errorf("the server was told %q, %v, want that the call is cancelled", b, err)
	}
	if after := said(t, pid); after != before {
		t.Errorf("the server was started again, %s after %s, though it answers", after, before)
	}
}

// TestServerThatHangs: one that answers nothing any more, not even whether it is there, is replaced.
func TestServerThatHangs(t *testing.T) {
	t.Parallel()
	addr, called := calls(t)
	all, server := rungs(t), program(t, "plain @deaf", variable(callVar, addr))
	x := all.Executor(executor.MCP{Server: server, Tool: "any"})
	for range 2 { // each has a program of its own
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { _, err := x.Execute(ctx, executortest.Request(`{}`)); done <- err }()
		hold(t, <-called)
		cancel()
		if f := proper(t, <-done); !f.MayHaveActed() {
			t.Errorf("fault = %+v, want one that may have acted", f)
		}
	}
}

func TestServerThatDies(t *testing.T) {
	t.Parallel()
	for name, server := range map[string]executor.MCPServer{"library": program(t, "library", variable("SHOP_TOKEN", "canary-token")), "plain": program(t, "plain @die")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server.Hidden = map[string]string{"SHOP_TOKEN": "canary-token"}
			x := rung(t, server, "die")
			for range 2 { // it is started again
				f := executortest.Fault(t.Context(), t, x, executortest.Request(`{}`))
				if f.Class != steps.Connection || !f.MayHaveActed() || f.Detail == "" {
					t.Errorf("fault = %+v, want connection that may have acted, with its last words", f)
				}
				if strings.Contains(f.Message+f.Detail, "canary") {
					t.Errorf("the fault tells a secret: %+v", f)
				}
			}
		})
	}
}

func TestServerKilledBetweenCalls(t *testing.T) {
	t.Parallel()
	x := rung(t, program(t, "library"), "pid")
	first := said(t, x)
	pid, err := strconv.Atoi(first)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(10 * time.Second)
	for { // until the worker has seen it, a call may still be sent to nobody
		res, err := x.Execute(t.Context(), executortest.Request(`{}`))
		if err == nil {
			if strings.Contains(string(res.Output), `"`+first+`"`) {
				t.Errorf("a killed program has answered: %s", res.Output)
			}
			return
		}
		if f := proper(t, err); f.Class != steps.Connection || time.Now().After(deadline) {
			t.Fatalf("fault = %+v, want connection, and then another program", f)
		}
	}
}

func TestOneProgramForAllCalls(t *testing.T) {
	t.Parallel()
	all, server := rungs(t), program(t, "library")
	var mu sync.Mutex
	pids := map[string]bool{}
	var wg sync.WaitGroup
	for range 8 {
		x := all.Executor(executor.MCP{Server: server, Tool: "pid"})
		wg.Go(func() {
			res, err := x.Execute(t.Context(), executortest.Request(`{}`))
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			pids[string(res.Output)] = true
		})
	}
	wg.Wait()
	if len(pids) != 1 {
		t.Errorf("%d programs were started, want one: %v", len(pids), pids)
	}
}

func TestCloseEndsThePrograms(t *testing.T) {
	t.Parallel()
	x := rung(t, program(t, "library"), "pid")
	pid, err := strconv.Atoi(said(t, x))
	if err != nil {
		t.Fatal(err)
	}
	x.(executor.Closer).Close()
	if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("the program is still there: %v", err)
	}
	if f := executortest.Fault(t.Context(), t, x, executortest.Request(`{}`)); f.Class != steps.Unavailable || f.Acted != steps.ActedNo {
		t.Errorf("fault after the end = %+v", f)
	}
}

// TestCloseEndsAGroup: what a server has started ends with it, also when it does not listen to signals.
func TestCloseEndsAGroup(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	addr, called := calls(t)
	script := `trap '' TERM; (exec 3<>/dev/tcp/` + strings.Replace(addr, ":", "/", 1) + `; cat <&3) & "$0"`
	server := executor.MCPServer{Argv: []string{"bash", "-c", script, self}, Env: []executor.EnvVar{variable(modeVar, "library")}}
	x := rung(t, server, "pid")
	said(t, x)
	conn := <-called
	x.(executor.Closer).Close()
	if b, err := io.ReadAll(conn); err != nil && !errors.Is(err, syscall.ECONNRESET) || len(b) > 0 {
		t.Errorf("%q, %v", b, err) // the end of it is the end of what held the connection
	}
}

func TestCloseEndsCallsThatHang(t *testing.T) {
	t.Parallel()
	started := make(chan struct{})
	web := plainHTTP(t, "", func(_ http.ResponseWriter, r *http.Request) {
		close(started)
		<-r.Context().Done()
	})
	x := rung(t, web, "any")
	done := make(chan error, 1)
	go func() { _, err := x.Execute(t.Context(), executortest.Request(`{}`)); done <- err }()
	<-started
	x.(executor.Closer).Close()
	if f := proper(t, <-done); f.Class != steps.Connection || !f.MayHaveActed() {
		t.Errorf("fault = %+v, want connection that may have acted", f)
	}
}

func TestNotConnected(t *testing.T) {
	t.Parallel()
	deaf, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	deaf.Close()
	for name, c := range map[string]struct {
		server executor.MCPServer
		says   string
	}{
		"no program":         {executor.MCPServer{Argv: []string{"no-such-program-at-all"}}, "could not be started"},
		"no server":          {executor.MCPServer{Argv: []string{"true"}}, "no session could be opened"},
		"refuses":            {program(t, "refuses"), "no session could be opened"},
		"no host":            {executor.MCPServer{URL: "http://nobody.invalid/"}, "nobody.invalid"},
		"nobody listens":     {executor.MCPServer{URL: "http://" + deaf.Addr().String() + "/"}, "refused"},
		"no directory there": {executor.MCPServer{Argv: []string{"cat"}, Dir: "/no/such/dir"}, "could not be started"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := executortest.Fault(t.Context(), t, rung(t, c.server, "any"), executortest.Request(`{}`))
			if f.Class != steps.Connection || f.Acted != steps.ActedNo || !strings.Contains(f.Message, c.says) {
				t.Errorf("fault = %+v, want connection that did not act, with %q", f, c.says)
			}
			if name == "refuses" && !strings.Contains(f.Detail, "no licence") {
				t.Errorf("detail = %q, want the program's last words", f.Detail)
			}
		})
	}
}

func TestStatuses(t *testing.T) {
	t.Parallel()
	for status, class := range map[int]steps.Class{400: steps.InvalidInput, 401: steps.Unauthorized, 403: steps.Forbidden, 409: steps.Conflict, 429: steps.RateLimited, 302: steps.ToolError, 500: steps.Unavailable, 503: steps.Unavailable} {
		x := rung(t, plainHTTP(t, "", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(status)
			_, _ = io.WriteString(w, "not now")
		}), "any")
		f := executortest.Fault(t.Context(), t, x, executortest.Request(`{}`))
		_, acted := executor.OfStatus(status)
		if f.Class != class || f.Acted != acted || f.Status != status || f.Detail != "not now" {
			t.Errorf("%d: fault = %+v, want %s, acted %s", status, f, class, acted)
		}
		if f.Class.Reaction() == steps.Retry && time.Duration(f.RetryAfter) != 7*time.Second {
			t.Errorf("%d: wait = %s, want the one that the server names", status, f.RetryAfter)
		}
	}
}

// TestRefusedSessions: what a status says when a session is opened is the fault of the call, which was never sent.
func TestRefusedSessions(t *testing.T) {
	t.Parallel()
	for status, class := range map[int]steps.Class{401: steps.Unauthorized, 403: steps.Forbidden, 404: steps.NotFound, 503: steps.Unavailable} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, "not you")
		}))
		t.Cleanup(s.Close)
		f := executortest.Fault(t.Context(), t, rung(t, executor.MCPServer{URL: s.URL}, "any"), executortest.Request(`{}`))
		if f.Class != class || f.Acted != steps.ActedNo || f.Status != status || f.Detail != "not you" {
			t.Errorf("%d: fault = %+v, want %s that did not act", status, f, class)
		}
	}
}

// TestTraceGoesOut: the server can continue the trace of the attempt.
func TestTraceGoesOut(t *testing.T) {
	t.Parallel()
	const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	ctx := propagation.TraceContext{}.Extract(t.Context(), propagation.MapCarrier{"traceparent": parent})
	res, err := rung(t, program(t, "library"), "meta").Execute(ctx, executortest.Request(`{}`))
	if err != nil || !strings.Contains(string(res.Output), parent) {
		t.Errorf("_meta = %s, %v, want the trace in it", res.Output, err)
	}
}

// TestBadAnswersBreakNothing: after a bad answer, the same session serves the calls beside it and after it.
func TestBadAnswersBreakNothing(t *testing.T) {
	t.Parallel()
	bad := map[string]http.HandlerFunc{
		"garbage": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "+OK") },
		"web page": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = io.WriteString(w, "<p>")
		},
		"refused": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) },
		"hang up": func(w http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) },
		"empty event": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = io.WriteString(w, "data: x\n\n")
		},
		"no resumption": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = io.WriteString(w, "id: 1\ndata:\n\n")
		},
		"no event": func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Type", "text/event-stream") },
	}
	var answer atomic.Value
	started, goOn := make(chan struct{}), make(chan struct{})
	server := plainHTTP(t, "", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.Method == http.MethodGet {
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		if !bytes.Contains(body, []byte(`"slow"`)) {
			answer.Load().(http.HandlerFunc)(w, r)
			return
		}
		close(started)
		<-goOn
		var m request
		_ = json.Unmarshal(body, &m)
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, answerOf(m, structured))
	})
	all := rungs(t)
	x, slow := all.Executor(executor.MCP{Server: server, Tool: "any"}), all.Executor(executor.MCP{Server: server, Tool: "slow"})
	done := make(chan error, 1)
	go func() { _, err := slow.Execute(t.Context(), executortest.Request(`{}`)); done <- err }()
	<-started
	for name, h := range bad {
		answer.Store(h)
		f := executortest.Fault(t.Context(), t, x, executortest.Request(`{}`))
		if !f.MayHaveActed() || f.Class == steps.Timeout {
			t.Errorf("%s: fault = %+v", name, f)
		}
	}
	close(goOn)
	if err := <-done; err != nil {
		t.Errorf("the call beside them failed: %v", err)
	}
}

// TestLostSession: a server that has forgotten its sessions, for example after a restart, has done nothing.
func TestLostSession(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var known, forgot string
	inner := libraryHTTP(t, true, false)
	outer := proxied(t, inner.URL, func(r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if known = r.Header.Get("Mcp-Session-Id"); known != "" && known == forgot {
			r.Header.Set("Mcp-Session-Id", "of-yesterday")
		}
	})
	x := rung(t, outer, "echo")
	executortest.Output(t.Context(), t, x, executortest.Request(`{}`))
	mu.Lock()
	forgot = known
	mu.Unlock()
	if f := executortest.Fault(t.Context(), t, x, executortest.Request(`{}`)); f.Class != steps.Connection || f.Acted != steps.ActedNo {
		t.Errorf("fault = %+v, want connection that did not act", f)
	}
	executortest.Output(t.Context(), t, x, executortest.Request(`{}`))
}

// TestStreamThatIsTakenUpAgain: a server that has numbered its events may end a stream, and answer on the next one.
func TestStreamThatIsTakenUpAgain(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var call request
	var seen []string
	server := plainHTTP(t, "", func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		w.Header().Set("Content-Type", "text/event-stream")
		if r.Method == http.MethodPost {
			_ = json.NewDecoder(r.Body).Decode(&call)
			_, _ = io.WriteString(w, "id: 1\nretry: 10\ndata:\n\n")
			return
		}
		seen = append(seen, r.Header.Get("Last-Event-ID"))
		if len(seen) == 1 {
			_, _ = io.WriteString(w, "id: 2\nretry: 10\ndata:\n\n")
			return
		}
		_, _ = io.WriteString(w, "id: 3\ndata: "+answerOf(call, structured)+"\n\n")
	})
	out := executortest.Output(t.Context(), t, rung(t, server, "any"), executortest.Request(`{"n":1.50}`))
	if string(out) != `{"n":1.50}` || len(seen) != 2 || seen[0] != "1" || seen[1] != "2" {
		t.Errorf("output = %s after %q", out, seen)
	}
}

// TestServerThatIgnoresWhatItDoesNotKnow: an older one need not say that it does not know the present protocol.
func TestServerThatIgnoresWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it waits for an answer that does not come")
	}
	executortest.Output(t.Context(), t, rung(t, program(t, "plain @mute "+structured), "any"), executortest.Request(`{}`))
}

// TestChatter: a program that prints other things on its stdout is understood all the same.
func TestChatter(t *testing.T) {
	t.Parallel()
	x := rung(t, program(t, "plain Loading tools...\n\n"+structured), "any")
	executortest.Output(t.Context(), t, x, executortest.Request(`{}`))
}

func TestSecretsAreNotInOutputs(t *testing.T) {
	const secret = "canary/secret+1"
	t.Setenv("BELAY_TEST_KEY", secret)
	server := program(t, "library", executor.EnvVar{Name: "BELAY_TEST_KEY", FromEnv: true}, variable("SHOP_TOKEN", "canary-token"))
	server.Hidden = map[string]string{"SHOP_TOKEN": "canary-token"}
	all := rungs(t)
	out := executortest.Output(t.Context(), t, all.Executor(executor.MCP{Server: server, Tool: "echo"}), executortest.Request(string(executortest.Echo(secret))))
	if found := executortest.Traces(out, secret); found != nil {
		t.Errorf("the output has the secret: %v", found)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	req, heard := executortest.Request(`{}`), make(chan string, 1)
	req.Progress = func(s string) {
		heard <- s
		cancel()
	}
	executortest.Fault(ctx, t, all.Executor(executor.MCP{Server: server, Tool: "progress"}), req)
	if got := <-heard; got != "packing with [value of SHOP_TOKEN] (1 of 3)" {
		t.Errorf("progress = %q, want no secret in it", got)
	}
	f := executortest.Fault(t.Context(), t, all.Executor(executor.MCP{Server: server, Tool: "fail"}), executortest.Request(`{}`))
	if strings.Contains(f.Message+f.Detail, "canary") || !strings.Contains(f.Message, "[value of SHOP_TOKEN]") {
		t.Errorf("the fault tells the secret: %+v", f)
	}
}

func TestHeadersAndCredentials(t *testing.T) {
	t.Setenv("BELAY_TEST_TOKEN", "canary-bearer")
	var got http.Header
	server := plainHTTP(t, "", func(w http.ResponseWriter, r *http.Request) {
		got = r.Header.Clone()
		w.WriteHeader(http.StatusTeapot)
	})
	server.Headers, server.BearerEnv = map[string]string{"X-Team": "support", "Mcp-Protocol-Version": "1"}, "BELAY_TEST_TOKEN"
	executortest.Fault(t.Context(), t, rung(t, server, "any"), executortest.Request(`{}`))
	if got.Get("X-Team") != "support" || got.Get("Authorization") != "Bearer canary-bearer" || got.Get("User-Agent") != "belay/test" || got.Get(executor.ToolCall) != "1" || got.Get("Mcp-Protocol-Version") != "2025-11-25" {
		t.Errorf("headers = %v", got)
	}
	server.BearerEnv = "BELAY_NOT_SET_ANYWHERE"
	if f := executortest.Fault(t.Context(), t, rung(t, server, "any"), executortest.Request(`{}`)); f.Class != steps.Unauthorized || f.Acted != steps.ActedNo {
		t.Errorf("fault = %+v, want unauthorized that did not act", f)
	}
}

// TestAnotherSchema: what people approved is what the file says. A server that has changed it gets no unsafe call.
func TestAnotherSchema(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, server executor.MCPServer) {
		var log bytes.Buffer
		all := closing{t, mcpexec.NewServers("test", outbound.Policy{}, slog.New(slog.NewTextHandler(&log, nil)))}
		object := json.RawMessage(`{"type": "object"}`)
		strict, loose := all.Executor(executor.MCP{Server: server, Tool: "echo", Schema: object, Strict: true}), all.Executor(executor.MCP{Server: server, Tool: "echo", Schema: object})
		executortest.Output(t.Context(), t, strict, executortest.Request(`{"amount":1}`))
		executortest.Output(t.Context(), t, loose, executortest.Request(`{"amount":1}`))
		if log.Len() > 0 {
			t.Errorf("something was logged though nothing has changed: %s", &log)
		}
		executortest.Output(t.Context(), t, all.Executor(executor.MCP{Server: server, Tool: "grow"}), executortest.Request(`{}`))
		f := executortest.Fault(t.Context(), t, strict, executortest.Request(`{"amount":1}`))
		if f.Class != steps.PolicyDenied || f.Acted != steps.ActedNo || !strings.Contains(f.Message, `"properties" is new, "required" is new`) || !strings.Contains(f.Message, "tools import mcp") {
			t.Errorf("fault = %+v, want policy_denied that says what has changed", f)
		}
		for range 2 {
			executortest.Output(t.Context(), t, loose, executortest.Request(`{"amount":1}`))
		}
		if n := strings.Count(log.String(), "another input schema"); n > 1 {
			t.Errorf("it was logged %d times", n)
		}
		gone := all.Executor(executor.MCP{Server: server, Tool: "none", Schema: object, Strict: true})
		if f := executortest.Fault(t.Context(), t, gone, executortest.Request(`{}`)); f.Class != steps.NotFound || f.Acted != steps.ActedNo {
			t.Errorf("fault = %+v, want not_found that did not act", f)
		}
	})
}

func TestList(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, server executor.MCPServer) {
		list, err := mcpexec.List(t.Context(), server, "test", outbound.Policy{})
		if err != nil || len(list.Tools) < 10 || list.Server != "shop" {
			t.Fatalf("%s: %d tools, %v, want those of all pages", list.Server, len(list.Tools), err)
		}
		for _, tool := range list.Tools {
			if tool.Name == "echo" && (string(tool.InputSchema) != `{"type":"object"}` || tool.Description != "The tool echo.") {
				t.Errorf("listed as %+v", tool)
			}
		}
	})
	if _, err := mcpexec.List(t.Context(), executor.MCPServer{Argv: []string{"true"}}, "test", outbound.Policy{}); err == nil {
		t.Error("listed the tools of nobody")
	}
}

// TestWhatServersSayOutOfTurn: a question is one whatever it looks like, and what nobody can read harms nothing but its call.
// The same program goes on.
func TestWhatServersSayOutOfTurn(t *testing.T) {
	t.Parallel()
	question := func(params string) string {
		return `{"jsonrpc":"2.0","id":"q","method":"elicitation/create"` + params + `}`
	}
	for name, says := range map[string]string{
		"no params":      question(""),
		"null":           question(`,"params":null`),
		"no schema":      question(`,"params":{"message":"which?"}`),
		"a number":       question(`,"params":{"message":"which?","requestedSchema":5}`),
		"null in one of": question(`,"params":{"message":"which?","requestedSchema":{"type":"object","properties":{"a":{"type":"string","oneOf":[null]}}}}`),
		"null in any of": question(`,"params":{"message":"which?","requestedSchema":{"type":"object","properties":{"a":{"type":"array","items":{"anyOf":[null]}}}}}`),
		"null items":     question(`,"params":{"message":"which?","requestedSchema":{"type":"object","properties":{"a":{"type":"array","items":null}}}}`),
		"no page":        question(`,"params":{"message":"which?","mode":"url"}`),
		"another mode":   question(`,"params":{"message":"which?","mode":"smoke"}`),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := executortest.Fault(t.Context(), t, rung(t, program(t, "plain "+says), "x"), executortest.Request(`{}`))
			if f.Class != steps.NeedsHuman {
				t.Errorf("%+v", f)
			}
		})
	}
	for _, says := range []string{
		`{"jsonrpc":"2.0","method":"notifications/elicitation/complete"}`, `{"jsonrpc":"2.0","method":"notifications/progress"}`,
		`{"jsonrpc":"2.0","method":"notifications/message"}`, `{"jsonrpc":"2.0","method":"notifications/tools/list_changed","params":null}`,
		`{"jsonrpc":"2.0","id":"q","method":"roots/list"}`, `{"jsonrpc":"2.0","id":"q","method":"sampling/createMessage"}`,
	} {
		t.Run(says, func(t *testing.T) {
			t.Parallel()
			x := rung(t, program(t, "plain "+says+"\n"+`{"jsonrpc":"2.0","id":$ID,"result":{"content":[{"type":"text","text":"fine"}]}}`), "x")
			if r, err := x.Execute(t.Context(), executortest.Request(`{}`)); err != nil || string(r.Output) != `{"text":"fine"}` {
				t.Errorf("%s, %v", r.Output, err)
			}
		})
	}
}
