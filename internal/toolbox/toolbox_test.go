package toolbox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go/micro"

	"belay/internal/bus"
	"belay/internal/executor"
	"belay/internal/executor/cache"
	"belay/internal/executor/gofunc"
	"belay/internal/plan"
	"belay/internal/steps"
)

func connect(t *testing.T) *bus.Bus {
	t.Helper()
	s, err := bus.StartServer(bus.ServerOptions{StoreDir: t.TempDir(), Durability: bus.DurabilityInterval})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Shutdown)
	b, err := bus.Connect(t.Context(), bus.Options{InProcess: s})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

func tools(t *testing.T, text string) *plan.Tools {
	t.Helper()
	all, err := plan.ParseTools("tools.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func build(t *testing.T, text string, o Options) (map[Key]Rung, []Key) {
	t.Helper()
	rungs, missing, err := Build(t.Context(), tools(t, text), o)
	if err != nil {
		t.Fatal(err)
	}
	return rungs, missing
}

func run(t *testing.T, rungs map[Key]Rung, tool, rung, params string) (string, error) {
	t.Helper()
	r, ok := rungs[Key{tool, rung}]
	if !ok {
		t.Fatalf("no %s/%s in %v", tool, rung, rungs)
	}
	res, err := r.Execute(t.Context(), executor.Request{Run: "r", Step: "s", Attempt: "0-0-1", Tool: tool, Rung: rung, Params: json.RawMessage(params), Key: "k", Try: 1})
	return string(res.Output), err
}

func TestOnlyWithAnUnknownTool(t *testing.T) {
	_, _, err := Build(t.Context(), tools(t, "tools: {a: {rungs: [{name: primary, go: {}}]}}"), Options{Only: []string{"b"}})
	if err == nil || !strings.Contains(err.Error(), `tools.yaml has no tool "b"`) {
		t.Error(err)
	}
}

func TestGoRungsWithoutAHandlerAreMissing(t *testing.T) {
	text := `
tools:
  a: {rungs: [{name: primary, go: {}}, {name: spare, go: {}}]}
  b: {rungs: [{name: primary, go: {}}, {name: fixed, static: {output: 1}}]}
  c: {rungs: [{name: primary, go: {}}]}
`
	says := func(word string) gofunc.Handler {
		return func(context.Context, executor.Request) (json.RawMessage, error) {
			return json.RawMessage(`"` + word + `"`), nil
		}
	}
	rungs, missing := build(t, text, Options{Handlers: map[Key]gofunc.Handler{{Tool: "a"}: says("any"), {"a", "spare"}: says("spare")}})
	if want := []Key{{"b", "primary"}, {"c", "primary"}}; !slices.Equal(missing, want) {
		t.Errorf("missing %v, want %v", missing, want)
	}
	if len(rungs) != 3 {
		t.Errorf("%d rungs: what is missing is not served", len(rungs))
	}
	for rung, want := range map[string]string{"primary": `"any"`, "spare": `"spare"`} {
		if got, err := run(t, rungs, "a", rung, `{}`); got != want || err != nil {
			t.Errorf("a/%s gives %s %v, want %s", rung, got, err, want)
		}
	}
	if rungs, _ := build(t, text, Options{Only: []string{"b"}}); len(rungs) != 1 {
		t.Errorf("--only b serves %v", rungs)
	}
}

// TestEveryKindWorks executes one rung of each kind for real.
func TestEveryKindWorks(t *testing.T) {
	shop := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, `{"agent":"`+r.UserAgent()+`"}`)
	}))
	defer shop.Close()
	b := connect(t)
	svc, err := micro.AddService(b.NATS(), micro.Config{Name: "echo", Version: "1.0.0"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = svc.Stop() }()
	if err := svc.AddEndpoint("echo", micro.HandlerFunc(func(r micro.Request) { _ = r.Respond(r.Data()) })); err != nil {
		t.Fatal(err)
	}
	rungs, missing := build(t, `
tools:
  all:
    effects: none
    input_schema: {type: object, required: [x]}
    output_schema: {not: {const: 7}}
    rungs:
      - {name: http, http: {url: "`+shop.URL+`"}}
      - {name: command, command: {argv: [echo, "${ params.x }"]}}
      - {name: nats, nats: {subject: echo}}
      - {name: cached, cache: {max_age: 1h}}
      - {name: static, static: {output: {fixed: true}}}
  plain: {effects: none, rungs: [{name: primary, static: {output: 7}}]}
`, Options{Bus: b, Version: "9"})
	if len(missing) != 0 {
		t.Errorf("missing %v", missing)
	}
	if _, err := run(t, rungs, "all", "cached", `{"x":1}`); !isFault(err, steps.NotFound) {
		t.Errorf("an empty cache: %v", err)
	}
	for rung, want := range map[string]string{"http": `{"agent":"belay/9"}`, "command": "1", "nats": `{"x":1}`, "static": `{"fixed":true}`} {
		if got, err := run(t, rungs, "all", rung, `{"x":1}`); got != want || err != nil {
			t.Errorf("%s gives %s %v, want %s", rung, got, err, want)
		}
	}
	for _, rung := range []string{"http", "command", "nats", "cached", "static"} {
		r := rungs[Key{"all", rung}]
		if above := rung != "cached" && rung != "static"; (r.Remember != nil) != above {
			t.Errorf("the cache remembers results of %s: %v", rung, r.Remember != nil)
		}
		if r.CheckInput(json.RawMessage(`{}`)) == nil || r.CheckOutput(json.RawMessage(`7`)) == nil || r.CheckInput(json.RawMessage(`{"x":1}`)) != nil {
			t.Errorf("the schemas of %s are not checked", rung)
		}
	}
	if r := rungs[Key{"plain", "primary"}]; r.Remember != nil || r.CheckInput != nil || r.Effects != steps.EffectsNone {
		t.Errorf("%+v", r)
	}
	if err := rungs[Key{"all", "http"}].Remember(t.Context(), json.RawMessage(`{"x":1}`), json.RawMessage(`"kept"`)); err != nil {
		t.Fatal(err)
	}
	if got, err := run(t, rungs, "all", "cached", `{"x":1}`); got != `"kept"` || err != nil {
		t.Errorf("after a good result the cache gives %s %v", got, err)
	}
}

