package remote_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"belay/internal/executor"
	"belay/internal/executor/executortest"
	"belay/internal/executor/remote"
	"belay/internal/steps"
)

const token = "a-token-of-this-test-and-of-no-other"

// world is a hub with one rung, served over HTTP.
type world struct {
	t    *testing.T
	hub  *remote.Hub
	rung executor.Polled
	url  string
	http *http.Client

	mu   sync.Mutex
	came chan struct{} // closed when a program has come, or gone
}

func newWorld(t *testing.T, spec executor.Remote) *world {
	t.Helper()
	h := remote.NewHub(nil)
	w := &world{t: t, hub: h, rung: h.Executor("orders.lookup", "primary", spec), http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}}
	server := httptest.NewServer(remote.Guard(h.Handler(), token))
	w.url, w.came = server.URL, make(chan struct{})
	w.rung.Demand(func(int) { w.somebodyCame() })
	t.Cleanup(func() {
		h.Stop()
		w.http.CloseIdleConnections()
		server.Close()
	})
	return w
}

// answer is what the worker answers.
type answer struct {
	status int
	body   map[string]any
	raw    []byte
}

func (a answer) code() string {
	code, _ := a.body["code"].(string)
	return code
}

func (w *world) post(ctx context.Context, path, body string) (answer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url+path, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	return w.send(req)
}

func (w *world) send(req *http.Request) (answer, error) {
	resp, err := w.http.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	a := answer{status: resp.StatusCode}
	if a.raw, err = io.ReadAll(resp.Body); err != nil || len(a.raw) == 0 {
		return a, err
	}
	d := json.NewDecoder(bytes.NewReader(a.raw))
	d.UseNumber() // 1e400 is one
	return a, d.Decode(&a.body)
}

func (w *world) must(path, body string) answer {
	w.t.Helper()
	a, err := w.post(w.t.Context(), path, body)
	if err != nil {
		w.t.Fatal(err)
	}
	return a
}

// call is an attempt as a program gets it.
type call struct {
	Lease, Run, Step, Attempt, Tool, Rung, Key string
	Params                                     json.RawMessage
	Try                                        int
	Timeout                                    *float64
	Deadline                                   *time.Time
	BeatEvery                                  float64 `json:"beat_every"`
}

func (w *world) poll(ctx context.Context) (call, bool) {
	a, err := w.post(ctx, "/work/poll", `{"tools":["orders.lookup"],"worker":"py-1","wait":"20s"}`)
	if err != nil || a.status != http.StatusOK {
		return call{}, false
	}
	var c call
	if err := json.Unmarshal(a.raw, &c); err != nil {
		w.t.Error(err)
		return call{}, false
	}
	return c, true
}

// serve polls with some programs at once until the test ends; each call's answer is the path and body that do makes of it.
func (w *world) serve(do func(call) (path, body string)) {
	ctx, stop := context.WithCancel(context.Background())
	var programs sync.WaitGroup
	for range 8 {
		programs.Go(func() {
			for ctx.Err() == nil {
				c, ok := w.poll(ctx)
				if !ok {
					return
				}
				if path, body := do(c); path != "" {
					_, _ = w.post(ctx, "/work/"+c.Lease+path, body)
				}
			}
		})
	}
	w.t.Cleanup(func() { stop(); programs.Wait() })
}

// somebodyCame wakes all attempts that wait for a program.
func (w *world) somebodyCame() {
	w.mu.Lock()
	defer w.mu.Unlock()
	close(w.came)
	w.came = make(chan struct{})
}

func (w *world) next() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.came
}

// taken executes as the worker does: it waits until somebody polls, and reserves that poll.
type taken struct{ *world }

func (x taken) Execute(ctx context.Context, req executor.Request) (executor.Result, error) {
	for ctx.Err() == nil {
		came := x.next()
		if seat, _ := x.rung.Reserve(); seat != nil {
			defer seat.Leave(true)
			return seat.Execute(ctx, req)
		}
		select {
		case <-came:
		case <-ctx.Done():
		}
	}
	return x.rung.Execute(ctx, req)
}

