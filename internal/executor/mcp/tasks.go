package mcpexec

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"belay/internal/executor"
	"belay/internal/steps"
)

// A server of 2026-07-28 and later may answer a call with a task: it works on, and is asked for the result from time to time.
// The task's id is on the run's log before it is asked for the first time, so that another attempt can look after the task when
// this worker is lost. Looking after a task does nothing anew.

// tasksExtension is what a client says that it knows.
const tasksExtension = "io.modelcontextprotocol/tasks"

// taskType is the type of a result that is a task.
const taskType = "task"

// How often a server is asked for a task: as it wants, within bounds; each time that it cannot be asked, half as often.
const (
	pollUsual   = time.Second
	pollLeast   = 100 * time.Millisecond
	pollMost    = time.Minute
	pollPatient = 5 // how often in a row it may not be reached before the attempt ends
)

// cancelTime is how long telling the server that nobody wants a task any more may take.
const cancelTime = 2 * time.Second

// task is a task as it is sent.
type task struct {
	ID      string                  `json:"taskId"`
	Status  string                  `json:"status"` // working, input_required, completed, failed, cancelled
	Message lax[string]             `json:"statusMessage"`
	Poll    lax[float64]            `json:"pollIntervalMs"`
	Needs   map[string]inputRequest `json:"-"`      // of input_required
	Result  json.RawMessage         `json:"result"` // of completed
	Error   lax[*jsonrpc.Error]     `json:"error"`  // of failed
}

// lax is a value that a server need not send well: where it cannot be read it counts as not sent, and the task is not lost for it.
type lax[T any] struct{ v T }

// UnmarshalJSON reads the value, if it can be read.
func (l *lax[T]) UnmarshalJSON(b []byte) error {
	var v T
	if json.Unmarshal(b, &v) == nil {
		l.v = v
	}
	return nil
}

// poll is how often the server wants to be asked, in milliseconds within bounds; 0 where it does not say.
func (t *task) poll() int64 {
	return int64(max(0, min(t.Poll.v, float64(pollMost.Milliseconds()))))
}

// begun is in place of a result: the call has become a task.
type begun struct{ task }

func (b begun) Error() string { return "the call has become task " + b.ID }

// taskParams are those of all requests about a task.
type taskParams struct {
	mcp.ParamsBase
	ID        string               `json:"taskId"`
	Responses mcp.InputResponseMap `json:"inputResponses,omitempty"`
}

// anything is a result that the library need not understand.
type anything struct{ mcp.ResultBase }

// addTasks lets a client send what is asked about tasks.
func addTasks(c *mcp.Client) {
	for _, method := range []string{methodTask, methodTaskUpdate, methodTaskCancel} {
		if err := mcp.AddSendingCustomMethod[*taskParams, *anything](c, method); err != nil {
			panic("mcpexec: " + err.Error()) // the protocol itself has none of these
		}
	}
}

// nameTask names the task in the header by which requests about it are routed to where it is.
func nameTask(r *http.Request, call *jsonrpc.Request) {
	var p struct {
		ID string `json:"taskId"`
	}
	if strings.HasPrefix(call.Method, "tasks/") && json.Unmarshal(call.Params, &p) == nil {
		r.Header.Set("Mcp-Name", headerValue(p.ID))
	}
}

// headerValue is a text as the protocol writes it into a header: what a header may not have is encoded.
func headerValue(text string) string {
	plain := !strings.ContainsFunc(text, func(c rune) bool { return c < ' ' || c > '~' }) && strings.TrimSpace(text) == text && !strings.HasPrefix(text, "=?base64?")
	if plain {
		return text
	}
	return "=?base64?" + base64.StdEncoding.EncodeToString([]byte(text)) + "?="
}

// following is an attempt that looks after a task.
type following struct {
	*rung
	kept
	req     executor.Request
	secrets *executor.Secrets
	failed  int // how often in a row the server could not be asked
}

// begin looks after a task that the call has just become.
func (f *following) begin(ctx context.Context, t task) (json.RawMessage, error) {
	f.kept = kept{Task: t.ID, Poll: t.poll(), Of: f.of()}
	if err := f.keep(ctx); err != nil {
		return nil, f.unkept(ctx, err)
	}
	return f.follow(ctx, &t)
}

