package mcptools

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"belay/internal/people"
	"belay/internal/steps"
	"belay/internal/steps/view"
)

// Clients that know the tasks of the protocol get one for a call that is not answered at once: its id is the run's.

// tasksExtension is what these clients and this server say that they know.
const tasksExtension = "io.modelcontextprotocol/tasks"

// taskAfter is how long a call waits for its run before the client gets a task.
const taskAfter = time.Second

// taskPoll is how often a client is asked to look after a task, at most.
const taskPoll = 2 * time.Second

// task is a run as a task.
type task struct {
	mcp.ResultBase
	ResultType    string         `json:"resultType"` // task for a new one; complete for one that was asked for
	TaskID        string         `json:"taskId"`
	Status        string         `json:"status"` // working, input_required, completed, cancelled
	StatusMessage string         `json:"statusMessage,omitempty"`
	CreatedAt     time.Time      `json:"createdAt"`
	LastUpdatedAt time.Time      `json:"lastUpdatedAt"`
	TTL           *int64         `json:"ttlMs"` // always nil: it is there for as long as the run is kept
	PollInterval  int64          `json:"pollIntervalMs"`
	InputRequests map[string]any `json:"inputRequests,omitempty"` // pages for people, by the id of the escalation
	Result        object         `json:"result,omitempty"`        // what the call would have given
}

// done says that something was done; it has no content.
type done struct {
	mcp.ResultBase
	ResultType string `json:"resultType"` // complete
}

type taskParams struct {
	mcp.ParamsBase
	TaskID string `json:"taskId"`
}

// addTasks answers what is asked about tasks.
func (s *Server) addTasks() {
	get := func(ctx context.Context, _ *mcp.ServerSession, p *taskParams) (*task, error) {
		return s.getTask(ctx, p)
	}
	cancel := func(ctx context.Context, _ *mcp.ServerSession, p *taskParams) (*done, error) {
		_, err := s.ask(ctx, actorOf(ctx), http.MethodPost, "/api/v1/runs/"+url.PathEscape(p.TaskID)+"/cancel", map[string]string{"reason": "the agent has cancelled the task"}, "")
		return &done{ResultType: "complete"}, invalid(err)
	}
	// A client says that somebody has opened the page, or has not. What people decide is decided there, and not by this.
	update := func(context.Context, *mcp.ServerSession, *taskParams) (*done, error) {
		return &done{ResultType: "complete"}, nil
	}
	_ = errors.Join( // the protocol itself has none of these, which alone would be an error
		mcp.AddReceivingCustomMethod(s.mcp, "tasks/get", get), mcp.AddReceivingCustomMethod(s.mcp, "tasks/cancel", cancel), mcp.AddReceivingCustomMethod(s.mcp, "tasks/update", update),
	)
}

// invalid is an error of the protocol for what the API has refused.
func invalid(err error) error {
	if err == nil {
		return nil
	}
	return &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: err.Error()}
}

func actorOf(ctx context.Context) people.Actor {
	who, _ := ctx.Value(actorKey{}).(people.Actor)
	return who
}

// withTasks lets what is asked about tasks know who asks, and answers calls of clients that know tasks.
func (s *Server) withTasks(next mcp.MethodHandler) mcp.MethodHandler {
	return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
		call, is := req.(*mcp.CallToolRequest)
		if is && !own[call.Params.Name] && knows(call.Params.Meta).tasks {
			return s.callAsTask(ctx, call)
		}
		ctx = context.WithValue(ctx, actorKey{}, s.who(req.GetExtra()))
		if params, is := req.GetParams().(*taskParams); is {
			if params == nil {
				return nil, &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: method + " needs params with a taskId: the run of the task"}
			}
			ctx = context.WithValue(ctx, pagesKey{}, knows(params.GetMeta()).pages)
		}
		return next(ctx, method, req)
	}
}