func TestConformance(t *testing.T) {
	saying := func(path string, body func(call) string) executortest.Make {
		return func(t *testing.T) executor.Executor {
			w := newWorld(t, executor.Remote{MaxBytes: executortest.Limit})
			w.serve(func(c call) (string, string) { return path, body(c) })
			return taken{w}
		}
	}
	fixed := func(body string) func(call) string { return func(call) string { return body } }
	executortest.Exercise(t, executortest.Subject{
		Succeed: saying("/succeed", func(c call) string { return `{"output":` + string(c.Params) + `}` }),
		Hang: func(t *testing.T, started chan<- struct{}) executor.Executor {
			w := newWorld(t, executor.Remote{BeatEvery: time.Second})
			var once sync.Once
			w.serve(func(call) (string, string) {
				once.Do(func() { close(started) })
				return "", ""
			})
			return taken{w}
		},
		Large:   saying("/succeed", fixed(`{"output":"`+strings.Repeat("x", executortest.Limit)+`"}`)),
		Garbage: saying("/succeed", fixed(`{"output": 12 apples}`)),
		Nothing: saying("/succeed", fixed("")),
		BadUTF8: saying("/succeed", fixed("{\"output\":\"\xff\"}")),
		Fail:    saying("/fail", fixed(`{"class":"conflict","message":"it is booked already"}`)),
	})
}

// begun is an attempt in a program's hand.
type begun struct {
	call
	result chan error
	out    chan executor.Result
	cancel context.CancelCauseFunc
}

// begin lets a program have an attempt.
func (w *world) begin(progress func(string)) *begun {
	w.t.Helper()
	ctx, cancel := context.WithCancelCause(w.t.Context())
	b := &begun{result: make(chan error, 1), out: make(chan executor.Result, 1), cancel: cancel}
	go func() {
		req := executortest.Request(`{"order":"A-1009"}`)
		req.Progress = progress
		res, err := taken{w}.Execute(ctx, req)
		b.out <- res
		b.result <- err
	}()
	c, ok := w.poll(w.t.Context())
	if !ok {
		w.t.Fatal("the poll got no call")
	}
	b.call = c
	return b
}

func (b *begun) fault(t *testing.T) steps.Fault {
	t.Helper()
	select {
	case err := <-b.result:
		f, ok := errors.AsType[steps.Fault](err)
		if !ok {
			t.Fatalf("ended with %v, want a fault", err)
		}
		return f
	case <-time.After(time.Minute):
		t.Fatal("the attempt did not end")
		return steps.Fault{}
	}
}

func TestACallHasAllThatAProgramNeeds(t *testing.T) {
	t.Parallel()
	w := newWorld(t, executor.Remote{})
	b := w.begin(nil)
	if len(b.Lease) != 43 || b.Run != "run-1" || b.Step != "step-1" || b.Attempt != "0-0-1" || b.Tool != "orders.lookup" || b.Rung != "primary" ||
		b.Key != "run-1/step-1/0" || b.Try != 1 || b.BeatEvery != 5 || b.Timeout != nil || string(b.Params) != `{"order":"A-1009"}` {
		t.Errorf("call = %+v", b.call)
	}
	if a := w.must("/work/"+b.Lease+"/succeed", `{"output":{"ok":true}}`); a.status != 204 || len(a.raw) != 0 {
		t.Errorf("succeed is answered with %d %s", a.status, a.raw)
	}
	if out := <-b.out; string(out.Output) != `{"ok":true}` {
		t.Errorf("output = %s", out.Output)
	}
}

func TestTheDeadlineComesWithTheCall(t *testing.T) {
	t.Parallel()
	w := newWorld(t, executor.Remote{})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	go func() { _, _ = taken{w}.Execute(ctx, executortest.Request(`{}`)) }()
	c, ok := w.poll(t.Context())
	if end, _ := ctx.Deadline(); !ok || c.Timeout == nil || *c.Timeout <= 30 || *c.Timeout > 60 || c.Deadline == nil || end.Sub(*c.Deadline).Abs() > time.Millisecond {
		t.Errorf("call = %+v", c)
	}
}

