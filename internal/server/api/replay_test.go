package api

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"belay/internal/steps"
)

// done lets the only step of a run end well.
func (o *office) done(run string) {
	o.t.Helper()
	at := steps.Attempt{Step: "s", Try: 1}
	if _, err := o.runs.Append(o.t.Context(), run, steps.Succeeded{Attempt: at, Worker: "w", Output: json.RawMessage(`1`)}); err != nil {
		o.t.Fatal(err)
	}
}

// TestReplayOverHTTP does a run again as a new one, once for a key, if nothing is in the way; a dry run says what it would be.
func TestReplayOverHTTP(t *testing.T) {
	t.Parallel()
	o := open(t)
	const path = runsPath + "/my-1/replay"
	if a := o.ask("POST", runsPath, `{"id":"my-1","plan":"look"}`); a.StatusCode != 201 {
		t.Fatal(a.text)
	}
	o.refused(o.ask("POST", path, `{"from":["s"]}`), 409, "not_replayable")
	o.done("my-1")
	o.refused(o.ask("POST", runsPath+"/nobody/replay", `{"from":["s"]}`), 404, "no_run")
	o.refused(o.ask("POST", path, `{"from":["x"]}`), 409, "not_replayable")
	o.refused(o.ask("POST", path, `{"from":["s"],"again":["s"]}`), 409, "not_replayable")
	o.refused(o.ask("POST", path, `{"from":["s"],"plan":"none"}`), 422, "unknown_plan")
	o.refused(o.ask("POST", path, `{"from":["s"],"plan":"refund","input":{"amuont":1}}`), 422, "invalid_input")
	o.refused(o.ask("POST", path, `{"from":["s"],"plan":{"name":"own"}}`), 403, "forbidden")
	o.refused(o.ask("POST", path, `{"from":["s"]}`, "X-Who", "eve"), 403, "forbidden")
	would := o.ask("POST", path, `{"from":["s"],"dry_run":true}`)
	if would.StatusCode != 200 || !strings.Contains(would.text, `"steps":[{"step":"s","tool":"look","fate":"again","why":"asked for","state":"succeeded"}]`) {
		t.Errorf("%d %s", would.StatusCode, would.text)
	}
	first := o.ask("POST", path, `{"from":["s"],"reason":"a mistake"}`)
	if first.StatusCode != 201 || first.body["id"] != "my-1-p1" || fmt.Sprint(first.body["replay"]) != "map[from:[s] run:my-1]" || fmt.Sprint(first.body["labels"]) != "map[replay_of:my-1]" {
		t.Errorf("%d %s", first.StatusCode, first.text)
	}
	keyed := o.ask("POST", path, `{"from":["s"],"plan":"refund"}`, "Idempotency-Key", "1")
	repeated := o.ask("POST", path, `{"from":["s"],"plan":"refund"}`, "Idempotency-Key", "1")
	if keyed.StatusCode != 201 || repeated.StatusCode != 200 || repeated.body["id"] != keyed.body["id"] || keyed.body["workflow"] != "refund" {
		t.Errorf("%d %s\n%d %s", keyed.StatusCode, keyed.text, repeated.StatusCode, repeated.text)
	}
	o.refused(o.ask("POST", path, `{"from":["s"]}`, "Idempotency-Key", "1"), 409, "conflict")
}
