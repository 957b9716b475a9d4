package plan

import (
	"encoding/json"
	"strings"
	"testing"
)

const approvedTool = `
tools:
  pay:
    effects: unsafe
    timeout: 1m
    approval: {when: "params.amount > 100"}
    input_schema: {type: object}
    output_schema: {type: object}
    rungs:
      - name: primary
        timeout: 5s
        http: {method: POST, url: "http://127.0.0.1/pay"}
      - name: cached
        cache: {max_age: 1h}
`

func digestOf(t *testing.T, file string) string {
	t.Helper()
	tools, err := ParseTools("tools.yaml", []byte(file))
	if err != nil {
		t.Fatal(err)
	}
	tool := tools.Tools["pay"]
	d, err := tool.Tool.CallDigest(json.RawMessage(`{"amount":1}`))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestWhatAnApprovalIsBoundTo: whatever changes what the tool does to the world makes another definition; how patiently
// it is tried, and who is asked, does not.
func TestWhatAnApprovalIsBoundTo(t *testing.T) {
	t.Parallel()
	before := digestOf(t, approvedTool)
	for old, other := range map[string]string{
		"effects: unsafe": "effects: idempotent", "timeout: 1m": "timeout: 1m\n    summary: Nothing happens", "method: POST": "method: PUT", "127.0.0.1/pay": "127.0.0.1/steal", "input_schema: {type: object}": "input_schema: {type: object, required: [amount]}",
		"output_schema: {type: object}": "", "max_age: 1h": "max_age: 2h", "name: cached": "name: stale",
		`url: "http://127.0.0.1/pay"}`: `url: "http://127.0.0.1/pay", headers: {X-To: eve}}`,
		"cache: {max_age: 1h}":         "cache: {max_age: 1h}\n        output: '${ output.id }'",
	} {
		if digestOf(t, strings.Replace(approvedTool, old, other, 1)) == before {
			t.Errorf("%s instead of %s is still approved", other, old)
		}
	}
	for old, other := range map[string]string{
		"timeout: 1m": "timeout: 2m", "timeout: 5s": "timeout: 6s", "params.amount > 100": "params.amount > 50", "{method: POST, url: \"http://127.0.0.1/pay\"}": "{url: \"http://127.0.0.1/pay\", method: POST}",
	} {
		if digestOf(t, strings.Replace(approvedTool, old, other, 1)) != before {
			t.Errorf("%s instead of %s asks for another approval", other, old)
		}
	}
}

// TestWhatAnApprovalOfAServersToolIsBoundTo: another server, another tool or another way to it is not what was approved.
func TestWhatAnApprovalOfAServersToolIsBoundTo(t *testing.T) {
	t.Parallel()
	file := "tools:\n  pay:\n    approval: always\n    rungs:\n      - mcp: {command: [shop, --live], env: [MODE=live], tool: pay}\n        timeout: 5s\n"
	before := digestOf(t, file)
	for old, other := range map[string]string{"--live": "--other", "MODE=live": "MODE=test", "tool: pay": "tool: pay_twice", "command: [shop, --live], env: [MODE=live]": `url: "https://shop.example.com/mcp"`} {
		if digestOf(t, strings.Replace(file, old, other, 1)) == before {
			t.Errorf("%s instead of %s is still approved", other, old)
		}
	}
	if digestOf(t, strings.Replace(file, "5s", "6s", 1)) != before {
		t.Error("another timeout asks for another approval")
	}
}

// TestAWorkerAsksItsOwnFile whether a call needs approval; what cannot be told does.
func TestAWorkerAsksItsOwnFile(t *testing.T) {
	t.Parallel()
	tools, err := ParseTools("tools.yaml", []byte(approvedTool))
	if err != nil {
		t.Fatal(err)
	}
	for params, want := range map[string]bool{`{"amount":100}`: false, `{"amount":100.01}`: true, `{"amount":"a lot"}`: true, `{}`: true, `[]`: true, `{`: true, ``: true} {
		if got := tools.Tools["pay"].NeedsApproval(json.RawMessage(params), false); got != want {
			t.Errorf("%s needs approval: %v", params, got)
		}
	}
}
