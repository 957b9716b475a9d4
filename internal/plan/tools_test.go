package plan

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"belay/internal/executor"
	"belay/internal/steps"
)

const sampleTools = `
services:
  - {argv: [go, run, ./shop], ready: "http://127.0.0.1:9000/healthz", dir: shop, env: [HOME, MODE=test]}
  - {argv: [sleep, "1"]}
tools:
  web:
    effects: idempotent
    input_schema: {required: [order]}
    output_schema: {type: object}
    rungs:
      - name: full
        timeout: 0s
        http:
          method: PUT
          url: "https://user:hunter2@example.com/o/${ params.order }?api_key=hunter2&page=${ params.page }"
          query: {q: "${ params.q }", fixed: x}
          headers: {X-Order: "no ${ params.order }"}
          body: {order: "${ params.order }", list: [1.10, "${ params.page }"]}
          auth: {bearer_env: SHOP_TOKEN}
          response: text
          max_bytes: 1000
          follow_redirects: true
      - name: least
        http: {url: "http://127.0.0.1/x"}
      - name: posts
        http: {url: "http://127.0.0.1/x", body: {a: 1}}
  shell:
    timeout: 0s
    rungs:
      - command: {argv: [./do it, "${ params.order }", --token, hunter2, "--api-key=hunter2", "x y"], dir: sub, env: {MODE: "a=b"}, stdout: text, max_bytes: 10}
        retry: {max_attempts: 1, factor: 1.5, retry_after_max: 1h, on: {rate_limited: {max_attempts: 9, initial: 2s, factor: 3, max: 1h}}}
  more:
    rungs:
      - name: nats
        nats: {subject: "orders.${ params.order }", headers: {A: "${ params.q }"}, max_bytes: 5}
      - name: cache
        cache: {max_age: 30d}
      - name: static
        static: {output: {a: 1.10, b: "$${ x }"}}
      - name: go
        go:
`

func parsed(t *testing.T) *Tools {
	t.Helper()
	tools, err := ParseTools("/belay/tools.yaml", []byte(sampleTools))
	if err != nil {
		t.Fatal(err)
	}
	return tools
}

func params(s string) any { return steps.Decode(json.RawMessage(s)) }

func say(t *testing.T, text executor.Text, with any) string {
	t.Helper()
	s, err := text(with)
	if err != nil {
		return err.Error()
	}
	return s
}

