package mcptools

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
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

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"belay/internal/bus/embedded"
	"belay/internal/catalog"
	"belay/internal/dispatch"
	"belay/internal/engine"
	"belay/internal/notify"
	"belay/internal/people"
	"belay/internal/plan"
	"belay/internal/runlog"
	"belay/internal/server/api"
	"belay/internal/steps"
	"belay/internal/worker"
)

// TestNames: what a client may not take becomes _, and two of the same name are refused with both.
func TestNames(t *testing.T) {
	t.Parallel()
	tool := func(name string) catalog.Offer { return catalog.Offer{Kind: "tool", Name: name} }
	by, err := named([]catalog.Offer{tool("orders.look-up"), tool("é"), {Kind: "plan", Name: "refund"}})
	if err != nil || by["orders_look-up"].Name != "orders.look-up" || by["_"].Name != "é" || by["refund"].Kind != "plan" {
		t.Errorf("%v %v", by, err)
	}
	for _, c := range []struct {
		offers []catalog.Offer
		want   string
	}{
		{[]catalog.Offer{tool("a.b"), tool("a_b")}, `the tool "a.b" and the tool "a_b" would both be "a_b" over MCP: give one of them another name`},
		{[]catalog.Offer{tool("refund"), {Kind: "plan", Name: "refund"}}, `the tool "refund" and the plan "refund" would both be "refund" over MCP: give one of them another name`},
		{[]catalog.Offer{tool("belay.result")}, `the tool "belay.result" would be "belay_result" over MCP, which is a tool of Belay itself: give it another name`},
		{[]catalog.Offer{tool(strings.Repeat("a", 65))}, "has 65 characters"},
	} {
		if _, err := named(c.offers); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v", err)
		}
	}
}

func shown(t *testing.T, v any) string {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// TestSchemas: what an author has written stays, with numbers as written; what is added is there too.
func TestSchemas(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		offer catalog.Offer
		want  string // with the extra parameter as $
	}{
		{catalog.Offer{}, `{"properties":{$},"type":"object"}`},
		{catalog.Offer{Input: []byte(`{"properties":{"x":{"maximum":1.50}},"additionalProperties":false,"$defs":{"y":{}}}`)}, `{"$defs":{"y":{}},"additionalProperties":false,"properties":{$,"x":{"maximum":1.50}},"type":"object"}`},
		{catalog.Offer{Input: []byte(`{"properties":{"belay_request_id":{"type":"number"}}}`)}, `{"properties":{"belay_request_id":{"type":"number"}},"type":"object"}`},
		{catalog.Offer{Kind: "plan", Defaults: []byte(`{"n":1,"of":null,"on":true}`)}, `{"additionalProperties":false,"properties":{$,"n":{"default":1,"type":"number"},"of":{"default":null},"on":{"default":true,"type":"boolean"}},"type":"object"}`},
	} {
		got, err := inputSchema(c.offer)
		extra, _ := inputSchema(catalog.Offer{})
		var properties object
		_ = json.Unmarshal(extra["properties"], &properties)
		want := strings.ReplaceAll(c.want, "$,", `"belay_request_id":`+string(properties[requestID])+",")
		want = strings.ReplaceAll(want, "{$}", `{"belay_request_id":`+string(properties[requestID])+"}")
		if diff := gocmp.Diff(want, shown(t, got)); err != nil || diff != "" {
			t.Error(err, diff)
		}
	}
	for output, offered := range map[string]bool{
		``: false, `{"type":"array"}`: true, `{"$ref":"#/$defs/x","$defs":{"x":{"type":"object"}}}`: true,
		`{"properties":{"x":{"$ref":"#"}}}`: false, `{"$id":"https://example.com/x"}`: false, `{"allOf":[{"$ref":"#/properties/x"}]}`: false,
	} {
		got := outputSchema([]byte(output))
		if (got != nil) != offered {
			t.Errorf("%s: %s", output, shown(t, got))
		}
		if got == nil {
			continue
		}
		check, err := plan.CompileSchema([]byte(shown(t, got)))
		if err != nil || check([]byte(`{"state":"waiting","run":"c0-x"}`)) != nil || check([]byte(`{"belay":{"state":"degraded","run":"c0-x"}}`)) != nil || check([]byte(`7`)) == nil {
			t.Errorf("%s: %v", shown(t, got), err)
		}
	}
}

