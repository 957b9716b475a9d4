package ladder

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
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nats.go/micro"

	"belay/internal/bus/bustest"
	"belay/internal/bus/embedded"
	"belay/internal/executor"
	"belay/internal/executor/gofunc"
	"belay/internal/plan"
	"belay/internal/steps"
)

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
	t.Parallel()
	_, _, err := Build(t.Context(), tools(t, "tools: {a: {rungs: [{name: primary, go: {}}]}}"), Options{Only: []string{"b"}})
	if err == nil || !strings.Contains(err.Error(), `tools.yaml has no tool "b"`) {
		t.Error(err)
	}
}

func TestGoRungsWithoutAHandlerAreMissing(t *testing.T) {
	t.Parallel()
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
}

func TestOnlyRestricts(t *testing.T) {
	t.Parallel()
	rungs, missing := build(t, `
tools:
  a: {rungs: [{name: primary, static: {output: 1}}]}
  b: {rungs: [{name: primary, static: {output: 2}}, {name: spare, go: {}}]}
  c: {rungs: [{name: primary, go: {}}]}
`, Options{Only: []string{"b"}})
	if _, ok := rungs[Key{"b", "primary"}]; !ok || len(rungs) != 1 {
		t.Errorf("serves %v, want b/primary only", rungs)
	}
	if want := []Key{{"b", "spare"}}; !slices.Equal(missing, want) {
		t.Errorf("missing %v, want %v: what was not asked for is not missing", missing, want)
	}
}

// TestOnlyRungsAboveACacheAreRemembered: what a rung below it gives is a makeshift, and must not be taken for the last
// good result the next time. An old result and a fixed one must not get young.
func TestOnlyRungsAboveACacheAreRemembered(t *testing.T) {
	t.Parallel()
	rungs, _ := build(t, `
tools:
  ladder:
    effects: none
    rungs:
      - {name: fixed, static: {output: 1}}
      - {name: above, command: {argv: [echo, "1"]}}
      - {name: fresh, cache: {max_age: 1m}}
      - {name: between, command: {argv: [echo, "2"]}}
      - {name: old, cache: {max_age: 1h}}
      - {name: below, command: {argv: [echo, "3"]}}
      - {name: last, static: {output: 4}}
  plain: {effects: none, rungs: [{name: primary, command: {argv: [echo, "1"]}}]}
`, Options{Bus: bustest.Connect(t)})
	var got []string
	for k, r := range rungs {
		if r.Remember != nil {
			got = append(got, k.String())
		}
	}
	slices.Sort(got)
	if want := []string{"ladder/above", "ladder/between"}; !slices.Equal(got, want) {
		t.Errorf("results of %v are remembered, want %v", got, want)
	}
}

// TestNothingTooDeepIsAResult: whatever a rung is, its output is no deeper than JSON may be.
func TestNothingTooDeepIsAResult(t *testing.T) {
	t.Parallel()
	rungs, _ := build(t, "tools: {a: {rungs: [{name: primary, static: {output: 1}}]}}", Options{})
	r := rungs[Key{"a", "primary"}]
	for levels, fine := range map[int]bool{steps.MaxDepth: true, steps.MaxDepth + 1: false, 20_000: false} {
		err := r.Check(json.RawMessage(strings.Repeat("[", levels) + strings.Repeat("]", levels)))
		f, _ := errors.AsType[steps.Fault](err)
		if fine && err != nil || !fine && (f.Class != steps.InvalidOutput || !strings.Contains(f.Message, "at most 200 are possible")) {
			t.Errorf("%d levels: %v", levels, err)
		}
	}
}

func TestSchemasAndEffectsReachTheRungs(t *testing.T) {
	t.Parallel()
	rungs, _ := build(t, `
tools:
  strict:
    effects: idempotent
    input_schema: {type: object, required: [x]}
    output_schema: {type: string}
    rungs: [{name: primary, command: {argv: [cat]}}, {name: spare, static: {output: a}}]
  lax: {effects: none, rungs: [{name: primary, static: {output: 7}}]}
`, Options{})
	for _, name := range []string{"primary", "spare"} {
		r := rungs[Key{"strict", name}]
		if r.CheckInput == nil || r.CheckOutput == nil || r.Effects != steps.EffectsIdempotent {
			t.Fatalf("strict/%s = %+v, want both checks and its effects", name, r)
		}
		for _, bad := range []error{r.CheckInput(json.RawMessage(`{}`)), r.CheckOutput(json.RawMessage(`7`))} {
			if bad == nil {
				t.Errorf("strict/%s takes what does not fit its schemas", name)
			}
		}
		if err := errors.Join(r.CheckInput(json.RawMessage(`{"x":1}`)), r.CheckOutput(json.RawMessage(`"a"`))); err != nil {
			t.Errorf("strict/%s refuses what fits: %v", name, err)
		}
	}
	if r := rungs[Key{"lax", "primary"}]; r.CheckInput != nil || r.CheckOutput != nil || r.Effects != steps.EffectsNone {
		t.Errorf("lax/primary = %+v, want no checks", r)
	}
}

// TestEveryKindWorks executes one rung of each kind for real.
func TestEveryKindWorks(t *testing.T) {
	t.Parallel()
	shop := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, `{"agent":"`+r.UserAgent()+`"}`)
	}))
	defer shop.Close()
	b := bustest.Connect(t)
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
    rungs:
      - {name: http, http: {url: "`+shop.URL+`"}}
      - {name: command, command: {argv: [echo, "${ params.x }"]}}
      - {name: nats, nats: {subject: echo}}
      - {name: cached, cache: {max_age: 1h}}
      - {name: static, static: {output: {fixed: true}}}
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
	remember(t, rungs[Key{"all", "http"}], `{"x":1}`, `"kept"`)
	if got, err := run(t, rungs, "all", "cached", `{"x":1}`); got != `"kept"` || err != nil {
		t.Errorf("after a good result the cache gives %s %v", got, err)
	}
}

