package ladder

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"belay/internal/executor"
	"belay/internal/steps"
)

const reshaping = `
tools:
  model:
    output_schema: {type: string}
    rungs:
      - name: primary
        go: {}
        output: "${ output.choices[0].message.content }"
      - name: spare
        static: {output: {text: "none", n: 12345678901234567890}}
        output: "${ output.text } for ${ params.who }"
      - name: wrong
        static: {output: {text: "none", n: 12345678901234567890}}
        output: {n: "${ output.n }"}
`

func TestARungReshapesWhatCameBack(t *testing.T) {
	t.Parallel()
	rungs, _ := build(t, reshaping, Options{})
	params := json.RawMessage(`{"who":"ann"}`)
	for _, c := range []struct{ rung, raw, want, detail string }{
		{"spare", "", `"none for ann"`, ""},
		{"wrong", "", "invalid_output: the output does not fit the tool's output_schema: got object, want string", "reshaped: {\"n\":12345678901234567890}\nwhat came back: {\"n\":12345678901234567890,\"text\":\"none\"}"},
	} {
		r := rungs[Key{"model", c.rung}]
		res, err := r.Execute(t.Context(), executor.Request{Tool: "model", Rung: c.rung, Params: params})
		if err != nil {
			t.Fatal(err)
		}
		told(t, c.rung, c.want, c.detail)(r.Result(params, res.Output))
	}
}

// TestReshapingFails: it is told where, why, and of what.
func TestReshapingFails(t *testing.T) {
	t.Parallel()
	def := tools(t, reshaping).Tools["model"]
	r := Rung{Reshape: def.Rungs[0].Reshape, CheckOutput: def.CheckOutput}
	for raw, c := range map[string][2]string{
		`{"choices":[{"message":{"content":"hi"}}]}`: {`"hi"`, ""},
		`{"choices":[]}`: {
			"invalid_output: the rung's output, tools.yaml:8:17: ${ output.choices[0].message.content }, character 15: index out of range: 0 (array length is 0)", `what came back: {"choices":[]}`,
		},
		`{"error":"no"}`: {"invalid_output: the rung's output, tools.yaml:8:17: ${ output.choices[0].message.content }, character 15: cannot fetch 0 from null", `what came back: {"error":"no"}`},
		`{"choices":[{"message":{"content":["a"]}}]}`: {
			"invalid_output: the output does not fit the tool's output_schema: got array, want string", "reshaped: [\"a\"]\nwhat came back: {\"choices\":[{\"message\":{\"content\":[\"a\"]}}]}",
		},
		strings.Repeat("[", 300) + strings.Repeat("]", 300): {"invalid_output: the output cannot be used: lists and objects are nested 300 levels deep, at most 200 are possible", strings.Repeat("[", 300) + strings.Repeat("]", 300)},
	} {
		told(t, raw, c[0], c[1])(r.Result(json.RawMessage(`{}`), json.RawMessage(raw)))
	}
}

// told checks a result: its output, or its fault and what that shows.
func told(t *testing.T, name, want, detail string) func(json.RawMessage, error) {
	return func(out json.RawMessage, err error) {
		t.Helper()
		got, shown := string(out), ""
		if f, ok := errors.AsType[steps.Fault](err); ok {
			got, shown = f.Error(), f.Detail
		}
		if got != want || shown != detail {
			t.Errorf("%.40s gives\n%s\n%s\nwant\n%s\n%s", name, got, shown, want, detail)
		}
	}
}