// goOn looks after a task that an attempt before it has left. What a person has answered is sent first: the server takes each
// answer once, however often it is sent.
func (f *following) goOn(ctx context.Context) (json.RawMessage, error) {
	responses, err := f.responses(f.req.Continues)
	if err != nil {
		return nil, err
	}
	if responses == nil {
		return f.follow(ctx, nil)
	}
	if _, err := f.ask(ctx, methodTaskUpdate, responses); err != nil {
		return f.refusedAnswer(ctx, err)
	}
	for _, a := range f.Asked {
		f.Answered = append(f.Answered, a.ID)
	}
	f.Asked = nil
	if err := f.keep(ctx); err != nil {
		return nil, f.unkept(ctx, err)
	}
	return f.follow(ctx, nil)
}

// refusedAnswer goes on after the server has not taken an answer. It may have taken it before, or not like it: then it says what
// it still needs.
func (f *following) refusedAnswer(ctx context.Context, err error) (json.RawMessage, error) {
	if fault, is := errors.AsType[steps.Fault](err); !is || !gone(fault) {
		return nil, f.ended(ctx, err)
	}
	t, err := f.look(ctx)
	if err != nil {
		return nil, f.ended(ctx, err)
	}
	f.Asked = nil
	return f.follow(ctx, t)
}

// keep leaves the task on the log. An id with a secret in it is not kept, and the task is looked after here alone.
func (f *following) keep(ctx context.Context) error {
	r := *f.resume()
	if f.req.Keep == nil || f.secrets.Redact(string(r.Value)) != string(r.Value) {
		return nil
	}
	return f.req.Keep(ctx, r)
}

// unkept is the fault of a task that could not be left on the log: its outcome leaves it there.
func (f *following) unkept(ctx context.Context, err error) error {
	if executor.Unwanted(ctx) {
		f.cancel()
	}
	fault, is := errors.AsType[steps.Fault](err)
	if !is {
		fault = steps.Fault{Class: steps.Unavailable, Message: "the task could not be noted in the run's log: " + err.Error()}
	}
	fault.Acted = steps.ActedMaybe
	return executor.Unfinished{Fault: fault, Resume: f.resume()}
}

// follow asks for the task until it is over, or needs a person. A nil task is asked for at once.
func (f *following) follow(ctx context.Context, t *task) (json.RawMessage, error) {
	for {
		if t != nil {
			if out, err, over := f.settled(*t); over {
				return out, err
			}
			if f.Poll = t.poll(); t.Message.v != "" && f.req.Progress != nil {
				f.req.Progress(t.Message.v)
			}
		}
		if t != nil || f.failed > 0 {
			f.wait(ctx)
		}
		next, err := f.look(ctx)
		switch {
		case err == nil:
			t, f.failed = next, 0
		case !f.mayComeBack(ctx, err):
			return nil, f.ended(ctx, err)
		default:
			t = nil
			f.failed++
		}
	}
}

// settled is what has come of a task; over is false for one that goes on.
func (f *following) settled(t task) (out json.RawMessage, err error, over bool) {
	switch t.Status {
	case "completed":
		if out, err = f.result(t.Result); err != nil {
			err = f.badResult(t, err)
		}
		return out, err, true
	case "failed":
		fault := steps.Fault{Class: steps.ToolError, Message: "the task failed, and does not say why"}
		if t.Error.v != nil {
			fault = refused(t.Error.v)
		}
		return nil, f.spent(fault), true
	case "cancelled":
		return nil, f.spent(steps.Fault{Class: steps.ToolError, Message: "the server has cancelled the task" + because(t.Message.v)}), true
	case "input_required":
		open := map[string]inputRequest{}
		for id, q := range t.Needs {
			if !slices.Contains(f.Answered, id) {
				open[id] = q
			}
		}
		if len(open) > 0 {
			return nil, needed(open, f.kept), true
		}
	case "working":
	default:
		return nil, executor.Unusable("task "+f.Task+" has a state that Belay does not know: "+executor.Head([]byte(t.Status), 60), ""), true
	}
	return nil, nil, false
}

