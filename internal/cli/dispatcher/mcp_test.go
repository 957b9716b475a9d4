package dispatcher_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"belay/internal/bus/embedded"
	"belay/internal/engine"
	"belay/internal/runlog"
)

const agentTools = `tools:
  look.up:
    effects: none
    input_schema: {type: object, properties: {x: {type: number}}, required: [x], additionalProperties: false}
    output_schema: {type: object, properties: {x: {type: number}}, required: [x]}
    rungs: [{command: {argv: [cat]}}]
  price:
    effects: none
    output_schema: {type: object, properties: {price: {type: number}}, required: [price], additionalProperties: false}
    rungs:
      - {name: live, http: {method: GET, url: "%[1]s/gone"}}
      - {name: list, static: {output: {price: 3}}}
  order: {effects: unsafe, rungs: [{http: {method: POST, url: "%[1]s/order", body: "${ params }"}}]}
  pay: {effects: unsafe, approval: always, rungs: [{http: {method: POST, url: "%[1]s/order", body: "${ params }"}}]}
`

// office is a dev in a process of its own, and a shop that counts what is ordered there.
type office struct {
	*canaryWorld
	url    string // of the console
	shop   string
	orders atomic.Int32
	came   chan struct{} // gets one for each order
	open   chan struct{} // closed: slow orders are answered
	slow   time.Duration // how long slow ones take in any case
}

func openOffice(t *testing.T, slow time.Duration) *office {
	t.Helper()
	o := &office{canaryWorld: newCanaryWorld(t), came: make(chan struct{}, 100), open: make(chan struct{}), slow: slow}
	shop := httptest.NewServer(http.HandlerFunc(o.serve))
	t.Cleanup(shop.Close)
	o.shop = shop.URL
	o.write("tools.yaml", fmt.Sprintf(agentTools, shop.URL))
	var stop func()
	o.url, stop = o.dev()
	t.Cleanup(stop)
	return o
}

func (o *office) write(name, text string) {
	o.t.Helper()
	if err := os.WriteFile(filepath.Join(o.dir, name), []byte(text), 0o600); err != nil {
		o.t.Fatal(err)
	}
}

func (o *office) serve(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/count":
		fmt.Fprint(w, o.orders.Load())
		return
	case "/order":
	default:
		http.Error(w, "gone", http.StatusGone)
		return
	}
	var order map[string]any
	_ = json.NewDecoder(r.Body).Decode(&order)
	n := o.orders.Add(1)
	o.came <- struct{}{}
	if order["slow"] != nil {
		select {
		case <-o.open:
		case <-time.After(o.slow):
		}
	}
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, `{"order": %d}`, n)
}

// agent is a client with a `dispatcher mcp` of its own.
func (o *office) agent(c *mcp.ClientOptions, args ...string) (*mcp.ClientSession, *exec.Cmd) {
	o.t.Helper()
	cmd := o.command(append([]string{"mcp", "--tools", "tools.yaml", "--public-url", o.url}, args...)...)
	cmd.Stderr = os.Stderr
	s, err := mcp.NewClient(&mcp.Implementation{Name: "agent", Version: "1"}, c).Connect(o.t.Context(), &mcp.CommandTransport{Command: cmd}, nil)
	if err != nil {
		o.t.Fatal(err)
	}
	o.t.Cleanup(func() { _ = s.Close() })
	return s, cmd
}

func callTool(t *testing.T, s *mcp.ClientSession, tool string, args any) (body map[string]any, text string, isError bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	r, err := s.CallTool(ctx, &mcp.CallToolParams{Name: tool, Arguments: args})
	if err != nil {
		t.Fatalf("%s: %v", tool, err)
	}
	for _, c := range r.Content {
		if c, is := c.(*mcp.TextContent); is {
			text += c.Text + "\n"
		}
	}
	body, _ = r.StructuredContent.(map[string]any)
	return body, text, r.IsError
}

