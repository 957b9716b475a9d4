package api

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"belay/internal/catalog"
)

// plans are those of the test's server: refund waits for approval, look is never executed here.
func plans(t *testing.T) *catalog.Catalog {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"tools.yaml": `tools:
  pay: {approval: always, input_schema: {type: object, required: [amount]}, rungs: [{http: {method: POST, url: "http://127.0.0.1:1/pay/${ params.amount }"}}]}
  look: {effects: none, rungs: [{static: {output: 1}}]}
`,
		"refund.yaml": `{name: refund, input: {amount: 5}, labels: {team: red}, steps: [{id: s, tool: pay, with: {amount: "${ input.amount }"}}]}`,
		"mail.yaml":   `{name: mail-1, steps: [{id: s, tool: look}]}`,
		"look.yaml":   `{name: look, steps: [{id: s, tool: look}]}`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, err := catalog.Open(filepath.Join(dir, "tools.yaml"), dir)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

const runsPath = "/api/v1/runs"

// TestSubmitANamedPlan starts a run as its author says who it is, and comes back once only a person can move it on.
func TestSubmitANamedPlan(t *testing.T) {
	t.Parallel()
	o := open(t)
	a := o.ask("POST", runsPath+"?wait=30s", `{"plan":"refund","input":{"amount":7},"labels":{"case":"17"}}`)
	id := fmt.Sprint(a.body["id"])
	if a.StatusCode != 201 || a.Header.Get("Location") != runsPath+"/"+id || a.body["state"] != "waiting" || a.body["workflow"] != "refund" {
		t.Fatalf("%d %s %s", a.StatusCode, a.Header, a.text)
	}
	if fmt.Sprint(a.body["input"]) != "map[amount:7]" || fmt.Sprint(a.body["labels"]) != "map[case:17 team:red]" {
		t.Error(a.text)
	}
	log := o.ask("GET", a.Header.Get("Location")+"/events", "").text
	if !strings.Contains(log, `"by":"mia"`) || !strings.Contains(log, `"via":"api"`) {
		t.Error(log)
	}
	if other := o.ask("POST", runsPath, `{"plan":"refund","input":{"amount":7}}`); other.StatusCode != 201 || other.body["id"] == id {
		t.Errorf("%d %s", other.StatusCode, other.text)
	}
	slow := o.ask("POST", runsPath+"?wait=50ms", `{"plan":"look"}`)
	if slow.StatusCode != http.StatusAccepted || slow.body["state"] != "running" {
		t.Errorf("%d %s", slow.StatusCode, slow.text)
	}
	if got := o.ask("GET", slow.Header.Get("Location")+"?wait=50ms", ""); got.StatusCode != http.StatusAccepted {
		t.Errorf("%d %s", got.StatusCode, got.text)
	}
	if got := o.ask("GET", a.Header.Get("Location")+"?wait=30s", ""); got.StatusCode != http.StatusOK || got.body["state"] != "waiting" {
		t.Errorf("%d %s", got.StatusCode, got.text)
	}
}

// TestWhatGoesOnByItselfIsWaitedFor, although its log has it that people hold it back.
func TestWhatGoesOnByItselfIsWaitedFor(t *testing.T) {
	t.Parallel()
	o := open(t)
	a := o.ask("POST", runsPath+"?wait=30s", `{"plan":"refund"}`)
	if a.StatusCode != http.StatusCreated || a.body["state"] != "waiting" {
		t.Errorf("%d %s", a.StatusCode, a.text)
	}
	if a := o.ask("POST", runsPath+"?wait=50ms", `{"plan":"refund","labels":{"released":"yes"}}`); a.StatusCode != http.StatusAccepted {
		t.Errorf("%d %s", a.StatusCode, a.text)
	}
}

// TestSubmitOnce: a key, or an id, is one run, however often and by however many it is used at once; another request
// under it is refused, and somebody else's key is another run.
func TestSubmitOnce(t *testing.T) {
	t.Parallel()
	o := open(t)
	const order = `{"plan":"refund","input":{"amount":7}}`
	ids := make([]string, 8)
	var wg sync.WaitGroup
	for i := range ids {
		wg.Go(func() {
			a := o.ask("POST", runsPath, order, "Idempotency-Key", "case 17")
			ids[i] = fmt.Sprint(a.StatusCode/100, " ", a.body["id"])
		})
	}
	wg.Wait()
	first := o.ask("POST", runsPath, ` {"input": {"amount": 7}, "plan": "refund", "labels": {}}`, "Idempotency-Key", "case 17")
	id := fmt.Sprint(first.body["id"])
	if first.StatusCode != 200 || first.Header.Get("Idempotency-Replayed") != "true" || !strings.HasPrefix(id, "k-") || len(id) != 28 {
		t.Errorf("%d %s %s", first.StatusCode, first.Header, first.text)
	}
	for _, got := range ids {
		if got != "2 "+id {
			t.Errorf("%v, want %s", got, id)
		}
	}
	other := o.ask("POST", runsPath, `{"plan":"refund","input":{"amount":8}}`, "Idempotency-Key", "case 17")
	o.refused(other, 409, "conflict")
	if a := o.ask("POST", runsPath, `{"plan":"refund","input":{"amount":8}}`, "Idempotency-Key", "case 17", "X-Who", "ada"); a.StatusCode != 201 || a.body["id"] == id {
		t.Errorf("%d %s", a.StatusCode, a.text)
	}
	const own = `{"id":"my-1","plan":"refund"}`
	if a := o.ask("POST", runsPath, own); a.StatusCode != 201 || a.body["id"] != "my-1" {
		t.Errorf("%d %s", a.StatusCode, a.text)
	}
	if a := o.ask("POST", runsPath, own); a.StatusCode != 200 || a.Header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("%d %s", a.StatusCode, a.text)
	}
	theirs := o.ask("POST", runsPath, own, "X-Who", "ada")
	mine := o.ask("POST", runsPath, `{"id":"my-1","plan":"look"}`)
	o.refused(theirs, 409, "conflict")
	if theirs.text != mine.text {
		t.Errorf("it says whose it is:\n%s\n%s", theirs.text, mine.text)
	}
	o.refused(o.ask("POST", runsPath, own, "Idempotency-Key", "x"), 400, "invalid")
	o.refused(o.ask("POST", runsPath, order, "Idempotency-Key", strings.Repeat("x", 256)), 400, "invalid")
	o.refused(o.ask("POST", runsPath, order, "Idempotency-Key", "ä"), 400, "invalid")
	o.refused(o.ask("POST", runsPath, `{"id":"`+id+`","plan":"refund"}`), 400, "invalid")
}

