package mcpexec_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"testing"
	"time"

	"belay/internal/executor"
	"belay/internal/executor/executortest"
	"belay/internal/steps"
)

// TestReferenceOfFaults: docs/faults.md says what comes of calls that do not work.
func TestReferenceOfFaults(t *testing.T) {
	t.Parallel()
	calling := func(spec executor.MCP) executortest.Cause {
		return func(t *testing.T) steps.Fault {
			return executortest.Fault(t.Context(), t, rungs(t).Executor(spec), executortest.Request(`{}`))
		}
	}
	tool := func(name string) executortest.Cause {
		return calling(executor.MCP{Server: program(t, "library"), Tool: name})
	}
	answered := func(answer string) executortest.Cause {
		return calling(executor.MCP{Server: program(t, "plain "+answer), Tool: "any", MaxBytes: executortest.Limit})
	}
	refused := func(code, message string) executortest.Cause {
		return answered(`{"jsonrpc":"2.0","id":$ID,"error":{"code":` + code + `,"message":"` + message + `"}}`)
	}
	status := func(code int) executortest.Cause {
		return func(t *testing.T) steps.Fault {
			server := plainHTTP(t, "", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) })
			return executortest.Fault(t.Context(), t, rung(t, server, "any"), executortest.Request(`{}`))
		}
	}
	lost := func(t *testing.T) steps.Fault {
		server := plainHTTP(t, "", func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) })
		return executortest.Fault(t.Context(), t, rung(t, server, "any"), executortest.Request(`{}`))
	}
	late := func(t *testing.T) steps.Fault {
		server := plainHTTP(t, "", func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.ReadAll(r.Body)
			<-r.Context().Done()
		})
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		return executortest.Fault(ctx, t, rung(t, server, "any"), executortest.Request(`{}`))
	}
	forgotten := func(t *testing.T) steps.Fault {
		outer := proxied(t, libraryHTTP(t, true, false).URL, func(r *http.Request) {
			if r.Header.Get("Mcp-Session-Id") != "" && r.ContentLength > 150 { // the call, not what opens the session
				r.Header.Set("Mcp-Session-Id", "of-yesterday")
			}
		})
		return executortest.Fault(t.Context(), t, rung(t, outer, "echo"), executortest.Request(`{}`))
	}
	task := func(says string) executortest.Cause {
		return func(t *testing.T) steps.Fault {
			return executortest.Fault(t.Context(), t, rung(t, newTasks(t, says).MCPServer, "any"), executortest.Request(`{}`))
		}
	}
	executortest.Agree(t, "mcp", "what happens", map[string][]executortest.Cause{
		"the program cannot be started, or no session can be opened": {
			calling(executor.MCP{Server: executor.MCPServer{Argv: []string{"no-such-program-at-all"}}, Tool: "any"}), calling(executor.MCP{Server: executor.MCPServer{Argv: []string{"true"}}, Tool: "any"}),
			calling(executor.MCP{Server: executor.MCPServer{URL: "http://127.0.0.1:1/"}, Tool: "any"}),
		},
		"the URL answers with a status that is not 2xx":                        {status(404), status(503)},
		"the program or the connection ends while it waits":                    {tool("die"), lost},
		"the server does not know the session any more":                        {forgotten},
		"the timeout passes":                                                   {late},
		"the server refuses the parameters (error -32602)":                     {refused("-32602", "amount is missing")},
		"the server does not have the tool, or the method (-32601)":            {tool("none"), refused("-32601", "no tools here"), refused("-32602", "Unknown tool: x")},
		"any other error of the protocol":                                      {refused("-32603", "out of paper")},
		"the tool says that it failed (`isError`)":                             {tool("fail")},
		"the server asks a person":                                             {tool("ask"), calling(executor.MCP{Server: program(t, "older"), Tool: "ask"})},
		"the server asks to be called again later":                             {answered(`{"jsonrpc":"2.0","id":$ID,"result":{"resultType":"input_required","inputRequests":{}}}`)},
		"the call has become a task, and the server does not know it any more": {task("gone")},
		"the task failed, or the server has cancelled it":                      {task(`"status":"failed","error":{"code":-32603,"message":"no paper"}`), task(`"status":"cancelled"`)},
		"the answer cannot be read, or is too large":                           {answered(`{"jsonrpc":"2.0","id":$ID,"result":5}`), answered(largeAnswer()), answered(`{"id":$ID}`)},
		"the tool is unsafe, and the server's input schema is not that of the file": {
			calling(executor.MCP{Server: program(t, "library"), Tool: "echo", Schema: json.RawMessage(`{"type":"array"}`), Strict: true}),
		},
		"the variable of `auth` is not set": {calling(executor.MCP{Server: executor.MCPServer{URL: "http://127.0.0.1:1/", BearerEnv: "BELAY_NOT_SET_ANYWHERE"}, Tool: "any"})},
	})
}
