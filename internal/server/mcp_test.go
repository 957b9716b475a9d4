package server

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"belay/internal/access"
	"belay/internal/access/accesstest"
	"belay/internal/bus/embedded"
	"belay/internal/catalog"
	"belay/internal/dispatch"
	"belay/internal/engine"
	"belay/internal/people"
	"belay/internal/plan"
	"belay/internal/server/gate"
	"belay/internal/server/pages"
	"belay/internal/worker"
)

const agentTools = `tools:
  look.up:
    effects: none
    input_schema: {type: object, title: Look up, description: Looks something up., properties: {x: {type: number}}, required: [x], additionalProperties: false}
    output_schema: {type: object, properties: {x: {type: number}}, required: [x]}
    rungs: [{command: {argv: [cat]}}]
  price:
    effects: none
    output_schema: {type: object, properties: {price: {type: number}}, required: [price], additionalProperties: false}
    rungs:
      - {name: live, http: {method: GET, url: "%[1]s/gone"}}
      - {name: list, static: {output: {price: 3}}}
  list: {effects: none, rungs: [{static: {output: [1, 2]}}]}
  order: {effects: unsafe, rungs: [{http: {method: POST, url: "%[1]s/order", body: "${ params }"}}]}
  touch: {effects: idempotent, rungs: [{http: {method: POST, url: "%[1]s/order", body: "${ params }"}}]}
  pay: {effects: unsafe, approval: always, rungs: [{http: {method: POST, url: "%[1]s/order", body: "${ params }"}}]}
  hang: {effects: none, rungs: [{remote: {}}]} # nobody serves it
`

// agency is everything in one process, behind a gate, with a shop that tools call.
type agency struct {
	*engine.Engine
	t      *testing.T
	dir    string
	known  *catalog.Catalog
	tokens *access.Tokens
	url    string
	orders atomic.Int32  // that the shop got
	open   chan struct{} // closed: the shop answers
	came   chan struct{} // gets one for each order
}

func openAgency(t *testing.T, wait time.Duration) *agency {
	t.Helper()
	a := &agency{t: t, dir: t.TempDir(), open: make(chan struct{}), came: make(chan struct{}, 100)}
	shop := httptest.NewServer(http.HandlerFunc(a.shop))
	t.Cleanup(shop.Close)
	a.write("tools.yaml", fmt.Sprintf(agentTools, shop.URL))
	a.write("refund.yaml", `{name: refund, input: {order: a, n: 1}, steps: [{id: s, tool: look.up, with: {x: "${ input.n }"}}], output: "${ steps.s.output }"}`)
	a.write("broken.yaml", `{name: broken, steps: [{id: s, tool: order, with: {refuse: true}, on_failure: fail}]}`)
	var err error
	if a.known, err = catalog.Open(filepath.Join(a.dir, "tools.yaml"), a.dir); err != nil {
		t.Fatal(err)
	}
	tools, err := plan.LoadTools(filepath.Join(a.dir, "tools.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	a.Engine, err = engine.Start(t.Context(), engine.Options{
		Embedded: &embedded.Options{StoreDir: t.TempDir(), Durability: embedded.Interval},
		Dispatch: &dispatch.Options{Name: "d"}, People: &engine.PeopleOptions{Keys: t.TempDir()},
		Worker: &engine.WorkerOptions{Options: worker.Options{Name: "w"}, Tools: tools},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Stop)
	a.tokens = accesstest.Open(t, a.Bus)
	a.url = a.serve(wait)
	return a
}

// serve is one more server on the same store.
func (a *agency) serve(wait time.Duration) string {
	a.t.Helper()
	var inner http.Handler
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { inner.ServeHTTP(w, r) }))
	ctx, cancel := context.WithCancel(context.Background())
	a.t.Cleanup(func() { cancel(); srv.CloseClientConnections(); srv.Close() })
	door := gate.New(gate.Options{Hosts: []string{strings.TrimPrefix(srv.URL, "http://")}, Tokens: a.tokens, Page: pages.NewSignIn(pages.Environment{}), Now: time.Now, Logger: slog.New(slog.DiscardHandler)})
	inner = New(ctx, Options{Bus: a.Bus, Runs: a.Runs, Desk: a.Desk, Redrives: a.Redrives, Gate: door, Catalog: a.known, Prove: a.Prove, PublicURL: "https://belay.example.com", CallWait: wait})
	return srv.URL
}

