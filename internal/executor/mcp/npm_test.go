//go:build unix

package mcpexec_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"belay/internal/executor"
	"belay/internal/executor/executortest"
	mcpexec "belay/internal/executor/mcp"
	"belay/internal/freeport"
	"belay/internal/outbound"
	"belay/internal/steps"
)

// Servers that others have written: the reference servers of the protocol, from npm, in the versions of npm/package.json.

// npmProgram is the start of a server's command line.
func npmProgram(t *testing.T, name string) []string {
	t.Helper()
	if os.Getenv("BELAY_NPM") == "" {
		t.Skip("set BELAY_NPM to run servers from npm; they need node, and `npm ci` in internal/executor/mcp/npm")
	}
	program, err := filepath.Abs(filepath.Join("npm", "node_modules", ".bin", name))
	if err != nil {
		t.Fatal(err)
	}
	return []string{"node", program}
}

// everything is the server that has everything, over stdio and over HTTP.
func everything(t *testing.T, test func(t *testing.T, server executor.MCPServer)) {
	argv := npmProgram(t, "mcp-server-everything")
	t.Run("stdio", func(t *testing.T) {
		t.Parallel()
		test(t, executor.MCPServer{Argv: append(argv, "stdio")})
	})
	t.Run("HTTP", func(t *testing.T) {
		t.Parallel()
		test(t, executor.MCPServer{URL: "http://" + served(t, argv) + "/mcp"})
	})
}

// served starts the server that has everything over HTTP and returns its address.
func served(t *testing.T, argv []string) string {
	t.Helper()
	addr := freeport.Address(t)
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	loopback, err := filepath.Abs("npm/loopback.cjs")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(argv[0], append(argv[1:], "streamableHttp")...)
	cmd.Env = append(os.Environ(), "PORT="+port, "NODE_OPTIONS=--require "+loopback)
	said, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	lines := bufio.NewScanner(said)
	for lines.Scan() && !strings.Contains(lines.Text(), "listening on port") {
	}
	go io.Copy(io.Discard, said)
	return addr
}

func TestNpmEverything(t *testing.T) {
	everything(t, func(t *testing.T, server executor.MCPServer) {
		all := rungs(t)
		for _, c := range []struct{ tool, params, want string }{
			{"echo", `{"message":"<b>ü</b>"}`, `{"text":"Echo: <b>ü</b>"}`},
			{"get-sum", `{"a":1,"b":2}`, `{"text":"The sum of 1 and 2 is 3."}`},
			{"get-structured-content", `{"location":"New York"}`, `"temperature":`},
			{"get-tiny-image", `{}`, `{"type":"image"`},
			{"get-resource-reference", `{}`, `"type":"resource"`},
		} {
			got := string(executortest.Output(t.Context(), t, all.Executor(executor.MCP{Server: server, Tool: c.tool}), executortest.Request(c.params)))
			if !strings.Contains(got, c.want) {
				t.Errorf("%s: output = %s, want %s", c.tool, got, c.want)
			}
		}
		f := executortest.Fault(t.Context(), t, all.Executor(executor.MCP{Server: server, Tool: "get-sum"}), executortest.Request(`{"a":"x"}`))
		if f.Class != steps.InvalidInput && f.Class != steps.ToolError {
			t.Errorf("fault = %+v, want one of bad parameters", f)
		}
		f = executortest.Fault(t.Context(), t, all.Executor(executor.MCP{Server: server, Tool: "none"}), executortest.Request(`{}`))
		if f.Class != steps.NotFound && f.Class != steps.ToolError {
			t.Errorf("fault = %+v, want one of an unknown tool", f)
		}
	})
}

func TestNpmProgressAndCancel(t *testing.T) {
	everything(t, func(t *testing.T, server executor.MCPServer) {
		all := rungs(t)
		ctx, cancel := context.WithCancel(t.Context())
		heard := make(chan string, 100)
		req := executortest.Request(`{"duration":60,"steps":200}`)
		req.Progress = func(s string) {
			heard <- s
			cancel()
		}
		f := executortest.Fault(ctx, t, all.Executor(executor.MCP{Server: server, Tool: "trigger-long-running-operation"}), req)
		if f.Class != steps.Unavailable || !f.MayHaveActed() || len(heard) == 0 {
			t.Errorf("fault = %+v, heard %d", f, len(heard))
		}
		executortest.Output(t.Context(), t, all.Executor(executor.MCP{Server: server, Tool: "echo"}), executortest.Request(`{"message":"a"}`))
	})
}

func TestNpmQuestion(t *testing.T) {
	everything(t, func(t *testing.T, server executor.MCPServer) {
		all := rungs(t)
		f := executortest.Fault(t.Context(), t, all.Executor(executor.MCP{Server: server, Tool: "trigger-elicitation-request"}), executortest.Request(`{}`))
		if f.Class != steps.NeedsHuman || !strings.Contains(f.Detail, "requestedSchema") {
			t.Errorf("fault = %+v, want the server's question", f)
		}
		ask := all.Executor(executor.MCP{Server: server, Tool: "trigger-elicitation-request"})
		_, err := ask.Execute(t.Context(), executortest.Request(`{}`))
		u, is := errors.AsType[executor.Unfinished](err)
		if !is || u.Resume == nil || !u.Resume.Anew {
			t.Fatalf("error = %#v, want that it can be called once more with an answer", err)
		}
		req := executortest.Request(`{}`)
		req.Continues = &steps.Continuation{Resume: *u.Resume, Answer: json.RawMessage(`{"name":"Ann Example","check":true}`)}
		if out := executortest.Output(t.Context(), t, ask, req); !strings.Contains(string(out), "Ann Example") {
			t.Errorf("output = %s, want what was answered", out)
		}
		executortest.Output(t.Context(), t, all.Executor(executor.MCP{Server: server, Tool: "echo"}), executortest.Request(`{"message":"a"}`))
	})
}

func TestNpmFilesystem(t *testing.T) {
	t.Parallel()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	server := executor.MCPServer{Argv: append(npmProgram(t, "mcp-server-filesystem"), dir)}
	list, err := mcpexec.List(t.Context(), server, "test", outbound.Policy{})
	if err != nil || len(list.Tools) < 10 {
		t.Fatalf("%d tools, %v", len(list.Tools), err)
	}
	schemas := map[string]json.RawMessage{}
	for _, tool := range list.Tools {
		schemas[tool.Name] = tool.InputSchema
	}
	all := rungs(t)
	call := func(tool, params string) (executor.Result, error) {
		x := all.Executor(executor.MCP{Server: server, Tool: tool, Schema: schemas[tool], Strict: true})
		return x.Execute(t.Context(), executortest.Request(params))
	}
	path := filepath.Join(dir, "report.txt")
	if _, err := call("write_file", `{"path":"`+path+`","content":"the report"}`); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != "the report" {
		t.Errorf("the file has %q, %v", b, err)
	}
	if res, err := call("read_text_file", `{"path":"`+path+`"}`); err != nil || string(res.Output) != `{"content":"the report"}` {
		t.Errorf("output = %s, %v", res.Output, err)
	}
	if _, err := call("read_text_file", `{"path":"/etc/passwd"}`); err == nil || proper(t, err).Class != steps.ToolError || !strings.Contains(err.Error(), "denied") {
		t.Errorf("fault = %v, want the server's refusal", err)
	}
}
