package plan

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"belay/internal/steps"
	"belay/internal/yamldoc"
)

const lintTools = `
tools:
  t: {rungs: [{static: {output: 1}}]}
  ask: {rungs: [{human: {question: "Which?"}}]}
  pick: {rungs: [{human: {question: "Which?", options: [a, b]}}]}
  pay: {approval: {on_reject: skip}, rungs: [{http: {url: "http://x"}}]}
`

// warningsAbout are the warnings of a plan whose step b reads step a.
func warningsAbout(t *testing.T, plan string) string {
	t.Helper()
	tools, err := ParseTools("tools.yaml", []byte(lintTools))
	if err != nil {
		t.Fatal(err)
	}
	doc, err := ParsePlan("plan.yaml", []byte(plan), tools)
	if err != nil {
		t.Fatalf("%s: %v", plan, err)
	}
	return said(doc.Warnings)
}

func said(list yamldoc.Problems) string {
	lines := make([]string, len(list))
	for i := range list {
		lines[i] = list[i].String()
	}
	return strings.Join(lines, "\n")
}

// TestLintMindsNull: reading what may be null is a warning where null makes the expression fail, and nobody thought of it.
func TestLintMindsNull(t *testing.T) {
	t.Parallel()
	for _, step := range []string{"tool: t, when: input.x", "tool: t, on_failure: skip", "tool: ask", "tool: pay"} {
		for b, careless := range map[string]bool{
			`with: {id: "${ steps.a.output.id }"}`:                                   true,
			`with: {id: "${ steps.a.output['id'] }"}`:                                true,
			`with: {id: "${ steps.a.output[0] }"}`:                                   true,
			`with: {id: "${ 'x ' + steps.a.output }"}`:                               true,
			`with: {id: "order ${ steps.a.output }"}`:                                true,
			`with: {n: "${ steps.a.output > 3 }"}`:                                   true,
			`with: {n: "${ len(steps.a.output) }"}`:                                  true,
			`with: {n: "${ input.x ? steps.a.output.id : 0 }"}`:                      true,
			`with: {n: "${ steps.a.degraded ? 1 : steps.a.output.id }"}`:             true,
			`when: steps.a.output.ok`:                                                true,
			`for_each: "${ steps.a.output }"`:                                        true,
			`for_each: steps.a.output.list`:                                          true,
			`compensate: {tool: t, with: {id: "${ steps.a.output.id }"}}`:            true,
			`with: {id: "${ steps.a.output?.id }"}`:                                  false,
			`with: {id: "${ steps.a.output?.id.deep[0] }"}`:                          false,
			`with: {id: "${ (steps.a.output ?? {id: 1}).id }"}`:                      false,
			`with: {id: "${ steps.a.output == nil ? 0 : steps.a.output.id }"}`:       false,
			`with: {id: "${ steps.a.output != nil ? steps.a.output.id : 0 }"}`:       false,
			`with: {id: "${ steps.a.state == 'skipped' ? 0 : steps.a.output.id }"}`:  false,
			`with: {id: "${ steps.a.rejection == nil ? steps.a.output.id : 0 }"}`:    false,
			`with: {all: "${ steps.a.output }"}`:                                     false,
			`with: {all: ["${ [steps.a.output] }"]}`:                                 false,
			`with: {text: "${ toJSON(steps.a.output) }"}`:                            false,
			`with: {same: "${ steps.a.output == 'x' }"}`:                             false,
			`when: steps.a.output != nil, with: {id: "${ steps.a.output.id }"}`:      false,
			`when: steps.a.state == 'succeeded', for_each: "${ steps.a.output }"`:    false,
			`with: {state: "${ steps.a.state }", degraded: "${ steps.a.degraded }"}`: false,
		} {
			got := warningsAbout(t, "{name: p, steps: [{id: a, "+step+"}, {id: b, tool: t, "+b+"}]}")
			if (got != "") != careless || careless && !strings.Contains(got, `the output of step "a" may be null: `) {
				t.Errorf("a {%s}, b {%s}: %s", step, b, got)
			}
		}
	}
}