func (a *agency) write(name, text string) {
	a.t.Helper()
	if err := os.WriteFile(filepath.Join(a.dir, name), []byte(text), 0o600); err != nil {
		a.t.Fatal(err)
	}
}

// shop answers once it is open; it refuses what asks to be refused.
func (a *agency) shop(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/order" {
		http.Error(w, "gone", http.StatusGone)
		return
	}
	var order map[string]any
	_ = json.NewDecoder(r.Body).Decode(&order)
	if order["refuse"] != nil {
		http.Error(w, "no such order", http.StatusUnprocessableEntity)
		return
	}
	n := a.orders.Add(1)
	a.came <- struct{}{}
	select {
	case <-a.open:
	case <-r.Context().Done():
		return
	}
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, `{"order": %d}`, n)
}

// bearer shows a token.
type bearer string

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+string(b))
	return http.DefaultTransport.RoundTrip(r)
}

func (a *agency) token(m access.Token) string {
	a.t.Helper()
	return (&site{Engine: a.Engine, t: a.t}).token(a.tokens, m)
}

// admin is the token of somebody who may do everything.
func (a *agency) admin() string { return a.token(access.Token{Name: "ada", Role: people.Admin}) }

// client is an agent's, with a token, in an era of the protocol.
func (a *agency) client(url, token, version string, o *mcp.ClientOptions) *mcp.ClientSession {
	a.t.Helper()
	c := mcp.NewClient(&mcp.Implementation{Name: "agent", Version: "1"}, o)
	s, err := c.Connect(a.t.Context(), &mcp.StreamableClientTransport{Endpoint: url + "/mcp", HTTPClient: &http.Client{Transport: bearer(token)}, MaxRetries: -1}, &mcp.ClientSessionOptions{ProtocolVersion: version})
	if err != nil {
		a.t.Fatal(err)
	}
	a.t.Cleanup(func() { _ = s.Close() })
	return s
}

// result is what an agent reads of a result.
type result struct {
	*mcp.CallToolResult
	json string         // the structured content
	body map[string]any // the same
	text string         // all texts
	run  string
}

func (a *agency) call(s *mcp.ClientSession, tool string, args any) result {
	a.t.Helper()
	ctx, cancel := context.WithTimeout(a.t.Context(), time.Minute)
	defer cancel()
	r, err := s.CallTool(ctx, &mcp.CallToolParams{Name: tool, Arguments: args})
	if err != nil {
		a.t.Fatalf("%s: %v", tool, err)
	}
	return read(r)
}

func read(r *mcp.CallToolResult) result {
	out := result{CallToolResult: r}
	raw, _ := json.Marshal(r.StructuredContent)
	out.json = string(raw)
	_ = json.Unmarshal(raw, &out.body)
	for _, c := range r.Content {
		if t, is := c.(*mcp.TextContent); is {
			out.text += t.Text + "\n"
		}
	}
	out.run, _ = r.Meta["dev.belay/run"].(string)
	return out
}

var eras = []string{"2026-07-28", "2025-11-25", "2025-06-18", "2024-11-05"}