// pagesKey is of whether a client can show a page to a person.
type pagesKey struct{}

// knowledge is what a client says that it knows.
type knowledge struct {
	tasks bool // a call may be answered with a task
	pages bool // it can send people to a page
}

// knows reads what a client has said of itself with a request, in the versions of the protocol in which it does so.
func knows(meta map[string]any) (k knowledge) {
	all, _ := meta[mcp.MetaKeyClientCapabilities].(map[string]any)
	extensions, _ := all["extensions"].(map[string]any)
	_, k.tasks = extensions[tasksExtension]
	elicitation, _ := all["elicitation"].(map[string]any)
	_, k.pages = elicitation["url"]
	return k
}

// callAsTask is a call whose answer is a task, unless its run ends soon.
func (s *Server) callAsTask(ctx context.Context, req *mcp.CallToolRequest) (mcp.Result, error) {
	c, run, created, err := s.begin(ctx, req)
	if err != nil {
		return failed(err), nil
	}
	out, err := s.look(ctx, waiting{who: c.who, run: run}, taskAfter, func(*steps.State) {})
	if err != nil {
		return failed(err), nil
	}
	out.repeated = !created && c.request == ""
	if out.state == nil || out.state.Closed() {
		return s.result(out), nil
	}
	return s.taskOf(out, "task", knows(req.Params.Meta).pages)
}

func (s *Server) getTask(ctx context.Context, p *taskParams) (*task, error) {
	who := actorOf(ctx)
	if _, err := s.ask(ctx, who, http.MethodGet, "/api/v1/runs/"+url.PathEscape(p.TaskID), nil, ""); err != nil {
		return nil, invalid(err)
	}
	out, err := s.look(ctx, waiting{who: who, run: p.TaskID}, 0, func(*steps.State) {})
	if err != nil {
		return nil, err
	}
	if out.state == nil {
		return nil, fmt.Errorf("run %s: %s", p.TaskID, out.trouble)
	}
	pages, _ := ctx.Value(pagesKey{}).(bool)
	return s.taskOf(out, "complete", pages)
}

// taskOf shows a run as a task; kind is the type of the result.
func (s *Server) taskOf(o outcome, kind string, pages bool) (*task, error) {
	t := &task{ResultType: kind, TaskID: o.run, Status: "working", CreatedAt: o.state.Submitted.UTC(), LastUpdatedAt: o.state.Now.UTC(), PollInterval: taskPoll.Milliseconds()}
	if o.state.Closed() {
		return t, s.complete(t, o)
	}
	p := s.pendingOf(o)
	t.StatusMessage = p.State
	switch {
	case p.back:
		t.StatusMessage = p.For
	case p.For != "":
		t.StatusMessage = "waits for " + p.For
	}
	if p.URL != "" {
		t.StatusMessage += "; " + p.URL
	}
	if o.repeated {
		t.StatusMessage += "; an equal call started the run, and nothing is done twice"
	}
	for _, w := range o.why.Waits {
		if page := s.page("/e/" + w.Escalation); pages && w.For == view.ForPerson && page != "" && kind == "complete" {
			t.Status = "input_required"
			t.InputRequests = map[string]any{w.Escalation: map[string]any{"method": "elicitation/create", "params": map[string]string{"mode": "url", "message": "The run waits for " + w.Text + ".", "url": page}}}
			break
		}
	}
	return t, nil
}

// complete puts the result of a run that has ended into its task.
func (s *Server) complete(t *task, o outcome) error {
	if o.state.Status() == steps.RunCancelled {
		t.Status = "cancelled"
		return nil
	}
	raw, err := json.Marshal(s.result(o))
	if err == nil {
		err = json.Unmarshal(raw, &t.Result)
	}
	if err != nil {
		return fmt.Errorf("the result of run %s: %w", o.run, err)
	}
	t.Status, t.Result["resultType"] = "completed", json.RawMessage(`"complete"`)
	return nil
}