func TestHTTPSpec(t *testing.T) {
	t.Parallel()
	web := parsed(t).Tools["web"]
	h := web.Rungs[0].Spec.HTTP
	with := params(`{"order":"A/1 ?","page":2.0,"q":"x&y"}`)
	for got, want := range map[string]string{
		h.Method:                           "PUT",
		say(t, h.URL, with):                "https://user:hunter2@example.com/o/A%2F1%20%3F?api_key=hunter2&page=2.0",
		say(t, h.Query["q"], with):         "x&y",
		say(t, h.Query["fixed"], with):     "x",
		say(t, h.Headers["X-Order"], with): "no A/1 ?",
		h.BearerEnv + h.BasicEnv:           "SHOP_TOKEN",
		h.Response:                         "text",
		web.Rungs[0].Target:                "PUT https://***@example.com/o/${ params.order }?api_key=***&page=${ params.page }",
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	body, err := h.Body(with)
	if err != nil || string(body) != `{"list":[1.10,2.0],"order":"A/1 ?"}` {
		t.Errorf("body %s, %v", body, err)
	}
	if h.MaxBytes != 1000 || !h.FollowRedirects || web.Rungs[0].Timeout != 0 {
		t.Errorf("%+v", h)
	}
	if got := say(t, h.URL, params(`{"order":null,"page":1}`)); !strings.Contains(got, "${ params.order }, character 1: null cannot be part of a longer string") {
		t.Error(got)
	}
}

func TestHTTPDefaults(t *testing.T) {
	t.Parallel()
	web := parsed(t).Tools["web"]
	least, posts := web.Rungs[1], web.Rungs[2]
	h := least.Spec.HTTP
	if h.Method != "GET" || h.Body != nil || h.Response != "json" || h.MaxBytes != steps.MaxOutput || h.FollowRedirects {
		t.Errorf("%+v", h)
	}
	if posts.Spec.HTTP.Method != "POST" || posts.Target != "POST http://127.0.0.1/x" {
		t.Errorf("%+v", posts)
	}
	if diff := cmp.Diff(DefaultRetry(), least.Retry); diff != "" || time.Duration(least.Timeout) != 30*time.Second {
		t.Error(diff, least.Timeout)
	}
}

func TestCommandSpec(t *testing.T) {
	t.Parallel()
	rung := parsed(t).Tools["shell"].Rungs[0]
	c := rung.Spec.Command
	if got := say(t, c.Argv[1], params(`{"order":12345678901234567890}`)); got != "12345678901234567890" {
		t.Error(got)
	}
	if rung.Name != "primary" || c.Dir != "/belay/sub" || c.Stdout != "text" || c.MaxBytes != 10 {
		t.Errorf("%+v", c)
	}
	if diff := cmp.Diff([]executor.EnvVar{{Name: "MODE", Value: "a=b"}}, c.Env); diff != "" {
		t.Error(diff)
	}
	if want := "'./do it' '${ params.order }' --token *** --api-key=*** 'x y'"; rung.Target != want {
		t.Errorf("target %s, want %s", rung.Target, want)
	}
	want := steps.RetryPolicy{
		MaxAttempts: 1, Initial: steps.Duration(time.Second), Factor: 1.5, Max: steps.Duration(time.Minute), RetryAfterMax: steps.Duration(time.Hour),
		On: map[steps.Class]steps.ClassPolicy{steps.RateLimited: {MaxAttempts: 9, Initial: steps.Duration(2 * time.Second), Factor: 3, Max: steps.Duration(time.Hour)}},
	}
	if diff := cmp.Diff(want, rung.Retry); diff != "" {
		t.Error(diff)
	}
}

func TestOtherSpecs(t *testing.T) {
	t.Parallel()
	more := parsed(t).Tools["more"]
	nats := more.Rungs[0].Spec.NATS
	if got := say(t, nats.Subject, params(`{"order":"A-1"}`)); got != "orders.A-1" || nats.MaxBytes != 5 {
		t.Error(got, nats.MaxBytes)
	}
	for _, bad := range []string{`"a.b"`, `">"`, `""`, `"a b"`, `null`} {
		if _, err := nats.Subject(params(`{"order":` + bad + `}`)); err == nil {
			t.Errorf("%s becomes part of a subject", bad)
		}
	}
	if got := more.Rungs[1]; got.Spec.Cache.MaxAge != 30*24*time.Hour || time.Duration(got.Timeout) != 5*time.Second {
		t.Errorf("%+v", got)
	}
	if got := string(more.Rungs[2].Spec.Static.Output); got != `{"a":1.10,"b":"${ x }"}` {
		t.Error(got)
	}
	if more.Rungs[3].Spec.Go == nil || more.Rungs[3].Executor != "go" {
		t.Errorf("%+v", more.Rungs[3])
	}
	for i, r := range more.Rungs {
		if diff := cmp.Diff(r.Rung, more.Tool.Rungs[i]); diff != "" {
			t.Errorf("the pinned policy differs: %s", diff)
		}
	}
}

func TestRemoteSpec(t *testing.T) {
	t.Parallel()
	tools, err := ParseTools("tools.yaml", []byte(`
tools:
  invoice.add:
    rungs:
      - {name: primary, remote: {}}
      - {name: second, remote: , retry: {max_attempts: 5, on: {timeout: {max_attempts: 2}}}}
      - {name: third, remote: {max_bytes: 1000, beat_every: 500ms}, retry: {on: {crashed: {max_attempts: 1}}}}
`))
	if err != nil {
		t.Fatal(err)
	}
	want := []executor.Remote{{MaxBytes: steps.MaxOutput}, {MaxBytes: steps.MaxOutput}, {MaxBytes: 1000, BeatEvery: 500 * time.Millisecond}}
	for i, r := range tools.Tools["invoice.add"].Rungs {
		if r.Spec.Remote == nil || *r.Spec.Remote != want[i] || r.Executor != "remote" || r.Target != "a program that polls a worker for invoice.add" || r.Retry.On[steps.Crashed].MaxAttempts != []int{3, 5, 1}[i] {
			t.Errorf("rung %d = %+v, %+v", i, r.Spec.Remote, r)
		}
	}
	_, err = ParseTools("tools.yaml", []byte("tools:\n  t:\n    rungs: [{remote: {beat_every: 1ms, beats: 3}}]\n    verify: {remote: {}, happened: output}\n"))
	for _, want := range []string{"tools.yaml:3:35: ", "tools.yaml:3:40: unknown key \"beats\" in remote", "tools.yaml:4:14: unknown key \"remote\" in verify"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the mistakes are %v, want %q among them", err, want)
		}
	}
}