// TestAgentsCallTools in every era of the protocol: what is offered and how, and results that are as meant, degraded,
// failed, refused.
func TestAgentsCallTools(t *testing.T) {
	t.Parallel()
	a := openAgency(t, 0)
	close(a.open)
	token := a.admin()
	for _, era := range eras {
		s := a.client(a.url, token, era, nil)
		list, err := s.ListTools(t.Context(), nil)
		if err != nil {
			t.Fatal(era, err)
		}
		by := map[string]*mcp.Tool{}
		for _, tool := range list.Tools {
			by[tool.Name] = tool
		}
		lookup := by["look_up"]
		if lookup == nil || by["refund"] == nil || by["belay_result"] == nil || lookup.Title != "Look up" || !strings.HasPrefix(lookup.Description, "Looks something up.") || !lookup.Annotations.ReadOnlyHint || by["order"].Annotations.IdempotentHint || !*by["order"].Annotations.DestructiveHint || !by["touch"].Annotations.IdempotentHint || by["touch"].Annotations.ReadOnlyHint {
			t.Fatalf("%s: %+v %+v", era, lookup, list.Tools)
		}
		r := a.call(s, "look_up", map[string]any{"x": 7})
		if r.IsError || r.json != `{"x":7}` || strings.TrimSpace(r.text) != `{"x":7}` || r.run == "" {
			t.Errorf("%s: %s %s", era, r.json, r.text)
		}
		if r := a.call(s, "refund", map[string]any{"n": 12}); r.IsError || r.json != `{"x":12}` {
			t.Errorf("%s: %s %s", era, r.json, r.text)
		}
		if r := a.call(s, "list", nil); r.IsError || r.json != `{"result":[1,2]}` || !strings.HasPrefix(r.text, `[1,2]`) {
			t.Errorf("%s: %s %s", era, r.json, r.text)
		}
		r = a.call(s, "price", nil)
		if r.IsError || r.body["price"] != 3.0 || !strings.Contains(r.json, `"state":"degraded"`) || !strings.Contains(r.json, `"rung":"list"`) || !strings.Contains(r.text, "This result is degraded") || !strings.Contains(r.text, "rung list, because of") {
			t.Errorf("%s: %s %s", era, r.json, r.text)
		}
		r = a.call(s, "broken", map[string]any{"belay_request_id": era})
		if !r.IsError || r.body["state"] != "failed" || r.body["class"] != "invalid_input" || !strings.Contains(r.text, "failed: invalid_input: ") {
			t.Errorf("%s: %s %s", era, r.json, r.text)
		}
		r = a.call(s, "look_up", map[string]any{"x": "seven", "y": 1})
		if !r.IsError || !strings.Contains(r.text, "The input is not valid") || !strings.Contains(r.text, "y") || !strings.Contains(r.text, "x:") {
			t.Errorf("%s: %s %s", era, r.json, r.text)
		}
	}
	if a.orders.Load() != 0 {
		t.Error("the shop was asked for orders")
	}
}

// TestACallThatIsRepeated is one run with one effect: while it is open, also on another server and by many at once, and
// after its end; another caller's, and one with a request id of its own, is another run.
func TestACallThatIsRepeated(t *testing.T) {
	t.Parallel()
	a := openAgency(t, time.Second)
	token := a.admin()
	s, other := a.client(a.url, token, "2026-07-28", nil), a.client(a.serve(time.Second), token, "2025-11-25", nil)
	order := map[string]any{"item": 4.50, "to": "ann"}

	ctx, cancel := context.WithCancel(t.Context())
	lost := make(chan error, 1)
	go func() {
		_, err := s.CallTool(ctx, &mcp.CallToolParams{Name: "order", Arguments: order})
		lost <- err
	}()
	<-a.came // the shop has it, and the client gives up
	cancel()
	if err := <-lost; err == nil {
		t.Fatal("the call was not lost")
	}
	var wg sync.WaitGroup
	runs := make([]string, 8)
	for i := range runs {
		wg.Go(func() {
			r := a.call([]*mcp.ClientSession{s, other}[i%2], "order", json.RawMessage(`{"to": "ann", "item": 4.5}`))
			if r.body["state"] != "running" || r.body["poll"] != "belay_result" || !strings.HasPrefix(fmt.Sprint(r.body["url"]), "https://belay.example.com/runs/c0-") {
				t.Errorf("%s %s", r.json, r.text)
			}
			runs[i] = r.run
		})
	}
	wg.Wait()
	close(a.open)
	r := a.call(other, "belay_result", map[string]any{"run": runs[0]})
	if r.IsError || r.json != `{"order":1}` || len(slices.Compact(slices.Sorted(slices.Values(runs)))) != 1 {
		t.Errorf("%s %s %v", r.json, r.text, runs)
	}
	if r := a.call(s, "order", order); r.run != runs[0] || r.json != `{"order":1}` || !strings.Contains(r.text, "An equal call started the run "+runs[0]) {
		t.Errorf("%s %s", r.json, r.text)
	}
	if n := a.orders.Load(); n != 1 {
		t.Errorf("%d effects", n)
	}

	anew := map[string]any{"item": 4.50, "to": "ann", "belay_request_id": "2"}
	second := a.call(s, "order", anew)
	if second.run == runs[0] || second.json != `{"order":2}` || a.call(s, "order", anew).run != second.run {
		t.Errorf("%s %s", second.json, second.text)
	}
	meta, err := s.CallTool(t.Context(), &mcp.CallToolParams{Name: "order", Arguments: order, Meta: mcp.Meta{"dev.belay/request_id": "2"}})
	if err != nil || read(meta).run != second.run {
		t.Errorf("%v %v", err, meta)
	}
	bob := a.client(a.url, a.token(access.Token{Name: "bob", Role: people.Admin}), "", nil)
	if r := a.call(bob, "order", order); r.json != `{"order":3}` {
		t.Errorf("%s %s", r.json, r.text)
	}
	first, next := a.call(s, "touch", order), a.call(s, "touch", order)
	if first.run == next.run || !strings.HasPrefix(first.run, "c0-") || !strings.HasPrefix(next.run, "c1-") || first.run[3:] != next.run[3:] {
		t.Errorf("what may be repeated is repeated once it has ended: %s, %s", first.run, next.run)
	}
	if n := a.orders.Load(); n != 5 {
		t.Errorf("%d effects", n)
	}
}