// TestWhatMakesACallTheSame: the order of keys and spaces do not, everything else does.
func TestWhatMakesACallTheSame(t *testing.T) {
	t.Parallel()
	key := func(caller, kind, name, request, params string) string {
		canonical, err := steps.Canonical([]byte(params))
		if err != nil {
			t.Fatal(err)
		}
		k, err := call{caller: caller, offer: catalog.Offer{Kind: kind, Name: name}, request: request, params: canonical}.key()
		if err != nil || len(k) != 26 {
			t.Fatal(k, err)
		}
		return k
	}
	one := key("ada", "tool", "pay", "", `{"a": 1, "b": {"d": 2.50, "c": []}}`)
	if one != key("ada", "tool", "pay", "", `{"b":{"c":[],"d":2.50},"a":1}`) {
		t.Error("spaces and order make a difference")
	}
	all := []string{
		one, key("bob", "tool", "pay", "", `{"a":1,"b":{"c":[],"d":2.50}}`), key("ada", "plan", "pay", "", `{"a":1,"b":{"c":[],"d":2.50}}`), key("ada", "tool", "pay", "2", `{"a":1,"b":{"c":[],"d":2.50}}`),
		key("ada", "tool", "pay2", "", `{"a":1,"b":{"c":[],"d":2.50}}`), key("ada", "tool", "pay", "", `{"a":2,"b":{"c":[],"d":2.50}}`), key("ada\",\"tool", "", "pay", "", `{"a":1,"b":{"c":[],"d":2.50}}`),
	}
	if slices.Sort(all); len(slices.Compact(all)) != 7 {
		t.Error("two calls are one")
	}
}

// bench is a server of tools in front of a shop.
type bench struct {
	*engine.Engine
	orders  atomic.Int32
	options Options
}

func open(t *testing.T) *bench {
	t.Helper()
	b := &bench{}
	shop := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, b.orders.Add(1)) }))
	t.Cleanup(shop.Close)
	file := filepath.Join(t.TempDir(), "tools.yaml")
	if err := os.WriteFile(file, fmt.Appendf(nil, "tools:\n  order: {effects: unsafe, rungs: [{http: {method: POST, url: %q, body: \"${ params }\"}}]}\n", shop.URL), 0o600); err != nil {
		t.Fatal(err)
	}
	known, err := catalog.Open(file, "")
	if err != nil {
		t.Fatal(err)
	}
	tools, err := plan.LoadTools(file)
	if err != nil {
		t.Fatal(err)
	}
	b.Engine, err = engine.Start(t.Context(), engine.Options{
		Embedded: &embedded.Options{StoreDir: t.TempDir(), Durability: embedded.Interval}, Dispatch: &dispatch.Options{Name: "d"}, People: &engine.PeopleOptions{Keys: t.TempDir()},
		Worker: &engine.WorkerOptions{Options: worker.Options{Name: "w"}, Tools: tools},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Stop)
	watch := runlog.NewWatch(b.Runs)
	t.Cleanup(watch.Close)
	inside := api.New(api.Options{Catalog: known, Runs: b.Runs, Watch: watch, Desk: b.Desk, Why: notify.Asker{Bus: b.Bus, Items: b.Desk.Items}.Of, Who: Who, Inside: true})
	b.options = Options{Catalog: known, API: inside, Runs: b.Runs, Watch: watch, Actor: people.Trusted("mia", "mcp"), Logger: slog.New(slog.DiscardHandler)}
	return b
}