// TestLintIsNoFalseAlarm: nothing is said of steps whose output is never null by what is declared.
func TestLintIsNoFalseAlarm(t *testing.T) {
	t.Parallel()
	for _, plan := range []string{
		`[{id: a, tool: t}, {id: b, tool: t, with: {id: "${ steps.a.output.id }"}}]`,
		`[{id: a, tool: pick}, {id: b, tool: t, with: {id: "${ steps.a.output + 'x' }"}}]`,
		`[{id: a, tool: t, when: input.x}, {id: b, tool: t, when: input.x, with: {id: "${ steps.a.output.id }"}}]`,
		`[{id: a, tool: t, for_each: input.l, when: item.ok}, {id: b, tool: t, with: {n: "${ len(steps.a.output) }"}}]`,
		`[{id: a, tool: t, when: input.x, compensate: {tool: t, with: {id: "${ steps.a.output.id }"}}}]`,
		`[{id: a, tool: t}, {id: b, tool: t, when: "steps.a.degraded && steps.a.degraded == true"}]`,
		`[{id: a, tool: t}, {id: b, tool: t, when: "steps.a.degraded_by.age > 3600 || steps.a.degraded_by.rung == 'cached'"}]`,
	} {
		if got := warningsAbout(t, "{name: p, steps: "+plan+"}"); got != "" {
			t.Errorf("%s: %s", plan, got)
		}
	}
}