// TestAPersonApproves while the agent polls: it gets the address of the page and no way to decide.
func TestAPersonApproves(t *testing.T) {
	t.Parallel()
	a := openAgency(t, 20*time.Second)
	close(a.open)
	progress := make(chan string, 100)
	s := a.client(a.url, a.admin(), "2025-11-25", &mcp.ClientOptions{ProgressNotificationHandler: func(_ context.Context, r *mcp.ProgressNotificationClientRequest) { progress <- r.Params.Message }})
	params := &mcp.CallToolParams{Name: "pay", Arguments: map[string]any{"amount": 3}, Meta: mcp.Meta{}}
	params.SetProgressToken("p1")
	first, err := s.CallTool(t.Context(), params)
	if err != nil {
		t.Fatal(err)
	}
	r := read(first)
	if r.IsError || r.body["state"] != "waiting" || r.body["for"] != "a person's approval" || !strings.HasPrefix(fmt.Sprint(r.body["url"]), "https://belay.example.com/e/"+r.run+"-") || !strings.Contains(r.text, "Call belay_result") {
		t.Fatalf("%s %s", r.json, r.text)
	}
	if text := <-progress; text == "" {
		t.Error("progress says nothing")
	}
	list := a.call(s, "belay_escalations", map[string]any{"run": r.run})
	if list.IsError || list.body["total"] != 1.0 {
		t.Errorf("%s", list.text)
	}
	for _, tool := range mustList(t, s) {
		if strings.Contains(tool, "approve") || strings.Contains(tool, "decide") {
			t.Errorf("an agent may %s", tool)
		}
	}
	polled := make(chan result, 1)
	go func() { polled <- a.call(s, "belay_result", map[string]any{"run": r.run}) }()
	url := fmt.Sprint(r.body["url"])
	a.approve(url[strings.LastIndexByte(url, '/')+1:])
	if r := <-polled; r.IsError || r.json != `{"order":1}` {
		t.Errorf("%s %s", r.json, r.text)
	}
	if r := a.call(s, "belay_why", map[string]any{"run": r.run}); r.IsError || !strings.Contains(r.json, `"state":"succeeded"`) {
		t.Error(r.text)
	}
}