func isFault(err error, c steps.Class) bool {
	f, ok := errors.AsType[steps.Fault](err)
	return ok && f.Class == c && !f.MayHaveActed()
}

// TestWithoutItsBucketTheRestIsServed: a worker whose cache cannot be opened is a worker all the same.
func TestWithoutItsBucketTheRestIsServed(t *testing.T) {
	b := connect(t)
	b.Close() // nothing can be opened any more
	var log bytes.Buffer
	rungs, _ := build(t, `
tools:
  a:
    effects: none
    rungs: [{name: primary, static: {output: 1}}, {name: cached, cache: {max_age: 1h}}]
`, Options{Bus: b, Log: slog.New(slog.NewTextHandler(&log, nil))})
	if got, err := run(t, rungs, "a", "primary", `{}`); got != "1" || err != nil {
		t.Errorf("%s %v", got, err)
	}
	if _, err := run(t, rungs, "a", "cached", `{}`); !isFault(err, steps.Unavailable) {
		t.Errorf("a cache that cannot be opened: %v", err)
	}
	if strings.Count(log.String(), "level=WARN") != 1 {
		t.Errorf("said %q", log.String())
	}
}

// TestLazyStoreHeals: a store that could not be opened is tried again, but not at every call.
func TestLazyStoreHeals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries, broken := 0, true
		l := cache.NewLazy(func(context.Context) (cache.Store, error) {
			tries++
			if broken {
				return nil, errors.New("no space")
			}
			return memory{}, nil
		})
		for range 10 {
			if _, _, _, err := l.Get(t.Context(), "k"); err == nil || err.Error() != "no space" {
				t.Fatal(err)
			}
			if err := l.Put(t.Context(), "k", nil); err == nil {
				t.Fatal("stored in nothing")
			}
		}
		if tries != 1 {
			t.Errorf("opened %d times within a moment", tries)
		}
		broken = false
		time.Sleep(6 * time.Second)
		for range 10 {
			if err := l.Put(t.Context(), "k", json.RawMessage(`1`)); err != nil {
				t.Fatal(err)
			}
			if v, _, ok, err := l.Get(t.Context(), "k"); string(v) != "1" || !ok || err != nil {
				t.Fatal(string(v), ok, err)
			}
		}
		if tries != 2 {
			t.Errorf("opened %d times", tries)
		}
	})
}

type memory map[string]json.RawMessage

func (m memory) Get(_ context.Context, k string) (json.RawMessage, time.Time, bool, error) {
	v, ok := m[k]
	return v, time.Now(), ok, nil
}

func (m memory) Put(_ context.Context, k string, v json.RawMessage) error {
	m[k] = v
	return nil
}
