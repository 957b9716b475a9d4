package prove

import (
	"fmt"
	"strings"

	"pgregory.net/rapid"

	"belay/internal/plan"
)

// drawn is a plan with its tools as random as they may be, in the words in which people write them.
func drawn(t *rapid.T) (tools, text string) {
	one := func(name string, of ...string) string { return rapid.SampledFrom(of).Draw(t, name) }
	var b strings.Builder
	b.WriteString("tools:\n")
	for i, effects := range []string{"none", "idempotent", "unsafe"} {
		fmt.Fprintf(&b, "  t%d:\n    effects: %s\n    timeout: %s\n    rungs:\n", i, effects, one("budget", "0s", "30d", "30d", "30d", "3s", "20s"))
		for k := range rapid.IntRange(1, 3).Draw(t, "rungs") {
			executor := one("executor", `http: {url: "http://a/"}`, `http: {url: "http://b/"}`, "command: {argv: [cat], grace: 1s}", "go: {}", "remote: {}", "cache: {max_age: 1h}", `nats: {subject: x}`, `human: {question: "?", deadline: 1m, on_deadline: fallback}`)
			fmt.Fprintf(&b, "      - {name: r%d, %s%s}\n", k, executor, drawnRetry(t, executor))
		}
		if one("approval", "", "", "yes") != "" {
			b.WriteString("    approval: {deadline: 1h}\n")
		}
		if one("undo", "", "yes") != "" {
			b.WriteString("    undo: {tool: undo}\n")
		}
		if one("probe", "", "yes") != "" {
			fmt.Fprintf(&b, "    verify: {http: {url: \"http://c/\"}, happened: output.found%s}\n", drawnRetry(t, ""))
		}
	}
	fmt.Fprintf(&b, "  undo: {effects: idempotent, timeout: 30d, rungs: [{name: r0, http: {url: \"http://a/\"}%s}]%s}\n", drawnRetry(t, ""),
		one("probe of undo", "", `, verify: {http: {url: "http://e/"}, happened: output.found}`))
	fmt.Fprintf(&b, "  m:\n    effects: none\n    timeout: %s\n    rungs:\n", one("budget", "0s", "30d", "30d", "20s"))
	for k := range rapid.IntRange(1, 2).Draw(t, "rungs") {
		fmt.Fprintf(&b, "      - {name: r%d, %s%s}\n", k, one("executor", `http: {url: "http://a/"}`, "go: {}", drawnModel, drawnModel, "command: {argv: [cat], grace: 1s}", "remote: {}"), drawnRetry(t, ""))
	}
	fmt.Fprintf(&b, "  m2: {effects: none, timeout: %s, rungs: [{name: r0, %s%s}]}\n", one("budget", "0s", "30d", "20s"), one("executor", `http: {url: "http://s/"}`, drawnModel), drawnRetry(t, ""))
	b.WriteString("  fails: {effects: none, timeout: 30d, rungs: [{name: r0, http: {url: \"http://d/\"}, timeout: 1s, retry: {max_attempts: 1, max_named_waits: 1, retry_after_max: 1s}}]}\n")
	agent := drawnAgent(t)
	last := one("fails", "", "  - {id: c, tool: fails, on_failure: fail}\n")
	if strings.Contains(agent, "on_limit: fail") {
		last = ""
	}
	return b.String(), fmt.Sprintf(`
name: drawn
escalate_after: %s
deadline: %s
on_deadline: %s
steps:
  - {id: a, tool: %s, on_failure: skip, compensate: {tool: undo}}
  - {id: b, tool: %s, on_failure: skip, for_each: "1..%d", max_parallel: 1, compensate: {tool: undo}}
%s%s`, one("escalate_after", "0", "0", "1", "2", "3"), one("deadline", "0s", "0s", "3s", "20s", "31s", "2m"), one("on_deadline", "escalate", "fail"), one("tool", "t0", "t1", "t2"), one("tool", "t0", "t1", "t2"), rapid.IntRange(1, 3).Draw(t, "n"), agent, last)
}

// drawnModel costs a dollar for each token that it writes.
const drawnModel = `model: {provider: openai, model: x, base_url: "http://m/", price: {input: 0, output: 1000000}}`

// drawnAgent is an agent, or none.
func drawnAgent(t *rapid.T) string {
	one := func(name string, of ...string) string { return rapid.SampledFrom(of).Draw(t, name) }
	if one("agent", "", "yes") == "" {
		return ""
	}
	return fmt.Sprintf("  - {id: g, on_failure: skip, agent: {model: m, prompt: \"Do it, ${ steps.a.state }.\", tools: %s, on_limit: %s%s%s, max_output_tokens: 5, limits: {turns: %d, calls: %d, repeats: %d%s%s}}}\n",
		one("tools", "[t0]", "[t1, t2]", "[t*, ask_person]", "[ask_person]", "[]", "[t2]"), one("on_limit", "escalate", "finish", "fail"),
		one("output_schema", "", ", output_schema: {type: object, required: [ok]}"), one("summary", "", ", keep_turns: 1, summary: {model: m, max_output_tokens: 5}", ", keep_turns: 1, summary: {model: m2, max_output_tokens: 5}"), rapid.IntRange(1, 4).Draw(t, "turns"), rapid.IntRange(1, 5).Draw(t, "calls"),
		rapid.IntRange(2, 3).Draw(t, "repeats"), one("limit of time", "", "", ", time: 3s", ", time: 1m"), one("limit of money", "", "", "", ", usd: 5", ", usd: 17"))
}

func drawnRetry(t *rapid.T, executor string) string {
	if strings.HasPrefix(executor, "human") {
		return ""
	}
	one := func(name string, of ...string) string { return rapid.SampledFrom(of).Draw(t, name) }
	timeout := one("timeout", "1s", "5s")
	s := fmt.Sprintf(", timeout: %s, retry: {max_attempts: %s, initial: %s, factor: %s, max: 60s, retry_after_max: %s, max_named_waits: %s", timeout, one("max", "1", "2", "3"), one("initial", "10ms", "1s"), one("factor", "1", "2"), one("retry_after_max", "1s", "10s"), one("named", "1", "2"))
	switch one("on", "", "one", "more", "crash") {
	case "one":
		s += ", on: {rate_limited: {max_attempts: 1}, timeout: {max_attempts: 1}}"
	case "more":
		s += ", on: {connection: {max_attempts: 4, initial: 20ms, max: 40ms}}"
	case "crash":
		s += ", on: {crashed: {max_attempts: 2}}"
	}
	return s + "}"
}

func parse(t interface{ Fatalf(string, ...any) }, tools, text string) (*plan.Document, *plan.Tools) {
	parsed, err := plan.ParseTools("tools.yaml", []byte(tools))
	if err != nil {
		t.Fatalf("%v\n%s", err, tools)
	}
	doc, err := plan.ParsePlan("plan.yaml", []byte(text), parsed)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return doc, parsed
}
