package mcpexec_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"belay/internal/executor"
	"belay/internal/executor/executortest"
	"belay/internal/steps"
)

// tasks is a server that makes a task of each call: it is asked for it again and again, and says each time what comes next.
type tasks struct {
	executor.MCPServer
	mu      sync.Mutex
	says    []string // what it says of the task; the last for ever, "gone" that it knows none
	calls   int
	asked   []string // methods, in order
	names   []string // of the header by which requests are routed
	updates []string
	heard   chan string // methods, as they come
	born    string      // the task as the call gives it
	refuses bool        // it takes no answer
}

type taskRequest struct {
	mcp.ParamsBase
	ID        string          `json:"taskId"`
	Responses json.RawMessage `json:"inputResponses"`
}

// aTask is what the server says, in its own words.
type aTask struct {
	mcp.ResultBase
	says string
}

func (a *aTask) MarshalJSON() ([]byte, error) { return []byte(a.says), nil }

func newTasks(t *testing.T, says ...string) *tasks {
	t.Helper()
	x := &tasks{says: says, heard: make(chan string, 1000), born: `{"resultType":"task","taskId":"t 7","status":"working","ttlMs":null,"pollIntervalMs":1,"statusMessage":"queued"}`}
	s := library(false)
	s.AddReceivingMiddleware(func(next mcp.MethodHandler) mcp.MethodHandler {
		return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
			if method != "tools/call" {
				return next(ctx, method, req)
			}
			x.mu.Lock()
			defer x.mu.Unlock()
			x.calls++
			return &aTask{says: x.born}, nil
		}
	})
	handle := func(method string, f func(p *taskRequest) (*aTask, error)) {
		err := mcp.AddReceivingCustomMethod(s, method, func(_ context.Context, _ *mcp.ServerSession, p *taskRequest) (*aTask, error) {
			x.mu.Lock()
			defer x.mu.Unlock()
			x.asked = append(x.asked, method)
			x.heard <- method
			return f(p)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	handle("tasks/get", func(p *taskRequest) (*aTask, error) {
		now := x.says[0]
		if len(x.says) > 1 {
			x.says = x.says[1:]
		}
		if now == "gone" || !strings.Contains(p.ID, "t 7") {
			return nil, &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: "Task not found"}
		}
		return &aTask{says: `{"resultType":"complete","taskId":"t 7","ttlMs":null,"pollIntervalMs":1,` + now + `}`}, nil
	})
	handle("tasks/update", func(p *taskRequest) (*aTask, error) {
		x.updates = append(x.updates, string(p.Responses))
		if x.refuses {
			return nil, &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: "taken already"}
		}
		return &aTask{says: `{"resultType":"complete"}`}, nil
	})
	handle("tasks/cancel", func(*taskRequest) (*aTask, error) { return &aTask{says: `{"resultType":"complete"}`}, nil })
	h := mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return s }, &mcp.StreamableHTTPOptions{Stateless: true, JSONResponse: true})
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if method := r.Header.Get("Mcp-Method"); strings.HasPrefix(method, "tasks/") {
			x.mu.Lock()
			x.names = append(x.names, r.Header.Get("Mcp-Name"))
			x.mu.Unlock()
		}
		h.ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		web.CloseClientConnections()
		web.Close()
	})
	x.MCPServer = executor.MCPServer{URL: web.URL}
	return x
}

const (
	working = `"status":"working","statusMessage":"packing"`
	paid    = `"status":"completed","result":{"content":[],"structuredContent":{"paid":12345678901234567890}}`
)

// noted notes what an attempt leaves on the log.
func noted(req executor.Request, into *[]steps.Resume) executor.Request {
	req.Keep = func(_ context.Context, r steps.Resume) error {
		*into = append(*into, r)
		return nil
	}
	return req
}