// TestSubmitAWholePlan tells every mistake with its place; it takes an admin.
func TestSubmitAWholePlan(t *testing.T) {
	t.Parallel()
	o := open(t)
	const good = `{"plan": {"name":"own","steps":[{"id":"s","tool":"look"}]}}`
	if a := o.ask("POST", runsPath, good, "X-Who", "ada"); a.StatusCode != 201 || a.body["workflow"] != "own" {
		t.Errorf("%d %s", a.StatusCode, a.text)
	}
	o.refused(o.ask("POST", runsPath, good), 403, "forbidden")
	bad := o.ask("POST", runsPath, "{\"labels\": {},\n \"plan\": {\"name\":\"own\",\"steps\":[{\"id\":\"s\",\"tool\":\"lok\"},\n{\"id\":\"s\",\"tool\":\"look\"}]}}", "X-Who", "ada")
	o.refused(bad, 422, "invalid_plan")
	want := []any{
		map[string]any{"line": 2.0, "column": 50.0, "path": "/steps/0/tool", "message": `unknown tool "lok": it is not in the server's tools file`, "hint": `did you mean "look"?`},
		map[string]any{"line": 3.0, "column": 7.0, "path": "/steps/1/id", "message": `the step id "s" occurs twice, first in line 2`},
	}
	if diff := cmp.Diff(want, bad.body["errors"]); diff != "" {
		t.Error(diff)
	}
}

