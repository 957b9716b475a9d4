package mcptools

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// The tools of Belay itself. They only look, and show what the caller's token may see.
const (
	resultTool      = "belay_result"
	runsTool        = "belay_runs"
	runTool         = "belay_run"
	whyTool         = "belay_why"
	escalationsTool = "belay_escalations"
)

// own are their names.
var own = map[string]bool{resultTool: true, runsTool: true, runTool: true, whyTool: true, escalationsTool: true}

const (
	ofRun      = `{"type":"object","properties":{"run":{"type":"string","description":"id of the run"}},"required":["run"],"additionalProperties":false}`
	ofRuns     = `{"type":"object","properties":{"state":{"enum":["scheduled","running","waiting","succeeded","degraded","failed","aborted","cancelled","migrated"]},"workflow":{"type":"string","description":"name of the plan; call for a single call"},"limit":{"type":"integer","minimum":1,"maximum":1000},"after":{"type":"string","description":"next of the page before"}},"additionalProperties":false}`
	ofQuestion = `{"type":"object","properties":{"run":{"type":"string"},"tool":{"type":"string"},"kind":{"type":"string"},"limit":{"type":"integer","minimum":1,"maximum":1000},"after":{"type":"string","description":"next of the page before"}},"additionalProperties":false}`
)

func (s *Server) addLooks() {
	closed := false
	look := func(name, title, description, schema string, answer mcp.ToolHandler) {
		s.mcp.AddTool(&mcp.Tool{
			Name: name, Title: title, Description: description, InputSchema: json.RawMessage(schema),
			Annotations: &mcp.ToolAnnotations{ReadOnlyHint: true, IdempotentHint: true, OpenWorldHint: &closed},
		}, answer)
	}
	look(resultTool, "Result of a run", "Waits for a run, up to a minute, and gives its result as the call that started it would.", ofRun, s.resultOf)
	look(runsTool, "Runs", "Lists runs, the newest first.", ofRuns, s.shows(func(q url.Values) string { return "/api/v1/runs?" + q.Encode() }))
	look(runTool, "One run", "Shows a run: its steps, their attempts, what people were asked.", ofRun, s.shows(pathOf))
	look(whyTool, "What a run waits for", "Says what a run waits for, and what will happen if nobody acts.", ofRun, s.shows(func(q url.Values) string { return pathOf(q) + "/why" }))
	look(escalationsTool, "What waits for people", "Lists the questions that wait for a person. Only people can decide them, on the console.", ofQuestion, s.shows(func(q url.Values) string { return "/api/v1/escalations?" + q.Encode() }))
}

// pathOf is where the API shows the run that is asked for.
func pathOf(q url.Values) string { return "/api/v1/runs/" + url.PathEscape(q.Get("run")) }

// asked reads what is asked of the tools that look: texts and numbers by their names. What they mean is the API's business.
func asked(req *mcp.CallToolRequest) (url.Values, error) {
	q := url.Values{}
	if len(req.Params.Arguments) == 0 {
		return q, nil
	}
	d := json.NewDecoder(bytes.NewReader(req.Params.Arguments))
	d.UseNumber()
	var all map[string]any
	if err := d.Decode(&all); err != nil {
		return nil, errors.New("the arguments must be an object")
	}
	for name, value := range all {
		switch v := value.(type) {
		case string:
			q.Set(name, v)
		case json.Number:
			q.Set(name, v.String())
		default:
			return nil, fmt.Errorf("%s must be a text or a number", name)
		}
	}
	return q, nil
}

// shows answers with what the API answers.
func (s *Server) shows(path func(url.Values) string) mcp.ToolHandler {
	return func(ctx context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		q, err := asked(req)
		if err != nil {
			return failed(err), nil
		}
		a, err := s.ask(ctx, s.who(req.Extra), http.MethodGet, path(q), nil, "")
		if err != nil {
			return failed(err), nil
		}
		r := &mcp.CallToolResult{StructuredContent: json.RawMessage(a.body.Bytes())}
		add(r, a.body.String())
		return r, nil
	}
}

// resultOf waits for a run that the caller may see.
func (s *Server) resultOf(ctx context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	q, err := asked(req)
	who := s.who(req.Extra)
	if err == nil {
		_, err = s.ask(ctx, who, http.MethodGet, pathOf(q), nil, "")
	}
	var out outcome
	if err == nil {
		out, err = s.wait(ctx, req, waiting{who: who, run: q.Get("run"), persons: true})
	}
	if err != nil {
		return failed(err), nil
	}
	return s.result(out), nil
}
