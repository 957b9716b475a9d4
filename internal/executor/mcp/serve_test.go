package mcpexec_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"belay/internal/executor"
	"belay/internal/executor/executortest"
	mcpexec "belay/internal/executor/mcp"
	"belay/internal/outbound"
)

// The servers of these tests: one with the library's server side, and a plain one that says whatever a test wants. Over
// stdio they are this test's own program, started with an environment variable.

const (
	modeVar = "BELAY_TEST_MCP"      // what the program does: see TestMain
	callVar = "BELAY_TEST_MCP_CALL" // an address to connect to when a call hangs
)

func TestMain(m *testing.M) {
	switch mode := os.Getenv(modeVar); mode {
	case "":
		os.Exit(m.Run())
	case "library", "older":
		if err := library(mode == "older").Run(context.Background(), &mcp.StdioTransport{}); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	case "refuses":
		fmt.Fprintln(os.Stderr, "no licence")
		os.Exit(3)
	default:
		plainly(strings.TrimPrefix(mode, "plain "))
	}
}

// program is this test's own program as a server.
func program(t *testing.T, mode string, env ...executor.EnvVar) executor.MCPServer {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return executor.MCPServer{Argv: []string{self}, Env: append([]executor.EnvVar{{Name: modeVar, Value: mode}}, env...)}
}

// rung is the executor of a tool.
func rung(t *testing.T, server executor.MCPServer, tool string) executor.Executor {
	t.Helper()
	return rungs(t).Executor(executor.MCP{Server: server, Tool: tool, MaxBytes: executortest.Limit})
}

// closing is what a test makes executors with; all are closed at its end.
type closing struct {
	t *testing.T
	*mcpexec.Servers
}

func rungs(t *testing.T) closing {
	return closing{t, mcpexec.NewServers("test", outbound.Policy{}, nil)}
}

func (c closing) Executor(spec executor.MCP) executor.Executor {
	x := c.Servers.Executor(spec)
	c.t.Cleanup(x.(executor.Closer).Close)
	return x
}

// echo answers with the parameters as they were written.
func echo(_ context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: string(req.Params.Arguments)}}, StructuredContent: req.Params.Arguments}, nil
}

func text(s string) *mcp.CallToolResult {
	return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: s}}}
}

func input(schema string) json.RawMessage { return json.RawMessage(schema) }

// library is a server with the library's server side.
func library(older bool) *mcp.Server {
	o := &mcp.ServerOptions{PageSize: 3}
	if older {
		o.SupportedProtocolVersions = []string{"2025-06-18"}
	}
	s := mcp.NewServer(&mcp.Implementation{Name: "shop", Version: "1"}, o)
	object := input(`{"type":"object"}`)
	add := func(name string, h mcp.ToolHandler) {
		s.AddTool(&mcp.Tool{Name: name, Description: "The tool " + name + ".", InputSchema: object}, h)
	}
	add("echo", echo)
	add("say", func(context.Context, *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		return text(`{"n": 1.50}`), nil
	})
	add("picture", func(context.Context, *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		r := text("a red dot")
		r.Content = append(r.Content, &mcp.ImageContent{MIMEType: "image/png", Data: []byte("dot")})
		return r, nil
	})
	add("fail", func(context.Context, *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		r := text("the card is expired, said " + os.Getenv("SHOP_TOKEN"))
		r.IsError = true
		return r, nil
	})
	add("meta", func(_ context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		b, err := json.Marshal(req.Params.Meta)
		return text(string(b)), err
	})
	add("progress", func(ctx context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		_ = req.Session.NotifyProgress(ctx, &mcp.ProgressNotificationParams{ProgressToken: req.Params.GetProgressToken(), Progress: 1, Total: 3, Message: strings.TrimSuffix("packing with "+os.Getenv("SHOP_TOKEN"), " with ")})
		<-ctx.Done()
		return nil, ctx.Err()
	})
	add("pid", func(context.Context, *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		return text(fmt.Sprint(os.Getpid())), nil
	})
	add("die", func(context.Context, *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		fmt.Fprintln(os.Stderr, "out of memory, said "+os.Getenv("SHOP_TOKEN"))
		os.Exit(137)
		return nil, nil
	})
	add("hang", hang)
	add("ask", ask)
	s.AddTool(&mcp.Tool{Name: "grow", InputSchema: object}, func(context.Context, *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		s.AddTool(&mcp.Tool{Name: "echo", InputSchema: input(`{"type":"object","required":["amount"],"properties":{"amount":{"type":"number"}}}`)}, echo)
		return text("grown"), nil
	})
	return s
}

// hang says that it was called, waits to be cancelled, and says so.
func hang(ctx context.Context, _ *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	conn, err := net.Dial("tcp", os.Getenv(callVar))
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	<-ctx.Done()
	fmt.Fprint(conn, "cancelled")
	return nil, ctx.Err()
}