func TestSubmitRefusals(t *testing.T) {
	t.Parallel()
	o := open(t)
	o.refused(o.ask("POST", runsPath, `{"plan":"refund"}`, "X-Who", "eve"), 403, "forbidden")
	o.refused(o.ask("POST", runsPath, `{"plan":"refnd"}`), 422, "unknown_plan")
	o.refused(o.ask("POST", runsPath, `{"plan":17}`), 422, "invalid")
	o.refused(o.ask("POST", runsPath, `{}`), 422, "invalid")
	o.refused(o.ask("POST", runsPath+"?wait=2m", `{"plan":"refund"}`), 400, "invalid")
	o.refused(o.ask("POST", runsPath, `{"plan":"refund","id":"no good"}`), 400, "invalid")
	o.refused(o.ask("GET", runsPath+"/nobody?wait=1s", ""), 404, "no_run")
	bad := o.ask("POST", runsPath, `{"plan":"refund","input":{"amount":"7","amont":1}}`)
	o.refused(bad, 422, "invalid_input")
	if list := bad.body["errors"].([]any); len(list) != 2 || list[0].(map[string]any)["path"] != "/amont" {
		t.Error(bad.text)
	}
}

// TestStrict refuses a plan, or a call, for what is only a warning, and nothing is started; the same request is still one run.
func TestStrict(t *testing.T) {
	t.Parallel()
	o := open(t)
	const own = `{"plan": {"name":"own","steps":[{"id":"s","tool":"pay","with":{"amount":1}}]},"id":"own-1"}`
	bad := o.ask("POST", runsPath+"?strict=true", own, "X-Who", "ada")
	o.refused(bad, 422, "invalid_plan")
	list := bad.body["errors"].([]any)
	if len(list) != 2 || bad.body["title"] != "The plan has findings" || bad.body["detail"] != "strict refuses warnings too, and there are 2 findings" {
		t.Fatal(bad.text)
	}
	for i, code := range []string{"BLY015: ", "BLY010: "} {
		if m := list[i].(map[string]any); !strings.HasPrefix(m["message"].(string), code) || m["hint"] == "" {
			t.Errorf("%v, not %s", m, code)
		}
	}
	o.refused(o.ask("GET", runsPath+"/own-1", ""), 404, "no_run")
	o.refused(o.ask("POST", runsPath+"?strict=true", `{"plan":"refund"}`), 422, "invalid_plan")
	o.refused(o.ask("POST", "/api/v1/calls?strict=true", `{"tool":"pay","params":{"amount":1}}`, "X-Who", "ada"), 422, "invalid_plan")
	for _, path := range []string{runsPath, "/api/v1/calls"} {
		o.refused(o.ask("POST", path+"?strict=yes", `{"plan":"refund","tool":"pay"}`, "X-Who", "ada"), 400, "invalid")
	}
	if a := o.ask("POST", runsPath+"?strict=true", `{"plan":"look"}`); a.StatusCode != 201 {
		t.Errorf("%d %s", a.StatusCode, a.text)
	}
	if a := o.ask("POST", runsPath+"?strict=false", own, "X-Who", "ada"); a.StatusCode != 201 {
		t.Errorf("%d %s", a.StatusCode, a.text)
	}
	if a := o.ask("POST", runsPath+"?strict=true", own, "X-Who", "ada"); a.StatusCode != 200 || a.body["id"] != "own-1" {
		t.Errorf("%d %s", a.StatusCode, a.text)
	}
}

// TestCallATool is a run of one step, whose parameters are never taken for expressions.
func TestCallATool(t *testing.T) {
	t.Parallel()
	o := open(t)
	const calls = "/api/v1/calls"
	a := o.ask("POST", calls+"?wait=30s", `{"tool":"pay","params":{"amount":"${ 1 }"}}`, "X-Who", "ada", "Idempotency-Key", "1")
	if a.StatusCode != 201 || a.body["state"] != "waiting" || a.body["workflow"] != "call" {
		t.Fatalf("%d %s", a.StatusCode, a.text)
	}
	card := o.ask("GET", a.Header.Get("Location")+"/events", "")
	if !strings.Contains(card.text, `"params":{"amount":"${ 1 }"}`) {
		t.Error(card.text)
	}
	if a := o.ask("POST", calls, `{"tool":"pay","params":{"amount":"${ 1 }"}}`, "X-Who", "ada", "Idempotency-Key", "1"); a.StatusCode != 200 {
		t.Errorf("%d %s", a.StatusCode, a.text)
	}
	o.refused(o.ask("POST", calls, `{"tool":"pay"}`, "X-Who", "ada"), 422, "invalid_input")
	o.refused(o.ask("POST", calls, `{"tool":"pay","params":[]}`, "X-Who", "ada"), 422, "invalid_input")
	o.refused(o.ask("POST", calls, `{"tool":"pya","params":{}}`, "X-Who", "ada"), 422, "unknown_tool")
	o.refused(o.ask("POST", calls, `{"tool":"look"}`), 403, "forbidden")
}

