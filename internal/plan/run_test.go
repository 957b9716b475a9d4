package plan

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"belay/internal/steps"
)

// TestNumbersThroughARun: from the input over an output to the next step's parameters, with the real core.
func TestNumbersThroughARun(t *testing.T) {
	t.Parallel()
	doc := document(t, `
name: numbers
input: {big: 12345678901234567890, price: 1.10}
steps:
  - {id: a, tool: t, with: {big: "${ input.big }", text: "at ${ input.price }"}}
  - {id: b, tool: t, when: steps.a.output.n == 2, for_each: steps.a.output.list, with: {item: "${ item }", at: "${ index }", from: "${ steps.a.output.n }"}}
`)
	input, err := doc.CheckInput(nil)
	if err != nil {
		t.Fatal(err)
	}
	program, err := Compile(doc.JSON)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	state, touched := steps.Apply(nil, steps.Record{Seq: 1, Time: now, Run: "r", Event: steps.Submitted{Document: doc.JSON, Input: input, Program: program}})
	first := steps.Wants(state, touched).Steps
	if got := paramsOf(first); !slices.Equal(got, []string{`{"big":12345678901234567890,"text":"at 1.10"}`}) {
		t.Fatalf("the first step gets %s", got)
	}
	done := steps.Succeeded{Attempt: first[0].Attempt, Output: json.RawMessage(`{"list":[3.0,{"x":1e2},98765432109876543210],"n":2.00}`)}
	state, touched = steps.Apply(state, steps.Record{Seq: 2, Time: now, Run: "r", Event: done})
	want := []string{
		`{"at":0,"from":2.00,"item":3.0}`,
		`{"at":1,"from":2.00,"item":{"x":1e2}}`,
		`{"at":2,"from":2.00,"item":98765432109876543210}`,
	}
	if got := paramsOf(steps.Wants(state, touched).Steps); !slices.Equal(got, want) {
		t.Errorf("the items get %s, want %s", got, want)
	}
}

func paramsOf(messages []steps.StepMessage) []string {
	var got []string
	for _, m := range messages {
		got = append(got, string(m.Params))
	}
	return got
}