// ask asks a person: by a result in the present protocol, in the middle of the call in the older ones.
func ask(ctx context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	question := &mcp.ElicitParams{Mode: "form", Message: "Which of the two invoices?", RequestedSchema: input(`{"type":"object","properties":{"invoice":{"type":"string"}}}`)}
	if req.Session.InitializeParams() == nil || req.Session.InitializeParams().ProtocolVersion >= "2026" {
		if given := req.Params.InputResponses; len(given) > 0 {
			b, err := json.Marshal(map[string]any{"given": given, "state": req.Params.RequestState, "arguments": req.Params.Arguments, "key": req.Params.Meta["belay/idempotency-key"]})
			return text(string(b)), err
		}
		asks := mcp.InputRequestMap{"q": question}
		if strings.Contains(string(req.Params.Arguments), "both") {
			asks["page"] = &mcp.ElicitParams{Mode: "url", Message: "Sign in.", URL: "https://shop.example/sign-in"}
		}
		return &mcp.CallToolResult{InputRequests: asks, RequestState: "state " + os.Getenv("SHOP_TOKEN")}, nil
	}
	answer, err := req.Session.Elicit(ctx, question)
	if err != nil {
		return nil, err
	}
	return text("answered: " + answer.Action), nil
}

// calls listens for calls that hang: each of them is a connection, on which the other side says how it ended.
func calls(t *testing.T) (addr string, called <-chan net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	conns := make(chan net.Conn, 100)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conns <- conn
		}
	}()
	return l.Addr().String(), conns
}

// request is what the plain server reads.
type request struct {
	ID     json.RawMessage `json:"id"`
	Method string          `json:"method"`
	Params struct {
		Arguments json.RawMessage `json:"arguments"`
	} `json:"params"`
}

// answerOf is the plain server's answer to a message; call is what it says to a call, without the newline, in which $ID and
// $ARGS are replaced. Empty: it does not answer.
func answerOf(r request, call string) string {
	id := string(r.ID)
	switch r.Method {
	case "initialize":
		return `{"jsonrpc":"2.0","id":` + id + `,"result":{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"plain","version":"1"}}}`
	case "tools/call":
		return strings.NewReplacer("$ID", id, "$ARGS", string(r.Params.Arguments)).Replace(strings.TrimPrefix(call, "@mute "))
	case "ping":
		return `{"jsonrpc":"2.0","id":` + id + `,"result":{}}`
	}
	if len(r.ID) == 0 || strings.HasPrefix(call, "@mute") && r.Method == "server/discover" {
		return ""
	}
	return `{"jsonrpc":"2.0","id":` + id + `,"error":{"code":-32601,"message":"no such method"}}`
}

// plainly serves on stdin and stdout.
func plainly(call string) {
	in := bufio.NewReader(os.Stdin)
	for {
		line, err := in.ReadBytes('\n')
		if err != nil {
			return
		}
		var r request
		if json.Unmarshal(line, &r) != nil {
			continue
		}
		answer := answerOf(r, call)
		switch {
		case answer == "@die":
			fmt.Fprintln(os.Stderr, "I die")
			os.Exit(1)
		case answer == "@deaf": // neither reads nor answers any more
			if conn, err := net.Dial("tcp", os.Getenv(callVar)); err == nil {
				_, _ = io.ReadAll(conn)
			}
		case answer != "":
			fmt.Println(strings.ReplaceAll(answer, "@xff", "\xff"))
		}
	}
}

// plainHTTP serves over HTTP; h has what is special for calls and may be nil, then answer is what they are answered with.
func plainHTTP(t *testing.T, answer string, h http.HandlerFunc) executor.MCPServer {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet && r.Header.Get("Last-Event-ID") != "" && h != nil {
			h(w, r) // a stream is taken up again
			return
		}
		if r.Method != http.MethodPost {
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		var m request
		body, _ := io.ReadAll(r.Body)
		if err := json.Unmarshal(body, &m); err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		if m.Method == "tools/call" && h != nil {
			r.Body = io.NopCloser(strings.NewReader(string(body)))
			h(w, r)
			return
		}
		said := answerOf(m, answer)
		if said == "" {
			w.WriteHeader(http.StatusAccepted)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, strings.ReplaceAll(said, "@xff", "\xff"))
	}))
	t.Cleanup(s.Close)
	return executor.MCPServer{URL: s.URL + "/mcp?key=v"}
}

// libraryHTTP serves the library's server over HTTP.
func libraryHTTP(t *testing.T, older, stateless bool) executor.MCPServer {
	t.Helper()
	server := library(older)
	s := httptest.NewServer(mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return server }, &mcp.StreamableHTTPOptions{Stateless: stateless}))
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return executor.MCPServer{URL: s.URL}
}

// proxied is a server in front of another one; change may change requests on their way.
func proxied(t *testing.T, to string, change func(*http.Request)) executor.MCPServer {
	t.Helper()
	target, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{FlushInterval: -1, Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		change(r.Out)
	}}
	s := httptest.NewServer(proxy)
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return executor.MCPServer{URL: s.URL}
}