func mustList(t *testing.T, s *mcp.ClientSession) (names []string) {
	t.Helper()
	list, err := s.ListTools(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, tool := range list.Tools {
		names = append(names, tool.Name)
	}
	return names
}

// TestNobodyServesATool: the agent hears so in words, long before it would give up.
func TestNobodyServesATool(t *testing.T) {
	t.Parallel()
	a := openAgency(t, 0)
	s := a.client(a.url, a.admin(), "", nil)
	began := time.Now()
	r := a.call(s, "hang", nil)
	if r.IsError || r.body["state"] != "waiting" || !strings.Contains(r.text, "none does") || time.Since(began) > 30*time.Second {
		t.Errorf("after %s: %s %s", time.Since(began), r.json, r.text)
	}
}

// TestWhatATokenOpens: a wrong one opens nothing, a submitter's what it names, and only its own runs; a session of
// somebody else's opens nothing.
func TestWhatATokenOpens(t *testing.T) {
	t.Parallel()
	a := openAgency(t, 0)
	close(a.open)
	if res := a.post("belay_0123456789abcdef_0123456789012345678901234567890123456789012", "", nil); res.StatusCode != http.StatusUnauthorized || !strings.HasPrefix(res.Header.Get("WWW-Authenticate"), "Bearer") {
		t.Errorf("%d %v", res.StatusCode, res.Header)
	}
	ada := a.client(a.url, a.admin(), "2025-11-25", nil)
	theirs := a.call(ada, "look_up", map[string]any{"x": 1})
	limited := a.token(access.Token{Name: "shop", Role: people.Submitter, Limits: people.Limits{Plans: []string{"refund"}, Tools: []string{"look.*", "order"}}})
	s := a.client(a.url, limited, "2025-11-25", nil)
	if got := strings.Join(mustList(t, s), " "); got != "belay_result belay_run belay_runs belay_why look_up refund" {
		t.Errorf("it is shown %s", got)
	}
	for tool, args := range map[string]map[string]any{
		"order": {"item": 1}, "price": nil, "belay_escalations": nil, "belay_run": {"run": theirs.run}, "belay_result": {"run": theirs.run}, "belay_why": {"run": theirs.run},
	} {
		r := a.call(s, tool, args)
		if !r.IsError || !strings.Contains(r.text, "You may not do this") && !strings.Contains(r.text, "No such run") {
			t.Errorf("%s: %s", tool, r.text)
		}
	}
	mine := a.call(s, "look_up", map[string]any{"x": 1})
	if mine.IsError || mine.run == theirs.run {
		t.Errorf("%s: %s", mine.run, mine.text)
	}
	if r := a.call(s, "belay_runs", map[string]any{"limit": 10}); r.IsError || strings.Contains(r.text, theirs.run) || !strings.Contains(r.text, mine.run) {
		t.Errorf("%s", r.text)
	}
	viewer := a.client(a.url, a.token(access.Token{Name: "vi", Role: people.Viewer}), "2025-11-25", nil)
	if r := a.call(viewer, "look_up", map[string]any{"x": 1}); !r.IsError || !strings.Contains(r.text, "You may not do this") {
		t.Errorf("a viewer starts a run: %s", r.text)
	}
	if res := a.post(limited, ada.ID(), []byte(`{"jsonrpc":"2.0","id":9,"method":"tools/list"}`)); res.StatusCode != http.StatusForbidden {
		t.Errorf("somebody else's session: %d", res.StatusCode)
	}
	if status, text := (&site{Engine: a.Engine, t: t, url: a.url}).ask("POST", "/api/v1/calls", nil, "Authorization", "Bearer "+limited, "Content-Type", "application/json"); status != http.StatusUnprocessableEntity {
		t.Errorf("%d %s", status, text)
	}
}

// post sends one message by hand.
func (a *agency) post(token, session string, body []byte) *http.Response {
	a.t.Helper()
	r, err := http.NewRequestWithContext(a.t.Context(), http.MethodPost, a.url+"/mcp", strings.NewReader(string(body)))
	if err != nil {
		a.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json, text/event-stream")
	if session != "" {
		r.Header.Set("Mcp-Session-Id", session)
	}
	res, err := (&http.Client{Transport: bearer(token)}).Do(r)
	if err != nil {
		a.t.Fatal(err)
	}
	_ = res.Body.Close()
	return res
}

// TestFilesAreReadAnew: clients hear of it, and a broken or colliding file changes nothing.
func TestFilesAreReadAnew(t *testing.T) {
	t.Parallel()
	a := openAgency(t, 0)
	changed := make(chan struct{}, 10)
	o := &mcp.ClientOptions{ToolListChangedHandler: func(context.Context, *mcp.ToolListChangedRequest) { changed <- struct{}{} }}
	s := a.client(a.url, a.admin(), "2025-11-25", o)
	a.client(a.url, a.admin(), "2026-07-28", o)
	before := mustList(t, s)
	a.write("second.yaml", `{name: look-up, steps: [{id: s, tool: list}]}`)
	if err := a.known.Reload(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		select {
		case <-changed:
		case <-time.After(time.Minute):
			t.Fatal("a client does not hear that there is more")
		}
	}
	if after := mustList(t, s); len(after) != len(before)+1 || !slices.Contains(after, "look-up") {
		t.Errorf("%v", after)
	}
	a.write("second.yaml", `{name: look_up, steps: [{id: s, tool: list}]}`) // as the tool look.up is called
	if err := a.known.Reload(); err != nil {
		t.Fatal(err)
	}
	if after := mustList(t, s); !slices.Contains(after, "look-up") {
		t.Errorf("%v", after)
	}
	res := a.post(a.admin(), "", []byte(`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"x","version":"1"}}}`))
	if res.StatusCode != http.StatusOK {
		t.Errorf("%d", res.StatusCode)
	}
	b, err := http.NewRequestWithContext(t.Context(), http.MethodPost, a.serve(0)+"/mcp", nil) // it starts with the collision
	if err != nil {
		t.Fatal(err)
	}
	if res, err = (&http.Client{Transport: bearer(a.admin())}).Do(b); err != nil || res.StatusCode != http.StatusInternalServerError {
		t.Errorf("%v %v", res, err)
	}
	_ = res.Body.Close()
}

// raw sends a request by hand as a client that knows tasks, and returns the result or the error of the answer.
func (a *agency) raw(token, method, params string) (result, problem map[string]any) {
	a.t.Helper()
	body := `{"jsonrpc":"2.0","id":1,"method":"` + method + `","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{"elicitation":{"url":{}},"extensions":{"io.modelcontextprotocol/tasks":{}}}},` + params + `}}`
	r, err := http.NewRequestWithContext(a.t.Context(), http.MethodPost, a.url+"/mcp", strings.NewReader(body))
	if err != nil {
		a.t.Fatal(err)
	}
	var named struct {
		Params struct{ Name string }
	}
	_ = json.Unmarshal([]byte(body), &named)
	for name, value := range map[string]string{"Content-Type": "application/json", "Accept": "application/json, text/event-stream", "Mcp-Protocol-Version": "2026-07-28", "Mcp-Method": method, "Mcp-Name": named.Params.Name} {
		if value != "" {
			r.Header.Set(name, value)
		}
	}
	res, err := (&http.Client{Transport: bearer(token)}).Do(r)
	if err != nil {
		a.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		a.t.Fatal(err)
	}
	if _, data, is := strings.Cut(string(text), "data: "); is {
		text = []byte(data)
	}
	var answer struct{ Result, Error map[string]any }
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&answer); err != nil {
		a.t.Fatalf("%s: %s", err, text)
	}
	return answer.Result, answer.Error
}

// TestTasks: a client that knows them gets one for what is not there soon, with the run's id; it can be looked after,
// cancelled, and only people decide.
func TestTasks(t *testing.T) {
	t.Parallel()
	a := openAgency(t, 0)
	close(a.open)
	token := a.admin()
	if quick, _ := a.raw(token, "tools/call", `"name":"look_up","arguments":{"x":1}`); quick["resultType"] == "task" || fmt.Sprint(quick["structuredContent"]) != "map[x:1]" {
		t.Errorf("%v", quick)
	}
	if exact, _ := a.raw(token, "tools/call", `"name":"look_up","arguments":{"x":12345678901234567890.10}`); fmt.Sprint(exact["structuredContent"]) != "map[x:12345678901234567890.10]" {
		t.Errorf("%v", exact)
	}
	if twice, _ := a.raw(token, "tools/call", `"name":"look_up","arguments":{"x":1,"x":2}`); twice["isError"] != true || !strings.Contains(fmt.Sprint(twice["content"]), "the arguments: ") {
		t.Errorf("two readers could read two things: %v", twice)
	}
	const repeated = "; an equal call started the run, and nothing is done twice"
	asked, _ := a.raw(token, "tools/call", `"name":"pay","arguments":{"amount":1}`)
	run := fmt.Sprint(asked["taskId"])
	if asked["resultType"] != "task" || asked["status"] != "working" || !strings.HasPrefix(run, "c0-") || asked["ttlMs"] != nil || asked["createdAt"] == "" || !strings.Contains(fmt.Sprint(asked["statusMessage"]), "a person's approval; https://belay.example.com/e/"+run) {
		t.Fatalf("%v", asked)
	}
	if twice, _ := a.raw(token, "tools/call", `"name":"pay","arguments":{"amount":1}`); twice["taskId"] != run || strings.HasSuffix(fmt.Sprint(asked["statusMessage"]), repeated) || !strings.HasSuffix(fmt.Sprint(twice["statusMessage"]), repeated) {
		t.Errorf("%v", twice)
	}
	waits, _ := a.raw(token, "tasks/get", `"taskId":"`+run+`"`)
	if waits["resultType"] != "complete" || waits["status"] != "input_required" || !strings.Contains(fmt.Sprint(waits["inputRequests"]), "url:https://belay.example.com/e/"+run) {
		t.Errorf("%v", waits)
	}
	if updated, problem := a.raw(token, "tasks/update", `"taskId":"`+run+`","inputResponses":{"`+run+`-1":{"action":"accept"}}`); problem != nil || updated["resultType"] != "complete" {
		t.Errorf("%v %v", updated, problem)
	}
	if waits, _ := a.raw(token, "tasks/get", `"taskId":"`+run+`"`); waits["status"] != "input_required" || a.orders.Load() != 0 {
		t.Errorf("an agent has decided: %v", waits)
	}
	a.approve(run + "-1")
	accesstest.Eventually(t, "the task is completed", func() bool {
		paid, _ := a.raw(token, "tasks/get", `"taskId":"`+run+`"`)
		return paid["status"] == "completed" && strings.Contains(fmt.Sprint(paid["result"]), "structuredContent:map[order:1]")
	})
	hangs, _ := a.raw(token, "tools/call", `"name":"hang"`)
	hung := fmt.Sprint(hangs["taskId"])
	stranger := a.token(access.Token{Name: "shop", Role: people.Submitter, Limits: people.Limits{Tools: []string{"*"}}})
	for _, method := range []string{"tasks/get", "tasks/cancel"} {
		if _, problem := a.raw(stranger, method, `"taskId":"`+hung+`"`); !strings.Contains(fmt.Sprint(problem["message"]), "No such run") {
			t.Errorf("%s of somebody else's: %v", method, problem)
		}
	}
	if _, problem := a.raw(token, "tasks/cancel", `"taskId":"`+hung+`"`); problem != nil {
		t.Errorf("%v", problem)
	}
	accesstest.Eventually(t, "the task is cancelled", func() bool {
		stopped, _ := a.raw(token, "tasks/get", `"taskId":"`+hung+`"`)
		return stopped["status"] == "cancelled"
	})
	if failed, _ := a.raw(token, "tools/call", `"name":"broken"`); failed["isError"] != true || failed["resultType"] == "task" {
		t.Errorf("%v", failed)
	}
}

// approve is what a person does on the page.
func (a *agency) approve(escalation string) {
	a.t.Helper()
	card, err := a.Desk.Card(a.t.Context(), escalation)
	if err == nil {
		_, err = a.Desk.Act(a.t.Context(), people.Trusted("mia", "console"), card.Item.ID, people.Act{Verb: people.Approve, Digest: card.Dossier.Approval.Digest})
	}
	if err != nil {
		a.t.Error(err)
	}
}