// TestAPollComesBeforeTheRungs: a program that starts with its worker asks while the tools file is still being read. It is
// not told that there is no such tool, which would end it.
func TestAPollComesBeforeTheRungs(t *testing.T) {
	t.Parallel()
	w := newWorld(t, executor.Remote{})
	w.hub.Expect()
	early := w.must("/work/poll", `{"tools":["mail.send"],"wait":0.05}`)
	if early.status != http.StatusNoContent {
		t.Errorf("%d %s", early.status, early.raw)
	}
	w.hub.Executor("mail.send", "primary", executor.Remote{})
	w.hub.Complete()
	if known := w.must("/work/poll", `{"tools":["mail.send"],"wait":0.05}`); known.status != http.StatusNoContent {
		t.Errorf("%d %s", known.status, known.raw)
	}
	if unknown := w.must("/work/poll", `{"tools":["mail.sned"],"wait":0.05}`); unknown.code() != "unknown_tool" {
		t.Errorf("%d %s", unknown.status, unknown.raw)
	}
}

func TestAPollIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, executor.Remote{})
	w.hub.Executor("orders.lookup", "second", executor.Remote{})
	for name, c := range map[string]struct {
		body   string
		status int
		code   string
		says   string
	}{
		"nothing":        {"", 422, "invalid_request", "name what the program executes"},
		"no tool":        {`{"tools":[]}`, 422, "invalid_request", "name what the program executes"},
		"unknown tool":   {`{"tools":["orders.lookup","mail.send"]}`, 404, "unknown_tool", `"mail.send" is not a remote tool, or rung of one, of this worker's tools file; it has orders.lookup/primary, orders.lookup/second`},
		"unknown rung":   {`{"tools":["orders.lookup/third"]}`, 404, "unknown_tool", "orders.lookup/third"},
		"unknown field":  {`{"tool":"orders.lookup"}`, 400, "invalid_request", `unknown field "tool"`},
		"not JSON":       {`tools`, 400, "invalid_request", "cannot be read"},
		"two values":     {`{"tools":["orders.lookup"]} {}`, 400, "invalid_request", "more than one"},
		"too long":       {`{"tools":["orders.lookup"],"wait":"2m"}`, 422, "invalid_request", "at most 1m0s"},
		"a bad wait":     {`{"tools":["orders.lookup"],"wait":"soon"}`, 400, "invalid_request", "is not a duration"},
		"a negative one": {`{"tools":["orders.lookup"],"wait":-1}`, 400, "invalid_request", "negative"},
		"a bad name":     {`{"tools":["orders.lookup"],"worker":"a\nb"}`, 422, "invalid_request", "printable"},
		"too large":      {`{"tools":["` + strings.Repeat("x", 70<<10) + `"]}`, 413, "too_large", "65536"},
	} {
		t.Run(name, func(t *testing.T) {
			a := w.must("/work/poll", c.body)
			detail, _ := a.body["detail"].(string)
			if a.status != c.status || a.code() != c.code || !strings.Contains(detail, c.says) {
				t.Errorf("answered with %d %s, want %d %s: %s", a.status, a.raw, c.status, c.code, c.says)
			}
		})
	}
	if a := w.must("/work/poll", `{"tools":["orders.lookup"],"wait":0.01}`); a.status != 204 {
		t.Errorf("a poll for which nothing comes is answered with %d %s", a.status, a.raw)
	}
	if a := w.must("/work/nothing", `{}`); a.status != 404 || a.code() != "not_found" {
		t.Errorf("another page is answered with %d %s", a.status, a.raw)
	}
	w.hub.Stop()
	if a := w.must("/work/poll", `{"tools":["orders.lookup"]}`); a.status != 503 || a.code() != "draining" || a.body["retryable"] != true {
		t.Errorf("a stopping worker answers %d %s", a.status, a.raw)
	}
}

func TestAStopEndsTheWaiting(t *testing.T) {
	t.Parallel()
	w := newWorld(t, executor.Remote{})
	stop := w.rung.Demand(func(n int) {
		if n > 0 {
			go w.hub.Stop()
		}
	})
	defer stop()
	if a := w.must("/work/poll", `{"tools":["orders.lookup"]}`); a.status != 503 || a.code() != "draining" {
		t.Errorf("a poll is answered with %d %s when the worker stops", a.status, a.raw)
	}
}

