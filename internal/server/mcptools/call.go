package mcptools

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"belay/internal/exactjson"
	"belay/internal/steps"
)

// call answers a call of a tool or a plan.
func (s *Server) call(ctx context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	c, run, created, err := s.begin(ctx, req)
	if err != nil {
		return failed(err), nil
	}
	out, err := s.wait(ctx, req, waiting{who: c.who, run: run})
	if err != nil {
		return failed(err), nil
	}
	out.repeated = !created && c.request == ""
	return s.result(out), nil
}

// begin starts the run that a request is for; created says whether it was not there yet.
func (s *Server) begin(ctx context.Context, req *mcp.CallToolRequest) (c call, run string, created bool, err error) {
	if c, err = s.read(req); err == nil && s.Ready != nil {
		err = s.Ready(ctx)
	}
	if err == nil {
		run, created, err = s.start(ctx, c)
	}
	return c, run, created, err
}

// read makes a call of a request.
func (s *Server) read(req *mcp.CallToolRequest) (c call, err error) {
	offer, there := (*s.offers.Load())[req.Params.Name]
	if !there { // removed a moment ago
		return c, fmt.Errorf("there is no tool %q any more", req.Params.Name)
	}
	c = call{who: s.who(req.Extra), caller: s.callerOf(req), offer: offer}
	c.trace, _ = req.Params.Meta["traceparent"].(string)
	params := object{}
	if raw := req.Params.Arguments; len(raw) > 0 && string(raw) != "null" {
		if err := errors.Join(steps.CheckDepth(raw), exactjson.Distinct(raw)); err != nil {
			return c, fmt.Errorf("the arguments: %w", err)
		}
		if err := json.Unmarshal(raw, &params); err != nil {
			return c, errors.New("the arguments must be an object")
		}
	}
	if c.request, err = requestOf(req, params, c); err != nil {
		return c, err
	}
	raw, err := json.Marshal(params)
	if err == nil {
		c.params, err = steps.Canonical(raw)
	}
	if err != nil {
		return c, fmt.Errorf("the arguments: %w", err)
	}
	return c, nil
}

// longestRequest bounds a request id.
const longestRequest = 200

// requestOf removes the extra parameter from the parameters, and returns it; a tool that has a parameter of this name
// keeps it.
func requestOf(req *mcp.CallToolRequest, params object, c call) (id string, err error) {
	given, there := req.Params.Meta[requestMeta], false
	var root struct {
		Properties object `json:"properties"`
	}
	_ = json.Unmarshal(c.offer.Input, &root) // it was read before
	if raw, is := params[requestID]; is && root.Properties[requestID] == nil {
		there = true
		delete(params, requestID)
		if err := json.Unmarshal(raw, &given); err != nil {
			return "", err
		}
	}
	if given == nil && !there {
		return "", nil
	}
	id, is := given.(string)
	if !is || id == "" || len(id) > longestRequest {
		return "", fmt.Errorf("%s is a text of 1 to %d bytes, or left out", requestID, longestRequest)
	}
	return id, nil
}

// start submits the run that a call is, through the API; created says whether it was not there yet.
func (s *Server) start(ctx context.Context, c call) (run string, created bool, err error) {
	if run, err = s.runOf(ctx, c); err != nil {
		return "", false, err
	}
	order := map[string]any{"id": run, "tool": c.offer.Name, "params": c.params}
	path := "/api/v1/calls"
	if c.offer.Kind == "plan" {
		order, path = map[string]any{"id": run, "plan": c.offer.Name, "input": c.params}, "/api/v1/runs"
	}
	if s.Actor.Name != "" { // who started it is a person at a machine; this says through what
		order["labels"] = map[string]string{"caller": c.caller}
	}
	a, err := s.ask(ctx, c.who, http.MethodPost, path, order, c.trace)
	if err != nil {
		return "", false, err
	}
	return run, a.status == http.StatusCreated, nil
}