// client is one of a server of its own.
func (b *bench) client(t *testing.T, o Options) *mcp.ClientSession {
	t.Helper()
	s := New(o)
	if err := s.Refresh(); err != nil {
		t.Fatal(err)
	}
	here, there := mcp.NewInMemoryTransports()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	if _, err := s.mcp.Connect(ctx, there, nil); err != nil {
		t.Fatal(err)
	}
	c, err := mcp.NewClient(&mcp.Implementation{Name: "agent", Version: "1"}, nil).Connect(ctx, here, nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func order(t *testing.T, c *mcp.ClientSession, args any) (run string) {
	t.Helper()
	r, err := c.CallTool(t.Context(), &mcp.CallToolParams{Name: "order", Arguments: args})
	if err != nil || r.IsError {
		t.Errorf("%v %+v", err, r)
		return ""
	}
	run, _ = r.Meta["dev.belay/run"].(string)
	return run
}

// TestAfterItsTime an equal call is the next run: one for all who call at once, on whatever server; and before it, it is
// the run that there was.
func TestAfterItsTime(t *testing.T) {
	t.Parallel()
	b := open(t)
	day, past := b.options, b.options
	past.Same = time.Nanosecond
	before, one, other := b.client(t, day), b.client(t, past), b.client(t, past)
	first := order(t, before, nil)
	if run := order(t, before, map[string]any{}); run != first || !strings.HasPrefix(first, "c0-") {
		t.Errorf("%s, then %s", first, run)
	}
	for round := 1; round <= 3; round++ {
		runs := make([]string, 8)
		var wg sync.WaitGroup
		started := b.orders.Load()
		for i := range runs { // all ask before the first one has ended, or a while after: never more than the one, or the next
			wg.Go(func() { runs[i] = order(t, []*mcp.ClientSession{one, other}[i%2], nil) })
		}
		wg.Wait()
		slices.SortFunc(runs, byNumber)
		if got := len(slices.Compact(slices.Clone(runs))); int(b.orders.Load()-started) != got {
			t.Errorf("round %d: %d runs had %d effects", round, got, b.orders.Load()-started)
		}
		if newest := order(t, before, nil); byNumber(newest, runs[len(runs)-1]) < 0 {
			t.Errorf("round %d: an equal call is %s, and there was %s", round, newest, runs[len(runs)-1])
		}
	}
}

// byNumber is the order in which the runs of a call were started.
func byNumber(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) }

// TestManyRunsOfOneCall: the newest is found also where the index gives only some of them.
func TestManyRunsOfOneCall(t *testing.T) {
	t.Parallel()
	b := open(t)
	past := b.options
	past.Same = time.Nanosecond
	c := b.client(t, past)
	for n := range 12 {
		if run := order(t, c, nil); !strings.HasPrefix(run, fmt.Sprintf("c%d-", n)) {
			t.Fatalf("call %d is %s", n, run)
		}
	}
	s := New(past)
	s.Runs.Picker = forgetful{s.Runs.Picker}
	if err := s.Refresh(); err != nil {
		t.Fatal(err)
	}
	key, err := call{caller: "mia/agent", offer: catalog.Offer{Kind: "tool", Name: "order"}, params: []byte(`{}`)}.key()
	if err != nil {
		t.Fatal(err)
	}
	if n, err := s.newest(t.Context(), key); err != nil || n != 11 {
		t.Errorf("%d, %v", n, err)
	}
	s.Runs.Picker = remembering{idOf(key, 40), idOf(key, 7), "x-" + key}
	if n, err := s.newest(t.Context(), key); err != nil || n != 11 {
		t.Errorf("what is no longer kept counts: %d, %v", n, err)
	}
	s.Runs.Picker = remembering{idOf(key, 40)}
	if n, err := s.newest(t.Context(), strings.Repeat("a", 26)); err != nil || n != -1 {
		t.Errorf("%d, %v", n, err)
	}
}

// remembering has ids that may not be kept any more.
type remembering []string

func (r remembering) Pick(context.Context, runlog.Filter, int) (runlog.Picked, error) {
	return runlog.Picked{}, nil
}

func (r remembering) EndingIn(context.Context, string) ([]string, error) { return r, nil }

// forgetful knows only the oldest run.
type forgetful struct{ runlog.Picker }

func (f forgetful) EndingIn(ctx context.Context, suffix string) ([]string, error) {
	all, err := f.Picker.EndingIn(ctx, suffix)
	return []string{slices.MinFunc(all, func(a, b string) int { return len(a) - len(b) })}, err
}

// TestTwoUsersOfOneClient: the same call of the same program on two machines, each with a `dispatcher mcp` of its own, is two
// people's, and neither is in the other's way.
func TestTwoUsersOfOneClient(t *testing.T) {
	t.Parallel()
	b := open(t)
	for _, name := range []string{"ada", "bob", "ada"} {
		o := b.options
		o.Actor = people.Trusted(name, "mcp")
		r, err := b.client(t, o).CallTool(t.Context(), &mcp.CallToolParams{Name: "order", Arguments: map[string]any{"x": 1}})
		if err != nil || r.IsError {
			t.Errorf("%s: %v, %+v", name, err, r)
		}
	}
	if n := b.orders.Load(); n != 2 {
		t.Errorf("%d orders, want one of each", n)
	}
}