func isFault(err error, c steps.Class) bool {
	f, ok := errors.AsType[steps.Fault](err)
	return ok && f.Class == c && !f.MayHaveActed()
}

const cachedText = `
tools:
  a:
    effects: none
    rungs: [{name: primary, command: {argv: [echo, "1"]}}, {name: cached, cache: {max_age: 1h}}]
  b:
    effects: none
    rungs: [{name: primary, static: {output: 2}}, {name: cached, cache: {max_age: 1h}}]
`

// TestWithoutItsBucketTheRestIsServed: a worker whose JetStream does not answer is a worker all the same.
func TestWithoutItsBucketTheRestIsServed(t *testing.T) {
	t.Parallel()
	b := bustest.Connect(t)
	b.Close()
	build(t, cachedText, Options{Bus: b}) // without a log
	var log bytes.Buffer
	rungs, missing := build(t, cachedText, Options{Bus: b, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if len(rungs) != 4 || len(missing) != 0 {
		t.Errorf("serves %v without %v, want everything", rungs, missing)
	}
	shut(t, rungs, "connection closed")
	warnedOnce(t, log.String(), "connection closed")
}

// TestBucketWithoutRoomHeals: the bucket cannot be made while another stream has taken the room that the server has. A
// third stream is there for the same reason as in [TestADeletedBucketIsMadeAgain].
func TestBucketWithoutRoomHeals(t *testing.T) {
	t.Parallel()
	s, err := embedded.Start(embedded.Options{StoreDir: t.TempDir(), Durability: embedded.Interval, MaxStore: 192 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Shutdown)
	bs := bustest.Dial(t, s)
	for name, size := range map[string]int64{"HOG": 100 << 20, "OTHER": 1 << 20} {
		if _, err := bs.JetStream().CreateStream(t.Context(), jetstream.StreamConfig{Name: name, Subjects: []string{name}, MaxBytes: size}); err != nil {
			t.Fatal(err)
		}
	}
	var log bytes.Buffer
	b := newBuilder(Options{Bus: bs, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	b.openEvery = time.Nanosecond // that it is not tried at every call is the cache's own test
	b.tools(t.Context(), tools(t, cachedText))
	shut(t, b.rungs, "insufficient storage")

	if err := bs.JetStream().DeleteStream(t.Context(), "HOG"); err != nil {
		t.Fatal(err)
	}
	if _, err := run(t, b.rungs, "a", "cached", `{}`); !isFault(err, steps.NotFound) {
		t.Errorf("with room again: %v, want an empty cache", err)
	}
	remember(t, b.rungs[Key{"a", "primary"}], `{}`, `"kept"`)
	if got, err := run(t, b.rungs, "a", "cached", `{}`); got != `"kept"` || err != nil {
		t.Errorf("after a good result the cache gives %s %v", got, err)
	}
	warnedOnce(t, log.String(), "insufficient storage")
}

// shut checks that the cache rungs say why they cannot be used, and that nothing else suffers.
func shut(t *testing.T, rungs map[Key]Rung, why string) {
	t.Helper()
	for tool, want := range map[string]string{"a": "1", "b": "2"} {
		if got, err := run(t, rungs, tool, "primary", `{}`); got != want || err != nil {
			t.Errorf("%s/primary gives %s %v, want %s", tool, got, err, want)
		}
		if _, err := run(t, rungs, tool, "cached", `{}`); !isFault(err, steps.Unavailable) || !strings.Contains(err.Error(), why) {
			t.Errorf("%s/cached: %v, want unavailable: %s", tool, err, why)
		}
	}
	remember(t, rungs[Key{"a", "primary"}], `{}`, `"dropped"`)
}

func warnedOnce(t *testing.T, log, why string) {
	t.Helper()
	if strings.Count(log, "level=") != 1 || !strings.Contains(log, "level=WARN") || !strings.Contains(log, why) {
		t.Errorf("logged %q, want one warning that says %s", log, why)
	}
}

func remember(t *testing.T, r Rung, params, output string) {
	t.Helper()
	if err := r.Remember(t.Context(), json.RawMessage(params), json.RawMessage(output)); err != nil {
		t.Fatal(err)
	}
}

// TestADeletedBucketIsMadeAgain: somebody tidies up under a running worker. There are other streams, as in every real
// store: behind the deletion of its very last one the server removes the directory of all streams in the background, and
// one that is made meanwhile may fail.
func TestADeletedBucketIsMadeAgain(t *testing.T) {
	t.Parallel()
	b := bustest.Start(t, 1)
	rungs, _ := build(t, `
tools:
  a:
    effects: none
    rungs: [{name: primary, command: {argv: [cat]}}, {name: cached, cache: {max_age: 1h}}]
`, Options{Bus: b})
	remember := func() error {
		return rungs[Key{"a", "primary"}].Remember(t.Context(), json.RawMessage(`{}`), json.RawMessage(`1`))
	}
	if err := remember(); err != nil {
		t.Fatal(err)
	}
	if err := b.JetStream().DeleteKeyValue(t.Context(), b.Names().CacheBucket()); err != nil {
		t.Fatal(err)
	}
	if _, err := run(t, rungs, "a", "cached", `{}`); err == nil {
		t.Fatal("a result out of a bucket that is gone")
	}
	if err := remember(); err != nil {
		t.Fatal(err)
	}
	if got, err := run(t, rungs, "a", "cached", `{}`); got != "1" || err != nil {
		t.Errorf("%s %v", got, err)
	}
}