// badResult is the fault of a completed task without a result that is one. It would be the same the next time.
func (f *following) badResult(t task, err error) error {
	fault, is := err.(steps.Fault) //nolint:errorlint // made there, and never wrapped
	if !is {
		fault = executor.Unusable("the result of task "+f.Task+" is another task, or a question", executor.Head(t.Result, detailBytes))
	}
	return executor.Unfinished{Fault: fault, Spent: true}
}

func because(why string) string {
	if why == "" {
		return ""
	}
	return ": " + executor.Head([]byte(why), messageBytes)
}

// spent is a fault after which there is nothing to go on with. What the call may have done before, it may have done.
func (f *following) spent(fault steps.Fault) error {
	fault.Acted = steps.ActedMaybe
	return executor.Unfinished{Fault: fault, Spent: true}
}

// mayComeBack reports whether the server may answer the next time that it is asked.
func (f *following) mayComeBack(ctx context.Context, err error) bool {
	fault, _ := errors.AsType[steps.Fault](err)
	retried := fault.Class == steps.Connection || fault.Class == steps.Unavailable || fault.Class == steps.RateLimited || fault.Class == steps.NotFound && fault.Status != 0
	return ctx.Err() == nil && retried && f.failed < pollPatient
}

// ended is the fault of an attempt that does not look after the task any more. The call itself may have acted.
func (f *following) ended(ctx context.Context, err error) error {
	fault, is := errors.AsType[steps.Fault](err)
	if !is {
		return err
	}
	fault.Acted = steps.ActedMaybe
	if executor.Unwanted(ctx) {
		f.cancel()
	}
	if gone(fault) && ctx.Err() == nil {
		return f.spent(steps.Fault{Class: steps.Unavailable, Message: "the server does not know task " + executor.Head([]byte(f.Task), 100) + " any more: " + fault.Message})
	}
	return fault
}

// gone recognizes that the server does not know a task. What only the way to it says, with a status of HTTP, it has not said.
func gone(f steps.Fault) bool {
	return f.Status == 0 && (f.Class == steps.InvalidInput || f.Class == steps.NotFound)
}

// wait waits until the server may be asked again, or until ctx ends.
func (f *following) wait(ctx context.Context) {
	every := pollUsual
	if f.Poll > 0 {
		every = time.Duration(min(f.Poll, pollMost.Milliseconds())) * time.Millisecond
	}
	t := time.NewTimer(min(max(every, pollLeast)<<f.failed, pollMost))
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// look asks for the task once.
func (f *following) look(ctx context.Context) (*task, error) {
	if ctx.Err() != nil {
		return nil, executor.Stopped(ctx, steps.ActedMaybe)
	}
	raw, err := f.ask(ctx, methodTask, nil)
	if err != nil {
		return nil, err
	}
	if !utf8.Valid(raw) {
		return nil, executor.Unusable("the server's answer about task "+f.Task+" is not valid UTF-8", executor.Head(raw, detailBytes))
	}
	var t unfinishedResult
	if err := json.Unmarshal(raw, &t); err != nil {
		return nil, executor.Unusable("the server's answer about task "+f.Task+" cannot be read: "+err.Error(), executor.Head(raw, detailBytes))
	}
	t.Needs = t.Requests
	return &t.task, nil
}

// ask sends one request about the task, in whatever session there is.
func (f *following) ask(ctx context.Context, method string, responses mcp.InputResponseMap) (json.RawMessage, error) {
	c, err := f.server.begin(ctx, nil)
	if err != nil {
		return nil, err
	}
	defer c.end()
	return c.request(func(ctx context.Context) error {
		_, err := mcp.CallCustomMethod[*taskParams, *anything](ctx, c.conn, method, &taskParams{ID: f.Task, Responses: responses})
		return err
	})
}

// cancel tells the server that nobody wants the task any more. It need not obey, and nobody waits for that.
func (f *following) cancel() {
	ctx, stop := context.WithTimeoutCause(context.Background(), cancelTime, fmt.Errorf("no answer within %s", cancelTime))
	defer stop()
	if _, err := f.ask(ctx, methodTaskCancel, nil); err != nil {
		f.server.logger.Warn("an MCP server could not be told that nobody wants a task any more", "task", f.Task, "error", err)
	}
}