// TestAnAgentOverStdio: a server that is killed in the middle of a call has one effect, and the next one knows the call;
// a caller of another name is another one. Nothing but the protocol is on stdout, or the client would not understand it.
func TestAnAgentOverStdio(t *testing.T) {
	t.Parallel()
	o := openOffice(t, time.Minute)
	first, cmd := o.agent(nil)
	order := map[string]any{"slow": true}
	lost := make(chan error, 1)
	go func() {
		_, err := first.CallTool(t.Context(), &mcp.CallToolParams{Name: "order", Arguments: order})
		lost <- err
	}()
	<-o.came
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := <-lost; err == nil {
		t.Error("the call came back from a server that was killed")
	}
	second, _ := o.agent(nil, "--call-wait", "300ms")
	body, text, _ := callTool(t, second, "order", order)
	if body["state"] != "running" || !strings.HasPrefix(fmt.Sprint(body["url"]), o.url+"/runs/c0-") {
		t.Errorf("%v %s", body, text)
	}
	close(o.open)
	long, _ := o.agent(nil)
	if body, text, _ := callTool(t, long, "belay_result", map[string]any{"run": body["run"]}); body["order"] != 1.0 {
		t.Errorf("%v %s", body, text)
	}
	if body, text, _ := callTool(t, long, "order", order); body["order"] != 1.0 || !strings.Contains(text, "An equal call") {
		t.Errorf("%v %s", body, text)
	}
	other, _ := o.agent(nil, "--caller", "another")
	if body, text, _ := callTool(t, other, "order", order); body["order"] != 2.0 {
		t.Errorf("%v %s", body, text)
	}
	if n := o.orders.Load(); n != 2 {
		t.Errorf("%d effects", n)
	}
	if said := string(o.see("runs", "ls", "--label", "caller=another", "-o", "json")); !strings.Contains(said, "c0-") {
		t.Error(said)
	}
}

// TestDevServesAgents over HTTP: without a token as the person at this machine, and with a wrong one not at all.
func TestDevServesAgents(t *testing.T) {
	t.Parallel()
	o := openOffice(t, 0)
	connect := func(c *http.Client) (*mcp.ClientSession, error) {
		return mcp.NewClient(&mcp.Implementation{Name: "agent", Version: "1"}, nil).Connect(t.Context(), &mcp.StreamableClientTransport{Endpoint: o.url + "/mcp", HTTPClient: c, MaxRetries: -1}, nil)
	}
	s, err := connect(http.DefaultClient)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	body, text, _ := callTool(t, s, "pay", map[string]any{"amount": 1})
	if !strings.HasPrefix(fmt.Sprint(body["url"]), o.url+"/e/c0-") {
		t.Errorf("%v %s", body, text)
	}
	if said := string(o.see("runs", "export", fmt.Sprint(body["run"]))); !strings.Contains(said, `"via":"mcp"`) {
		t.Error(said)
	}
	if _, err := connect(&http.Client{Transport: wrongToken{}}); err == nil {
		t.Error("a wrong token is let in")
	}
}

// wrongToken shows one.
type wrongToken struct{}

func (wrongToken) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer belay_0123456789abcdef_0123456789012345678901234567890123456789012")
	return http.DefaultTransport.RoundTrip(r)
}