func TestServices(t *testing.T) {
	t.Parallel()
	want := []Service{
		{Argv: []string{"go", "run", "./shop"}, Ready: "http://127.0.0.1:9000/healthz", Dir: "/belay/shop", Env: []executor.EnvVar{{Name: "HOME", FromEnv: true}, {Name: "MODE", Value: "test"}}},
		{Argv: []string{"sleep", "1"}, Dir: "/belay"},
	}
	if diff := cmp.Diff(want, parsed(t).Services); diff != "" {
		t.Error(diff)
	}
}

func TestToolSchemas(t *testing.T) {
	t.Parallel()
	web := parsed(t).Tools["web"]
	if web.CheckInput(json.RawMessage(`{}`)) == nil || web.CheckInput(json.RawMessage(`{"order":1}`)) != nil || web.CheckOutput(json.RawMessage(`[]`)) == nil {
		t.Error("the schemas of a tool do not check")
	}
}

func TestSecretsStayOutOfDefinitions(t *testing.T) {
	t.Parallel()
	doc, err := ParsePlan("p.yaml", []byte(`{name: p, steps: [{id: a, tool: web, with: {order: 1}}, {id: b, tool: shell}]}`), parsed(t))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(doc.JSON), "hunter2") {
		t.Errorf("a secret is in the document: %s", doc.JSON)
	}
}

func TestLoad(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	planPath := filepath.Join(dir, "plan.yaml")
	toolsPath := FindTools(planPath)
	if toolsPath != filepath.Join(dir, "tools.yaml") {
		t.Error(toolsPath)
	}
	if _, err := LoadTools(toolsPath); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "tools.yaml beside the plan") {
		t.Error(err)
	}
	if _, err := LoadPlan(planPath, nil); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	write(t, toolsPath, "tools: {t: {rungs: [{command: {argv: [cat, x]}}]}}")
	write(t, planPath, "{name: p, steps: [{id: a, tool: t}]}")
	tools, err := LoadTools(toolsPath)
	if err != nil {
		t.Fatal(err)
	}
	if got := tools.Tools["t"].Rungs[0].Spec.Command.Dir; got != dir {
		t.Errorf("the command runs in %s", got)
	}
	if _, err := LoadPlan(planPath, tools); err != nil {
		t.Error(err)
	}
	if _, err := LoadTools(dir); err == nil {
		t.Error("a folder is a tools file")
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestChosenHosts: whoever gives a parameter must not choose whom a worker talks to, unless the file names those that it may be.
func TestChosenHosts(t *testing.T) {
	t.Parallel()
	for rung, want := range map[string]string{
		`{http: {url: "http://${ params.host }/x"}}`:                                                           "1:44: a parameter chooses the host of the url, and nothing says which hosts it may be (write the host out, or name those that may be: allow_hosts:",
		`{http: {url: "https://api.${ params.region }.example.com"}}`:                                          "1:49: a parameter chooses",
		`{http: {url: "http://x:${ params.port }/"}}`:                                                          "1:46: a parameter chooses",
		`{http: {url: "https://${ params.user }@api.example.com/"}}`:                                           "1:45: a parameter chooses",
		`{http: {url: "https://api.example.com${ params.rest }"}}`:                                             "1:60: a parameter chooses",
		`{http: {url: "http://${ params.host }/x", allow_hosts: []}}`:                                          "allow_hosts names no host",
		`{http: {url: "http://${ params.host }/x", allow_hosts: ["https://api.example.com"]}}`:                 `"https://api.example.com" is not a host`,
		`{http: {url: "http://${ params.host }/x", allow_hosts: [2130706433]}}`:                                "1:77: expected a string",
		`{http: {url: "http://${ params.host }/x", allow_hosts: [api.example.com, "*.example.com:8443"]}}`:     "",
		`{http: {url: "http://x/${ params.host }"}}`:                                                           "",
		`{http: {url: "http://x?host=${ params.host }"}}`:                                                      "",
		`{http: {url: "http://x#${ params.host }", follow_redirects: true, allow_hosts: ["*.example.com:*"]}}`: "",
	} {
		tools, err := ParseTools("tools.yaml", []byte("tools: {t: {rungs: ["+rung+"]}}"))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s\n  %v, want %s", rung, err, want)
		}
		if err != nil {
			continue
		}
		if h := tools.Tools["t"].Rungs[0].Spec.HTTP; h.ChosenHost != strings.Contains(rung, "//${") {
			t.Errorf("%s: chosen %t", rung, h.ChosenHost)
		}
	}
	probe := `tools: {t: {effects: unsafe, verify: {http: {url: "http://${ params.host }/"}, happened: "true"}, rungs: [{command: {argv: [x]}}]}}`
	if _, err := ParseTools("tools.yaml", []byte(probe)); err == nil || !strings.Contains(err.Error(), "a parameter chooses the host") {
		t.Errorf("of a probe: %v", err)
	}
}