func TestLintSaysWhere(t *testing.T) {
	t.Parallel()
	got := warningsAbout(t, `name: p
steps:
  - {id: a-1, tool: t, when: input.x}
  - id: b
    tool: t
    with:
      text: >
        Order ${ steps["a-1"].output.id } of
        ${ steps["a-1"].output }
  - {id: c, tool: t, when: "steps.b.degraded > 3600 || 'cached' == steps.b.degraded || steps.b.degraded.age > 1"}
output: "${ steps['a-1'].output.id }"
`)
	const hint = ` (write steps["a-1"].output?.field, give a default with ??, or ask for steps["a-1"].state first)`
	const by = " (steps.b.degraded_by has rung, cause and age (in seconds), and is null where nothing is degraded)"
	want := strings.Join([]string{
		`plan.yaml:8:31: the output of step "a-1" may be null: the step has a when` + hint,
		`plan.yaml:9:25: the output of step "a-1" may be null: the step has a when` + hint,
		`plan.yaml:10:37: steps.b.degraded is true or false, and is compared with a number here` + by,
		`plan.yaml:10:76: steps.b.degraded is true or false, and is compared with a string here` + by,
		`plan.yaml:10:96: steps.b.degraded is true or false, and has no fields` + by,
		`plan.yaml:11:26: the output of step "a-1" may be null: the step has a when` + hint,
	}, "\n")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestLintOfTools(t *testing.T) {
	t.Parallel()
	for tool, want := range map[string]string{
		`timeout: 10s, rungs: [{timeout: 1m, http: {url: "http://x"}}]`: "1:45: an attempt may take 1m, all of the step only 10s (give the tool a longer timeout, or the rung a shorter one)",
		`timeout: 10s, rungs: [{http: {url: "http://x"}}]`:              "", // a default is nobody's mistake
		`timeout: 0s, rungs: [{timeout: 1h, http: {url: "http://x"}}]`:  "",
		`timeout: 1m, rungs: [{retry: {max_attempts: 8, initial: 2s}, http: {url: "http://x"}}]`: "1:42: the waits before 7 retries may take 3m2s (2s + 4s + 8s + 16s + … + 1m), all of the step only 1m " +
			"(fewer attempts, shorter waits, or a longer timeout of the tool)",
		`timeout: 4m, rungs: [{retry: {max_attempts: 8, initial: 2s}, http: {url: "http://x"}}]`:                                   "",
		`timeout: 1m, rungs: [{retry: {on: {timeout: {max_attempts: 3, initial: 50s}}}, http: {url: "http://x"}}]`:                 "1:42: the waits after timeout before 2 retries may take 1m50s (50s + 1m)",
		`rungs: [{http: {url: "http://${ params.host }/x", allow_hosts: ["*"]}}]`:                                                  "1:44: a parameter chooses the host of the url among all that there are",
		`rungs: [{http: {url: "https://api.${ params.region }.example.com/x", allow_hosts: ["*.example.com"]}}]`:                   "",
		`rungs: [{http: {url: "http://x:${ params.port }", allow_hosts: [x, "*:*"]}}]`:                                             "1:46: a parameter chooses the host of the url among all that there are",
		`rungs: [{http: {url: "http://x/${ params.host }?q=${ params.q }"}}]`:                                                      "",
		`input_schema: {properties: {r: {enum: [eu, us]}}}, rungs: [{http: {url: "http://${ params.r }.x/", allow_hosts: ["*"]}}]`: "",
		`rungs: [{command: {argv: [grep, "${ params.word }", file]}}]`:                                                             "1:48: a parameter that begins with - is an option of grep here",
		`rungs: [{command: {argv: [grep, --, "${ params.word }", file]}}]`:                                                         "",
		`rungs: [{command: {argv: [grep, "--word=${ params.word }"]}}]`:                                                            "",
		`rungs: [{command: {argv: [sh, -c, 'echo "$1"', sh, "${ params.word }"]}}]`:                                                "",
		`rungs: [{command: {argv: [sh, -c, "${ params.script }"]}}]`:                                                               "1:50: a parameter that begins with - is an option of sh here",
		`rungs: [{command: {argv: ["${ params.program }"]}}]`:                                                                      "1:42: a parameter chooses the program",
		`input_schema: {properties: {w: {type: string, pattern: "^[a-z]+$"}}}, rungs: [{command: {argv: [g, "${ params.w }"]}}]`:   "",
		`input_schema: {properties: {w: {type: string, pattern: "[a-z]+$"}}}, rungs: [{command: {argv: [g, "${ params.w }"]}}]`:    "is an option of g here",
		`input_schema: {properties: {w: {type: integer, minimum: 0}}}, rungs: [{command: {argv: [g, "${ params.w }"]}}]`:           "",
		`input_schema: {properties: {w: {type: integer}}}, rungs: [{command: {argv: [g, "${ params.w }"]}}]`:                       "is an option of g here",
		`input_schema: {properties: {w: {enum: [a, b]}}}, rungs: [{command: {argv: [g, "${ params.w }"]}}]`:                        "",
		`input_schema: {properties: {w: {enum: [a, -b]}}}, rungs: [{command: {argv: [g, "${ params.w }"]}}]`:                       "is an option of g here",
		`output_schema: {type: object}, rungs: [{human: {question: "Which?", options: [a, b]}}]`:                                   `the answer "a" is refused: it does not fit the tool's output_schema: got string, want object`,
		`output_schema: {type: object}, rungs: [{human: {question: "Which?", options: [a, b]}, output: {id: "${ output }"}}]`:      "",
	} {
		tools, err := ParseTools("tools.yaml", []byte("tools: {a: {"+tool+"}}"))
		if err != nil {
			t.Fatalf("%s: %v", tool, err)
		}
		got := said(tools.Tools["a"].Warnings)
		if (got == "") != (want == "") || !strings.Contains(got, want) || strings.Contains(got, "\n") {
			t.Errorf("%s:\n got %s\nwant %s", tool, got, want)
		}
	}
}

func TestLintOfTimesInAPlan(t *testing.T) {
	t.Parallel()
	tools, err := ParseTools("tools.yaml", []byte(`tools: {slow: {timeout: 1h, rungs: [{static: {output: 1}}]}, rung: {rungs: [{timeout: 7m, http: {url: "http://x"}}]}, t: {rungs: [{http: {url: "http://x"}}]}}`))
	if err != nil {
		t.Fatal(err)
	}
	doc, err := ParsePlan("plan.yaml", []byte("{name: p, deadline: 5m, steps: [{id: a, tool: t}, {id: b, tool: slow}, {id: c, tool: rung}, {id: d, tool: slow}]}"), tools)
	if err != nil {
		t.Fatal(err)
	}
	want := "plan.yaml:1:65: a step of slow may take 1h, the whole run 5m (the run's deadline comes first)\n" +
		"plan.yaml:1:86: an attempt of rung/primary may take 7m, the whole run 5m (the run's deadline comes first)"
	if got := said(doc.Warnings); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestLintOfAgents: the tools that an agent may call are tools of the plan; a model that acts, or waits for people, is none.
func TestLintOfAgents(t *testing.T) {
	t.Parallel()
	const all = `tools:
  m: {effects: none, rungs: [{name: x, http: {url: "http://x"}}, {name: y, human: {question: "What now?"}}]}
  acts: {rungs: [{http: {url: "http://x"}}]}
  asks: {effects: none, approval: always, rungs: [{http: {url: "http://x"}}]}
  t.slow: {timeout: 1h, rungs: [{http: {url: "http://x"}}]}
  t.host: {rungs: [{http: {url: "http://${ params.host }", allow_hosts: ["*"]}}]}
  own: {effects: none, rungs: [{name: x, model: {provider: openai, model: x, prompt: "Hello ${ params.a }", auth: {bearer_env: KEY}}}]}
`
	for agent, want := range map[string]string{
		"{model: m, prompt: x, tools: [asks, ask_person]}":             "",
		"{model: acts, prompt: x}":                                     "plan.yaml:1:56: the agent's model acts is unsafe: a turn whose answer was lost is not asked for again, and people must say what it was (in the tool acts: effects: none)",
		"{model: asks, prompt: x}":                                     "plan.yaml:1:56: the agent's model asks needs approval: people are asked about every turn, before anybody knows what it proposes (let the tools that the agent calls need the approval)",
		"{model: m, prompt: x, tools: [asks, 't.s*', t.slow]}":         "plan.yaml:1:84: a step of t.slow may take 1h, the whole run 5m (the run's deadline comes first)",
		"{model: own, prompt: x}":                                      "plan.yaml:1:56: rung x of own has a prompt of its own, and is not told of the agent's conversation (in the tool own: leave prompt out)",
		"{model: m, prompt: x, keep_turns: 2, summary: {model: own}}":  "plan.yaml:1:102: rung x of own has a prompt of its own, and is not told of the agent's conversation (in the tool own: leave prompt out)",
		"{model: m, prompt: x, keep_turns: 2, summary: {model: acts}}": "plan.yaml:1:102: the model of the agent's summaries, acts, is unsafe: one whose answer was lost is not asked for again, and people must say what it was (in the tool acts: effects: none)",
		"{model: m, prompt: x, tools: ['t.h*']}":                       "tools.yaml:6:43: a parameter chooses the host of the url among all that there are, and so whom the worker talks to and shows its secrets (name the hosts that are meant in allow_hosts, or list those that may be in input_schema (enum))",
	} {
		tools, err := ParseTools("tools.yaml", []byte(all))
		if err != nil {
			t.Fatal(err)
		}
		doc, err := ParsePlan("plan.yaml", []byte("{name: p, deadline: 5m, steps: [{id: a, agent: "+agent+"}], output: \"${ steps.a.output.text }\"}"), tools)
		if err != nil {
			t.Fatal(err)
		}
		if got := said(doc.Warnings); got != want {
			t.Errorf("%s:\n got %s\nwant %s", agent, got, want)
		}
	}
}

// TestExamplesAreLinted: what is shipped is what people copy.
func TestExamplesAreLinted(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../examples/*.yaml")
	if err != nil || len(files) < 5 {
		t.Fatal(files, err)
	}
	tools, err := LoadTools("../../examples/tools.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range slices.DeleteFunc(files, func(f string) bool { return filepath.Base(f) == "tools.yaml" }) {
		doc, err := LoadPlan(file, tools)
		if err != nil {
			t.Fatal(err)
		}
		if warnings := doc.LintedWith(tools); len(warnings) > 0 {
			t.Errorf("%s", said(warnings))
		}
	}
}

// TestDegradedBy: how a degraded result came about is there for conditions, and null where nothing is degraded.
func TestDegradedBy(t *testing.T) {
	t.Parallel()
	tools, err := ParseTools("tools.yaml", []byte("tools: {t: {effects: none, rungs: [{name: primary, go: {}, retry: {max_attempts: 1}}, {name: cached, cache: {max_age: 1h}}]}}"))
	if err != nil {
		t.Fatal(err)
	}
	doc, err := ParsePlan("plan.yaml", []byte(`{name: p, steps: [{id: a, tool: t}], output: {
		by: "${ steps.a.degraded_by }", rung: "${ steps.a.degraded_by.rung }", cause: "${ steps.a.degraded_by?.cause }", age: "${ steps.a.degraded_by.age }",
		old: "${ steps.a.degraded_by.age > 3600 }", young: "${ 3600 >= steps.a.degraded_by.age }", cached: "${ steps.a.degraded_by.rung == 'cached' }", is: "${ steps.a.degraded }"}}`), tools)
	if err != nil {
		t.Fatal(err)
	}
	at := steps.Attempt{Step: "a", Try: 1}
	cached := steps.Attempt{Step: "a", Rung: 1, Try: 1}
	failed := steps.Failed{Attempt: at, Fault: steps.Fault{Class: steps.ToolError, Acted: steps.ActedNo, Message: "no"}}
	for _, c := range []struct {
		events []steps.Event
		want   string
	}{
		{[]steps.Event{steps.Succeeded{Attempt: at, Output: json.RawMessage(`1`)}}, `{"age":null,"by":null,"cached":false,"cause":null,"is":false,"old":false,"rung":null,"young":false}`},
		{[]steps.Event{failed, steps.Succeeded{Attempt: cached, Output: json.RawMessage(`1`), Age: steps.Duration(7200*time.Second + 250*time.Millisecond)}},
			`{"age":7200.25,"by":{"age":7200.25,"cause":"tool_error: no","rung":"cached"},"cached":true,"cause":"tool_error: no","is":true,"old":true,"rung":"cached","young":false}`},
	} {
		now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		s, _ := steps.Apply(nil, steps.Record{Seq: 1, Time: now, Run: "r", Event: steps.Submitted{Epoch: steps.Epoch, Input: json.RawMessage(`{}`), Program: doc.Program}})
		for i, e := range c.events {
			s, _ = steps.Apply(s, steps.Record{Seq: uint64(i + 2), Time: now, Run: "r", Event: e})
		}
		if string(s.Output) != c.want {
			t.Errorf("%s\nwant\n%s", s.Output, c.want)
		}
	}
}