// TestATaskIsOnTheLogBeforeItIsAskedFor: from there on any worker gets its result, and the tool is called once.
func TestATaskIsOnTheLogBeforeItIsAskedFor(t *testing.T) {
	t.Parallel()
	x := newTasks(t, working, working, paid)
	var said []string
	var left []steps.Resume
	req := noted(executortest.Request(`{}`), &left)
	keep := req.Keep
	req.Keep = func(ctx context.Context, r steps.Resume) error {
		if len(x.asked) > 0 {
			t.Error("the task was asked for before it was on the log")
		}
		return keep(ctx, r)
	}
	req.Progress = func(s string) { said = append(said, s) }
	if out := executortest.Output(t.Context(), t, rung(t, x.MCPServer, "pay"), req); string(out) != `{"paid":12345678901234567890}` {
		t.Errorf("output %s", out)
	}
	if len(left) != 1 || left[0].About != "task t 7" || !left[0].Harmless || !slices.Equal(said, []string{"queued", "packing", "packing"}) || !slices.Equal(x.names, []string{"t 7", "t 7", "t 7"}) {
		t.Errorf("left %+v, said %q, routed by %q", left, said, x.names)
	}
	again := executortest.Request(`{}`)
	again.Continues = &steps.Continuation{Resume: left[0]}
	if out := executortest.Output(t.Context(), t, rung(t, x.MCPServer, "pay"), again); string(out) != `{"paid":12345678901234567890}` || x.calls != 1 {
		t.Errorf("output %s of another worker, after %d calls", out, x.calls)
	}
}

// TestATaskThatCannotBeNotedIsNotAskedFor: its outcome leaves it on the log instead.
func TestATaskThatCannotBeNotedIsNotAskedFor(t *testing.T) {
	t.Parallel()
	x := newTasks(t, paid)
	req := executortest.Request(`{}`)
	req.Keep = func(context.Context, steps.Resume) error { return errors.New("the log is full") }
	_, err := rung(t, x.MCPServer, "pay").Execute(t.Context(), req)
	if u, is := errors.AsType[executor.Unfinished](err); !is || u.Resume == nil || !u.Resume.Harmless || !u.MayHaveActed() || len(x.asked) > 0 {
		t.Errorf("error = %#v, asked %q", err, x.asked)
	}
}

// TestATaskAsks a person in the middle of its work: the answer goes to the task, once, and only what is new is asked.
func TestATaskAsks(t *testing.T) {
	t.Parallel()
	needs := `"status":"input_required","inputRequests":{"which":{"method":"elicitation/create","params":{"message":"Which invoice?","requestedSchema":{"type":"object"}}}}`
	more := strings.Replace(needs, `{"which"`, `{"sure":{"method":"elicitation/create","params":{"message":"Sure?"}},"which"`, 1)
	x := newTasks(t, working, needs, needs, more, paid)
	var left []steps.Resume
	_, err := rung(t, x.MCPServer, "pay").Execute(t.Context(), noted(executortest.Request(`{}`), &left))
	u, is := errors.AsType[executor.Unfinished](err)
	if !is || u.Question == nil || u.Question.Text != "Which invoice?" || u.Resume == nil || !u.Resume.Harmless {
		t.Fatalf("error = %#v", err)
	}
	req := noted(executortest.Request(`{}`), &left)
	req.Continues = &steps.Continuation{Resume: *u.Resume, Answer: json.RawMessage(`{"invoice":"A-7"}`)}
	_, err = rung(t, x.MCPServer, "pay").Execute(t.Context(), req)
	if u, is = errors.AsType[executor.Unfinished](err); !is || u.Question == nil || u.Question.Text != "Sure?" || len(left) != 2 {
		t.Fatalf("error = %#v, left %+v", err, left)
	}
	req.Continues = &steps.Continuation{Resume: *u.Resume, Declined: "no"}
	out := executortest.Output(t.Context(), t, rung(t, x.MCPServer, "pay"), req)
	want := []string{`{"which":{"action":"accept","content":{"invoice":"A-7"}}}`, `{"sure":{"action":"decline"}}`}
	if string(out) != `{"paid":12345678901234567890}` || !slices.Equal(x.updates, want) || x.calls != 1 {
		t.Errorf("output %s, updates %s, %d calls", out, x.updates, x.calls)
	}
}