func TestOnlyTheLeaseSpeaks(t *testing.T) {
	t.Parallel()
	w := newWorld(t, executor.Remote{})
	b := w.begin(nil)
	for _, lease := range []string{"wrong", b.Lease[1:], b.Lease + "A", strings.ToUpper(b.Lease), "%00", b.Run} {
		for _, path := range []string{"/beat", "/succeed", "/fail"} {
			if a := w.must("/work/"+lease+path, `{"output":1}`); a.status != 410 || a.code() != "lease_ended" {
				t.Errorf("%s of another lease is answered with %d %s", path, a.status, a.raw)
			}
		}
	}
	select {
	case err := <-b.result:
		t.Fatalf("the attempt ended with %v", err)
	default:
	}
	if a := w.must("/work/"+b.Lease+"/beat", ""); a.status != 200 || string(a.raw) != "{\"stop\":false}\n" {
		t.Errorf("a beat is answered with %d %s", a.status, a.raw)
	}
}

func TestALastWordMayBeRepeated(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		path, body, other string
		status            int
	}{
		"succeed":  {"/succeed", `{"output":1}`, `{"output":2}`, 204},
		"fail":     {"/fail", `{"class":"conflict","message":"no"}`, `{"class":"timeout","message":"no"}`, 204},
		"unusable": {"/succeed", `{"outptu":1}`, `{"output":1}`, 422},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, executor.Remote{})
			b := w.begin(nil)
			for range 3 {
				if a := w.must("/work/"+b.Lease+c.path, c.body); a.status != c.status {
					t.Fatalf("answered with %d %s", a.status, a.raw)
				}
			}
			if a := w.must("/work/"+b.Lease+c.path, c.other); a.status != 409 || a.code() != "conflict" {
				t.Errorf("another word is answered with %d %s", a.status, a.raw)
			}
			if a := w.must("/work/"+b.Lease+"/beat", "{}"); a.status != 410 {
				t.Errorf("a beat after the end is answered with %d %s", a.status, a.raw)
			}
		})
	}
}

func TestFailures(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		body string
		want steps.Fault
	}{
		"class only":  {`{"class":"tool_error","message":"it broke"}`, steps.Fault{Class: steps.ToolError, Acted: steps.ActedMaybe, Message: "it broke"}},
		"all of it":   {`{"class":"rate_limited","message":"slow down","acted":"no","retry_after":"2s","detail":"quota 5"}`, steps.Fault{Class: steps.RateLimited, Acted: steps.ActedNo, Message: "slow down", Detail: "quota 5", RetryAfter: steps.Duration(2 * time.Second)}},
		"in seconds":  {`{"class":"unavailable","message":"later","acted":"maybe","retry_after":0.5}`, steps.Fault{Class: steps.Unavailable, Acted: steps.ActedMaybe, Message: "later", RetryAfter: steps.Duration(time.Second / 2)}},
		"for a human": {`{"need_human":true,"message":"it has a credit in it"}`, steps.Fault{Class: steps.NeedsHuman, Acted: steps.ActedMaybe, Message: "it has a credit in it"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, executor.Remote{})
			b := w.begin(nil)
			if a := w.must("/work/"+b.Lease+"/fail", c.body); a.status != 204 {
				t.Fatalf("answered with %d %s", a.status, a.raw)
			}
			if f := b.fault(t); f != c.want {
				t.Errorf("fault = %+v, want %+v", f, c.want)
			}
		})
	}
}

func TestAMistakeInAFailEndsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, executor.Remote{})
	b := w.begin(nil)
	for body, says := range map[string]string{
		`{"class":"oops","message":"x"}`:                        `"oops" is not a class: one of bad_expression, `,
		`{"message":"x"}`:                                       "class is missing",
		`{"class":"timeout"}`:                                   "message is missing",
		`{"class":"timeout","message":"x","acted":"yes"}`:       "write no if certainly nothing has happened",
		`{"class":"timeout","message":"x","retryAfter":1}`:      "unknown field",
		`{"class":"timeout","message":"x","retry_after":"1 s"}`: "is not a duration",
		``: "cannot be read",
	} {
		a := w.must("/work/"+b.Lease+"/fail", body)
		detail, _ := a.body["detail"].(string)
		if a.status != 422 && a.status != 400 || !strings.Contains(detail, says) {
			t.Errorf("%s is answered with %d %s", body, a.status, a.raw)
		}
	}
	if a := w.must("/work/"+b.Lease+"/fail", `{"class":"timeout","message":"x"}`); a.status != 204 {
		t.Errorf("answered with %d %s", a.status, a.raw)
	}
}

func TestAnAnswerThatDoesNotComeWholeSaysNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, executor.Remote{})
	b := w.begin(nil)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.url+"/work/"+b.Lease+"/succeed", io.MultiReader(strings.NewReader(`{"output":`), broken{}))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	if a, err := w.send(req); err == nil && a.status == 204 {
		t.Errorf("half a request is answered with %d", a.status)
	}
	if a := w.must("/work/"+b.Lease+"/succeed", `{"output":1}`); a.status != 204 {
		t.Errorf("the whole one is answered with %d %s", a.status, a.raw)
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestProgressGoesToPeople(t *testing.T) {
	t.Parallel()
	w := newWorld(t, executor.Remote{})
	told := make(chan string, 1)
	b := w.begin(func(text string) { told <- text })
	w.must("/work/"+b.Lease+"/beat", `{"progress":"line 3 of 9"}`)
	if got := <-told; got != "line 3 of 9" {
		t.Errorf("progress = %q", got)
	}
}

func TestACancelledAttemptIsToldToStop(t *testing.T) {
	t.Parallel()
	w := newWorld(t, executor.Remote{})
	b := w.begin(nil)
	b.cancel(steps.Fault{Class: steps.Unavailable, Message: "ann has cancelled the run"})
	stopped := answer{}
	for stopped.body["stop"] != true {
		stopped = w.must("/work/"+b.Lease+"/beat", "{}")
	}
	if stopped.body["reason"] != "ann has cancelled the run" {
		t.Errorf("the reason is %v", stopped.body["reason"])
	}
	if a := w.must("/work/"+b.Lease+"/fail", `{"class":"unavailable","acted":"no","message":"stopped before it paid"}`); a.status != 204 {
		t.Errorf("its last word is answered with %d %s", a.status, a.raw)
	}
	if f := b.fault(t); f.Acted != steps.ActedNo || f.Message != "stopped before it paid" {
		t.Errorf("fault = %+v", f)
	}
}

func TestWhoMaySpeak(t *testing.T) {
	t.Parallel()
	w := newWorld(t, executor.Remote{})
	for name, c := range map[string]struct {
		host, authorization string
		status              int
	}{
		"the token":          {"", "Bearer " + token, 204},
		"localhost":          {"localhost:7480", "Bearer " + token, 204},
		"IPv6":               {"[::1]:7480", "Bearer " + token, 204},
		"no token":           {"", "", 401},
		"another token":      {"", "Bearer " + token + "x", 401},
		"not a bearer":       {"", token, 401},
		"another host":       {"worker.example:7480", "Bearer " + token, 421},
		"a host like ours":   {"127.0.0.1.evil.example", "Bearer " + token, 421},
		"another of the net": {"10.0.0.1:7480", "Bearer " + token, 421},
	} {
		t.Run(name, func(t *testing.T) {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.url+"/work/poll", bytes.NewBufferString(`{"tools":["orders.lookup"],"wait":0}`))
			if err != nil {
				t.Fatal(err)
			}
			if c.host != "" {
				req.Host = c.host
			}
			if c.authorization != "" {
				req.Header.Set("Authorization", c.authorization)
			}
			a, err := w.send(req)
			if err != nil || a.status != c.status {
				t.Errorf("answered with %d %s, %v, want %d", a.status, a.raw, err, c.status)
			}
		})
	}
}
