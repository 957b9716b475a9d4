package plan

import (
	"encoding/json"
	"strings"
	"testing"

	"belay/internal/steps/view"
)

const summaries = `
tools:
  refund:
    summary: "Refund ${ params.amount } EUR to ${ params.customer }${ params.vip ? ', a VIP' : '' }"
    input_schema: {type: object, properties: {order: {type: string}, amount: {type: number}}}
    rungs: [{name: primary, static: {output: 1}}]
  plain:
    input_schema: {type: object, properties: {order: {type: string}, amount: {type: number}}}
    rungs: [{name: primary, static: {output: 1}}]
  sorted:
    input_schema: {type: object, properties: {amount: {type: number}, order: {type: string}}}
    rungs: [{name: primary, static: {output: 1}}]
`

func TestSummariesOfCalls(t *testing.T) {
	t.Parallel()
	tools, err := ParseTools("tools.yaml", []byte(summaries))
	if err != nil {
		t.Fatal(err)
	}
	doc, err := ParsePlan("plan.yaml", []byte("{name: p, steps: [{id: a, tool: refund}, {id: b, tool: plain}, {id: c, tool: sorted}]}"), tools)
	if err != nil {
		t.Fatal(err)
	}
	compiled, err := Compile(doc.JSON) // what every reader of the run does
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ tool, params, want string }{
		{"refund", `{"amount":120.50,"customer":"ann","vip":true}`, "Refund 120.50 EUR to ann, a VIP"},
		{"refund", `{"amount":120.50}`, "amount 120.50"},
		{"plain", `{"amount":120.50,"order":"A-1","customer":"ann"}`, "order A-1, amount 120.50, customer ann"},
		{"sorted", `{"amount":120.50,"order":"A-1","customer":"ann"}`, "amount 120.50, order A-1, customer ann"},
	} {
		if got := view.Summary(compiled, c.tool, json.RawMessage(c.params)); got != c.want {
			t.Errorf("%s %s: %q, want %q", c.tool, c.params, got, c.want)
		}
	}
}

func TestSummariesThatAreNone(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`"Refund ${ input.amount }"`:         `tools.yaml:1:33: "input" is not known here: a tool sees only its parameters`,
		`"Refund ${ params. }"`:              "tools.yaml:1:40",
		`[a]`:                                "expected a string, not a list",
		`"` + strings.Repeat("x", 501) + `"`: "a summary is one line of at most 500 characters",
	} {
		_, err := ParseTools("tools.yaml", []byte("tools: {a: {summary: "+text+", rungs: [{static: {output: 1}}]}}"))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40s: %v, want %s", text, err, want)
		}
	}
}