// TestHowTasksEnd: whatever a task says, its call may have acted; and what nobody knows any more is not gone on with.
func TestHowTasksEnd(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		says  string
		class steps.Class
		words string
		spent bool
	}{
		"it is not known any more":   {"gone", steps.Unavailable, "does not know task t 7 any more: Task not found", true},
		"it failed":                  {`"status":"failed","error":{"code":-32603,"message":"limit exceeded"}`, steps.ToolError, "limit exceeded", true},
		"it failed for its input":    {`"status":"failed","error":{"code":-32602,"message":"no such order"}`, steps.InvalidInput, "no such order", true},
		"it failed without a word":   {`"status":"failed"`, steps.ToolError, "does not say why", true},
		"it was cancelled":           {`"status":"cancelled","statusMessage":"by the shop"`, steps.ToolError, "by the shop", true},
		"its tool failed":            {`"status":"completed","result":{"content":[{"type":"text","text":"no money"}],"isError":true}`, steps.ToolError, "no money", true},
		"its result is a question":   {`"status":"completed","result":{"resultType":"input_required","requestState":"s","inputRequests":{}}`, steps.InvalidOutput, "a question", true},
		"its result is none":         {`"status":"completed","result":{}`, steps.InvalidOutput, "no content", true},
		"its result is another task": {`"status":"completed","result":{"resultType":"task","taskId":"8"}`, steps.InvalidOutput, "another task", true},
		"its state is unknown":       {`"status":"dreaming"`, steps.InvalidOutput, "dreaming", false},
		"it asks a model":            {`"status":"input_required","inputRequests":{"m":{"method":"sampling/createMessage","params":{}}}`, steps.ToolError, "sampling/createMessage", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := newTasks(t, working, c.says)
			_, err := rung(t, x.MCPServer, "pay").Execute(t.Context(), executortest.Request(`{}`))
			f := proper(t, err)
			u, _ := errors.AsType[executor.Unfinished](err)
			if f.Class != c.class || !strings.Contains(f.Message, c.words) || !f.MayHaveActed() || u.Spent != c.spent || u.Resume != nil {
				t.Errorf("error = %#v", err)
			}
		})
	}
}

// TestAServerThatIsAwayForAMoment is asked again, in another session where need be.
func TestAServerThatIsAwayForAMoment(t *testing.T) {
	t.Parallel()
	x := newTasks(t, working, paid)
	var mu sync.Mutex
	away := 2
	via := proxied(t, x.URL, func(r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if r.Header.Get("Mcp-Method") == "tasks/get" && away > 0 {
			away--
			r.URL.Host = "127.0.0.1:1"
		}
	})
	if out := executortest.Output(t.Context(), t, rung(t, via, "pay"), executortest.Request(`{}`)); !strings.Contains(string(out), "paid") || x.calls != 1 || away != 0 {
		t.Errorf("output %s after %d calls, away %d more times", out, x.calls, away)
	}
}

// TestATaskIsNotLostForAWord: what the server need not send well does not cost its id, and an id is named as headers are.
func TestATaskIsNotLostForAWord(t *testing.T) {
	t.Parallel()
	x := newTasks(t, `"status":"working","statusMessage":7,"error":"none","pollIntervalMs":"soon"`, paid)
	x.born = `{"resultType":"task","taskId":" t 7\u00fc","status":"working","pollIntervalMs":1000.5e-3}`
	if out := executortest.Output(t.Context(), t, rung(t, x.MCPServer, "pay"), executortest.Request(`{}`)); !strings.Contains(string(out), "paid") || x.calls != 1 {
		t.Errorf("output %s after %d calls", out, x.calls)
	}
	if want := "=?base64?IHQgN8O8?="; !slices.Contains(x.names, want) {
		t.Errorf("routed by %q, want %q", x.names, want)
	}
}

// TestTheWayToATaskIsNotItsServer: a gateway that knows no such page has said nothing of the task.
func TestTheWayToATaskIsNotItsServer(t *testing.T) {
	t.Parallel()
	x := newTasks(t, working, paid)
	var mu sync.Mutex
	away := 2
	gateway := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		refuse := r.Header.Get("Mcp-Method") == "tasks/get" && away > 0
		if refuse {
			away--
		}
		mu.Unlock()
		if refuse {
			http.NotFound(w, r)
			return
		}
		httputil.NewSingleHostReverseProxy(parsed(t, x.URL)).ServeHTTP(w, r)
	}))
	t.Cleanup(gateway.Close)
	if out := executortest.Output(t.Context(), t, rung(t, executor.MCPServer{URL: gateway.URL}, "pay"), executortest.Request(`{}`)); !strings.Contains(string(out), "paid") || x.calls != 1 || away != 0 {
		t.Errorf("output %s after %d calls, away %d more times", out, x.calls, away)
	}
}