// TestRetryOverHTTP goes on as a new run, once for a key.
func TestRetryOverHTTP(t *testing.T) {
	t.Parallel()
	o := open(t)
	if a := o.ask("POST", runsPath, `{"id":"my-1","plan":"refund"}`); a.StatusCode != 201 {
		t.Fatal(a.text)
	}
	o.refused(o.ask("POST", runsPath+"/my-1/retry", ""), 409, "conflict")
	o.refused(o.ask("POST", runsPath+"/nobody/retry", ""), 404, "no_run")
	if a := o.ask("POST", runsPath+"/my-1/cancel", ""); a.StatusCode != 200 {
		t.Fatal(a.text)
	}
	first := o.ask("POST", runsPath+"/my-1/retry", `{"reason":"a mistake"}`)
	if first.StatusCode != 201 || first.body["id"] != "my-1-r1" || first.body["retry_of"] != "my-1" {
		t.Errorf("%d %s", first.StatusCode, first.text)
	}
	keyed := o.ask("POST", runsPath+"/my-1/retry", `{"reason":"a mistake"}`, "Idempotency-Key", "1")
	again := o.ask("POST", runsPath+"/my-1/retry", `{"reason":"a mistake"}`, "Idempotency-Key", "1")
	if keyed.StatusCode != 201 || again.StatusCode != 200 || again.body["id"] != keyed.body["id"] {
		t.Errorf("%d %s\n%d %s", keyed.StatusCode, keyed.text, again.StatusCode, again.text)
	}
	o.refused(o.ask("POST", runsPath+"/my-1/retry", `{"reason":"another"}`, "Idempotency-Key", "1"), 409, "conflict")
	o.refused(o.ask("POST", runsPath+"/my-1/retry", "", "X-Who", "eve"), 403, "forbidden")
}

// TestSubmitForLater: it is accepted and begins later, once; what is wrong about the time says so.
func TestSubmitForLater(t *testing.T) {
	t.Parallel()
	o := open(t)
	const order = `{"plan":"look","in":"3h"}`
	a := o.ask("POST", runsPath, order, "Idempotency-Key", "later")
	if a.StatusCode != 201 || a.body["state"] != "scheduled" || a.body["scheduled_for"] == nil {
		t.Fatalf("%d %s", a.StatusCode, a.text)
	}
	if again := o.ask("POST", runsPath, order, "Idempotency-Key", "later"); again.StatusCode != 200 || again.body["scheduled_for"] != a.body["scheduled_for"] {
		t.Errorf("%d %s", again.StatusCode, again.text)
	}
	o.refused(o.ask("POST", runsPath, `{"plan":"look","in":"4h"}`, "Idempotency-Key", "later"), 409, "conflict")
	if got := o.ask("GET", a.Header.Get("Location")+"?wait=50ms", ""); got.StatusCode != http.StatusAccepted {
		t.Errorf("%d %s", got.StatusCode, got.text)
	}
	list := o.ask("GET", runsPath+"?state=scheduled", "")
	if !strings.Contains(list.text, `"scheduled_for"`) || !strings.Contains(list.text, fmt.Sprint(a.body["id"])) {
		t.Error(list.text)
	}
	for text, says := range map[string]string{
		`{"plan":"look","at":"tomorrow"}`:                        "is no time: write it with its offset",
		`{"plan":"look","in":"soon"}`:                            "write it as 90s, 10m, 2h or 7d",
		`{"plan":"look","in":"1.5s"}`:                            "whole seconds",
		`{"plan":"look","in":"9000d"}`:                           "ten years",
		`{"plan":"look","at":"2326-01-01T00:00:00Z"}`:            "is the year right?",
		`{"plan":"look","at":"2026-01-01T00:00:00Z","in":"10m"}`: "give one of the two",
	} {
		a := o.ask("POST", runsPath, text)
		o.refused(a, 422, "invalid")
		if !strings.Contains(a.text, says) {
			t.Errorf("%s: %s", text, a.text)
		}
	}
}