// TestFilesOfAnAgentAreReadAnew on SIGHUP, and the client hears of it; a collision is an error at the start that names
// both.
func TestFilesOfAnAgentAreReadAnew(t *testing.T) {
	t.Parallel()
	o := openOffice(t, 0)
	changed := make(chan struct{}, 10)
	s, cmd := o.agent(&mcp.ClientOptions{ToolListChangedHandler: func(context.Context, *mcp.ToolListChangedRequest) { changed <- struct{}{} }})
	list, err := s.ListTools(t.Context(), nil)
	if err != nil || len(list.Tools) != 9 {
		t.Fatalf("%v %d", err, len(list.Tools))
	}
	o.write("tools.yaml", fmt.Sprintf(agentTools, o.shop)+"  more: {effects: none, rungs: [{static: {output: 1}}]}\n")
	if err := cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	select {
	case <-changed:
	case <-time.After(time.Minute):
		t.Fatal("the client does not hear that there is more")
	}
	if list, err = s.ListTools(t.Context(), nil); err != nil || !slices.ContainsFunc(list.Tools, func(m *mcp.Tool) bool { return m.Name == "more" }) {
		t.Errorf("%v %v", err, list)
	}
	o.write("tools.yaml", "tools:\n  a.b: {effects: none, rungs: [{static: {output: 1}}]}\n  a_b: {effects: none, rungs: [{static: {output: 1}}]}\n")
	said, err := o.command("mcp", "--tools", "tools.yaml").CombinedOutput()
	if err == nil || !strings.Contains(string(said), `the tool "a.b" and the tool "a_b" would both be "a_b" over MCP`) {
		t.Errorf("%v %s", err, said)
	}
}

// TestAnAgentWithoutADispatcher: at the start that is an error, and later a result in words; nothing is stored then.
func TestAnAgentWithoutADispatcher(t *testing.T) {
	t.Parallel()
	o := &office{canaryWorld: newCanaryWorld(t)}
	o.write("tools.yaml", fmt.Sprintf(agentTools, "http://127.0.0.1:1"))
	said, err := o.command("mcp", "--tools", "tools.yaml").CombinedOutput()
	if err == nil || !strings.Contains(string(said), "no dispatcher is running here") {
		t.Errorf("%v %s", err, said)
	}
	e, err := engine.Start(t.Context(), engine.Options{Embedded: &embedded.Options{StoreDir: t.TempDir(), Durability: embedded.Interval, Listen: "127.0.0.1:0"}})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Stop()
	s, _ := o.agent(nil, "--server", e.Server.URL())
	if _, text, isError := callTool(t, s, "look_up", map[string]any{"x": 1}); !isError || !strings.Contains(text, "nothing was started: no dispatcher answers") {
		t.Error(text)
	}
	if page, err := e.Runs.List(t.Context(), runlog.Filter{}); err != nil || len(page.Items) != 0 {
		t.Errorf("%v %v", page, err)
	}
	e.Server.Shutdown()
	if _, text, isError := callTool(t, s, "look_up", map[string]any{"x": 2}); !isError || !strings.Contains(text, "nothing was started") {
		t.Error(text)
	}
}

// TestClientsOfOthers: those of @modelcontextprotocol, run by node.
func TestClientsOfOthers(t *testing.T) {
	t.Parallel()
	dir, err := filepath.Abs("../../server/mcptools/check")
	if err != nil {
		t.Fatal(err)
	}
	node, err := exec.LookPath("node")
	if _, missing := os.Stat(filepath.Join(dir, "node_modules")); err != nil || missing != nil {
		t.Skip("needs node, and `npm ci` in internal/server/mcptools/check")
	}
	o := openOffice(t, 2*time.Second)
	token := regexp.MustCompile(`belay_[0-9a-f]{16}_\S+`).Find(o.see("token", "create", "ada", "--role", "admin"))
	argv, err := json.Marshal([]string{"dispatcher", "mcp", "--tools", filepath.Join(o.dir, "tools.yaml"), "--public-url", o.url})
	if err != nil || token == nil {
		t.Fatal(err, "no token")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, node, filepath.Join(dir, "clients.mjs"))
	c.Dir, c.Env = dir, append(slices.Clone(o.env), "MCP_URL="+o.url+"/mcp", "MCP_TOKEN="+string(token), "MCP_SHOP="+o.shop, "MCP_ARGV="+string(argv))
	if said, err := c.CombinedOutput(); err != nil || strings.Count(string(said), "ok ") != 6 {
		t.Errorf("%v\n%s", err, said)
	}
}