func parsed(t *testing.T, address string) *url.URL {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// TestAnAnswerThatTheServerDoesNotTake: it is not that the task is gone; the server says what it still needs.
func TestAnAnswerThatTheServerDoesNotTake(t *testing.T) {
	t.Parallel()
	needs := `"status":"input_required","inputRequests":{"which":{"method":"elicitation/create","params":{"message":"Which invoice?"}}}`
	x := newTasks(t, needs, needs)
	x.refuses = true
	_, err := rung(t, x.MCPServer, "pay").Execute(t.Context(), executortest.Request(`{}`))
	u, _ := errors.AsType[executor.Unfinished](err)
	req := executortest.Request(`{}`)
	req.Continues = &steps.Continuation{Resume: *u.Resume, Answer: json.RawMessage(`{"invoice":"A-7"}`)}
	_, err = rung(t, x.MCPServer, "pay").Execute(t.Context(), req)
	if u, is := errors.AsType[executor.Unfinished](err); !is || u.Spent || u.Question == nil || u.Question.Text != "Which invoice?" {
		t.Errorf("error = %#v", err)
	}
	req.Continues = &steps.Continuation{Resume: *u.Resume} // looked after once more: nobody has answered, and nobody has declined
	updates := len(x.updates)
	_, err = rung(t, x.MCPServer, "pay").Execute(t.Context(), req)
	if u, is := errors.AsType[executor.Unfinished](err); !is || u.Question == nil || len(x.updates) != updates {
		t.Errorf("error = %#v, sent %s", err, x.updates)
	}
}

// TestWhatIsLeftIsForTheSameServer and tool: another one would begin the call, or know nothing of it.
func TestWhatIsLeftIsForTheSameServer(t *testing.T) {
	t.Parallel()
	x, other := newTasks(t, working, paid), newTasks(t, paid)
	var left []steps.Resume
	executortest.Output(t.Context(), t, rung(t, x.MCPServer, "pay"), noted(executortest.Request(`{}`), &left))
	req := executortest.Request(`{}`)
	for _, c := range []struct {
		server executor.MCPServer
		tool   string
		left   steps.Resume
	}{{other.MCPServer, "pay", left[0]}, {x.MCPServer, "refund", left[0]}, {x.MCPServer, "pay", steps.Resume{Value: json.RawMessage(`{}`)}}} {
		req.Continues = &steps.Continuation{Resume: c.left}
		if f := executortest.Fault(t.Context(), t, rung(t, c.server, c.tool), req); f.MayHaveActed() || f.Class != steps.PolicyDenied || other.calls != 0 || x.calls != 1 {
			t.Errorf("%+v, %d and %d calls", f, x.calls, other.calls)
		}
	}
}

// TestStoppedTasks: only where the run does not want it any more does the server hear so; a worker that ends, or whose time is
// over, leaves the task to the next one.
func TestStoppedTasks(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		cause  error
		cancel bool
	}{
		"the run is ending":    {steps.Fault{Class: steps.Unavailable, Message: "stopped"}, true},
		"the worker is ending": {errors.New("the worker is stopping"), false},
		"its time is over":     {context.DeadlineExceeded, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := newTasks(t, working)
			ctx, stop := context.WithCancelCause(t.Context())
			done := make(chan error, 1)
			go func() {
				_, err := rung(t, x.MCPServer, "pay").Execute(ctx, executortest.Request(`{}`))
				done <- err
			}()
			<-x.heard
			stop(c.cause)
			if f := proper(t, <-done); !f.MayHaveActed() {
				t.Errorf("fault = %+v", f)
			}
			x.mu.Lock()
			defer x.mu.Unlock()
			if slices.Contains(x.asked, "tasks/cancel") != c.cancel {
				t.Errorf("asked %q, want tasks/cancel: %v", x.asked, c.cancel)
			}
		})
	}
}

// TestTasksAreAskedForAsTheirServerWants, within bounds.
func TestTasksAreAskedForAsTheirServerWants(t *testing.T) {
	t.Parallel()
	x := newTasks(t, working, working, working, paid)
	from := time.Now()
	executortest.Output(t.Context(), t, rung(t, x.MCPServer, "pay"), executortest.Request(`{}`))
	if took := time.Since(from); took < 300*time.Millisecond {
		t.Errorf("it took %s: a server that wants to be asked every millisecond is not", took)
	}
}
