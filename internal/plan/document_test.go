package plan

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"belay/internal/expr"
	"belay/internal/steps"
	"belay/internal/yamldoc"
)

const sampleToolsSmall = `tools: {t: {effects: none, rungs: [{go: {}}]}, other: {rungs: [{go: {}}]}, undo: {rungs: [{go: {}}]}}`

func document(t *testing.T, text string) *Document {
	t.Helper()
	tools, err := ParseTools("tools.yaml", []byte(sampleToolsSmall))
	if err != nil {
		t.Fatal(err)
	}
	doc, err := ParsePlan("plan.yaml", []byte(text), tools)
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func TestDocumentIsStable(t *testing.T) {
	t.Parallel()
	a := document(t, "name: p\ninput: {b: 1.0, a: x}\nsteps:\n- {id: a, tool: t, with: {z: 1, y: '<&>'}}\n")
	b := document(t, `{"steps": [{"with": {"y": "<&>", "z": 1}, "tool": "t", "id": "a", "needs": []}], "input": {"a": "x", "b": 1.0}, "name": "p"}`)
	if !bytes.Equal(a.JSON, b.JSON) {
		t.Errorf("the same plan gives\n%s\n%s", a.JSON, b.JSON)
	}
	if a.Program.Digest != b.Program.Digest || len(a.Program.Digest) != 64 {
		t.Error(a.Program.Digest, b.Program.Digest)
	}
	var again steps.Definition
	if err := json.Unmarshal(a.JSON, &again); err != nil {
		t.Fatal(err)
	}
	if raw, err := marshal(again); err != nil || !bytes.Equal(raw, a.JSON) {
		t.Errorf("read and written again it is\n%s", raw)
	}
}

func TestOnlyNamedToolsArePinned(t *testing.T) {
	t.Parallel()
	doc := document(t, "{name: p, steps: [{id: a, tool: t, compensate: {tool: undo}}]}")
	if len(doc.Definition.Tools) != 2 || doc.Definition.Tools["undo"].Name != "undo" {
		t.Errorf("%v", doc.Definition.Tools)
	}
}

func TestCompile(t *testing.T) {
	t.Parallel()
	doc := document(t, `
name: p
input: {list: [1]}
steps:
  - {id: a, tool: t}
  - {id: b, tool: t, for_each: "steps.a.output", when: item.ok, with: {x: "${ item }"}, compensate: {tool: undo, with: {x: 1}}}
  - {id: c, tool: other, needs: [a], for_each: input.list, when: steps.a.output.ok}
output: ["${ input.list }", 1]
`)
	p, err := Compile(doc.JSON)
	if err != nil {
		t.Fatal(err)
	}
	a, b, c := p.Nodes[0], p.Nodes[1], p.Nodes[2]
	if a.When != nil || a.With != nil || a.ForEach != nil || a.Tool.Name != "t" || fmt.Sprint(a.Dependents) != "[1 2]" {
		t.Errorf("%+v", a)
	}
	if b.When == nil || !b.WhenPerItem || b.With == nil || b.ForEach == nil || b.Undo.Tool.Name != "undo" || fmt.Sprint(b.Needs) != "[0]" {
		t.Errorf("%+v", b)
	}
	if c.WhenPerItem || c.Undo != nil || p.Output == nil {
		t.Errorf("%+v", c)
	}
	constant, err := b.Undo.With(steps.Scope{}) // a constant reads nothing of the scope
	if err != nil || string(constant) != `{"x":1}` {
		t.Errorf("%s, %v", constant, err)
	}
}

func TestCompileRefuses(t *testing.T) {
	t.Parallel()
	good := string(document(t, `{name: p, steps: [{id: a, tool: t, with: {x: "${ input.x }"}}, {id: b, tool: t, when: "true", compensate: {tool: undo}}]}`).JSON)
	for _, c := range []struct{ old, new, want string }{
		{`{`, ``, "invalid character"},
		{`"steps":[`, `"steps":[],"was":[`, "0 steps"},
		{`"id":"b"`, `"id":"a"`, "there twice"},
		{`"id":"b"`, `"id":"b.c"`, "not valid"},
		{`"needs":["a"]`, `"needs":["z"]`, `needs unknown step "z"`},
		{`"needs":["a"]`, `"needs":["b"]`, "cycle"},
		{`"id":"b","tool":"t"`, `"id":"b","tool":"x"`, `tool "x" is not pinned`},
		{`"compensate":{"tool":"undo"}`, `"compensate":{"tool":"x"}`, `tool "x" is not pinned`},
		{`"name":"primary"`, `"name":"a.b"`, "not a valid name"},
		{`"name":"t"`, `"name":"u"`, "not pinned"},
		{`input.x`, `steps.b.output`, `step "a": x: character 10: step "b" is not among the needs`},
		{`"name":"t","effects"`, `"name":"t","undo":{"tool":"x"},"effects"`, `undo of tool "t": tool "x" is not pinned`},
		{`"name":"t","effects"`, `"name":"t","undo":{"tool":"t"},"effects"`, `undo of tool "t": "t" is undone itself`},
		{`"name":"t","effects"`, `"name":"t","undo":{"tool":"undo","with":{"x":"${ steps.a }"}},"effects"`, `tool "t": undo: x: character `},
		{`"when":"true"`, `"when":"1 +"`, `step "b": when: character 3: the expression ends too early`},
	} {
		bad := strings.Replace(good, c.old, c.new, 1)
		if bad == good {
			t.Fatalf("%s is not in %s", c.old, good)
		}
		_, err := Compile([]byte(bad))
		if !errors.Is(err, ErrDocument) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s instead of %s: %v\n want %s", c.new, c.old, err, c.want)
		}
	}
}

func TestTooManySteps(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString("name: p\nsteps:\n")
	for i := range maxSteps + 1 {
		fmt.Fprintf(&b, "- {id: s%d, tool: t}\n", i)
	}
	tools, err := ParseTools("tools.yaml", []byte(sampleToolsSmall))
	if err != nil {
		t.Fatal(err)
	}
	_, err = ParsePlan("plan.yaml", []byte(b.String()), tools)
	if err == nil || err.Error() != "plan.yaml:3:1: the plan has 10001 steps; at most 10000 are allowed (use for_each, or split the plan)" {
		t.Error(err)
	}
}

func TestManyMistakesAreFoundInTime(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString("name: p\nsteps:\n")
	for i := range 5_000 {
		fmt.Fprintf(&b, "- {id: step%d, tool: tt, needs: [stepp%d], when: steps.stpe%d.state == 1}\n", i, i, i)
	}
	tools, err := ParseTools("tools.yaml", []byte(sampleToolsSmall))
	if err != nil {
		t.Fatal(err)
	}
	_, err = ParsePlan("plan.yaml", []byte(b.String()), tools)
	if problems, ok := errors.AsType[yamldoc.Problems](err); !ok || len(problems) != 15_000 {
		t.Errorf("%d problems", len(problems))
	}
}

func TestTooLargeDocuments(t *testing.T) {
	t.Parallel()
	tools, err := ParseTools("tools.yaml", []byte(sampleToolsSmall))
	if err != nil {
		t.Fatal(err)
	}
	bomb := "a: &a [1,1,1,1,1,1,1,1,1,1]\n"
	for c := 'b'; c <= 'h'; c++ {
		bomb += fmt.Sprintf("%c: &%c [%s]\n", c, c, strings.Repeat(fmt.Sprintf("*%c,", c-1), 10))
	}
	for name, c := range map[string]struct{ text, want string }{
		"file":    {strings.Repeat("#", 4<<20+1), "plan.yaml: the file is larger than 4 MiB"},
		"message": {"name: p\nsteps: [{id: a, tool: t, with: {x: '" + strings.Repeat("x", steps.MaxSubmitted) + "'}}]", "bytes; at most 524288 are allowed"},
		"aliases": {bomb, "once its aliases are replaced"},
		"depth":   {"x: " + strings.Repeat("[", 250) + strings.Repeat("]", 250), "nested deeper than 200"},
		"deeper":  {"x: " + strings.Repeat("[", 100_000), "not YAML"},
	} {
		_, err := ParsePlan("plan.yaml", []byte(c.text), tools)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %.200v\n want %s", name, err, c.want)
		}
	}
}

func TestBytesThatAreNoText(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"a: \x01\n":           "t.yaml:1:4: not YAML: control characters are not allowed (value: 1) (remove the control character)",
		"a: b\nc: \xff\n":     "t.yaml:2:4: not YAML:",
		"":                    "t.yaml:1:1: the tools file is empty",
		"null":                "t.yaml:1:1: the tools file is empty",
		"\ufefftools: {x: 1}": `t.yaml:1:12: tool "x" must be a mapping of keys to values, not a number`,
	} {
		_, err := ParseTools("t.yaml", []byte(text))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v\n want %s", text, err, want)
		}
	}
}

func TestCheckInput(t *testing.T) {
	t.Parallel()
	declared := document(t, `
name: p
input: {order: A-1, amount: 120.50, any: ~, list: [1], flag: true}
input_schema: {properties: {amount: {maximum: 1000}, extra: {type: string}}}
steps: [{id: a, tool: t}]
`)
	free := document(t, `{name: p, steps: [{id: a, tool: t}]}`)
	none := document(t, `{name: p, input: {}, steps: [{id: a, tool: t}]}`)
	for _, c := range []struct {
		doc         *Document
		given, want string
	}{
		{declared, `{}`, `{"amount":120.50,"any":null,"flag":true,"list":[1],"order":"A-1"}`},
		{declared, `{"amount":12345e-3,"any":{"b":1,"a":2},"extra":"x"}`, `{"amount":12345e-3,"any":{"a":2,"b":1},"extra":"x","flag":true,"list":[1],"order":"A-1"}`},
		{declared, `{"ordr":"x"}`, `input "ordr": the plan has no such input (did you mean "order"?)`},
		{declared, `{"order":5,"list":{},"flag":null}`, "input \"flag\": must be a boolean like its default, not null\ninput \"list\": must be a list like its default, not an object\ninput \"order\": must be a string like its default, not a number"},
		{declared, `{"amount":2000,"extra":1}`, "input amount: maximum: got 2,000, want 1,000\ninput extra: got number, want string"},
		{declared, `{"amount":1e999999999}`, `input amount: maximum: got ∞, want 1,000`},
		{free, `{"x":1.10}`, `{"x":1.10}`},
		{free, `{}`, `{}`},
		{none, `{"x":1}`, `input "x": the plan takes no input`},
	} {
		var given map[string]json.RawMessage
		if err := json.Unmarshal([]byte(c.given), &given); err != nil {
			t.Fatal(err)
		}
		got := outcome(c.doc.CheckInput(given))
		if got != c.want && !(strings.HasPrefix(c.want, "too") && strings.Contains(got, c.want)) {
			t.Errorf("%s gives\n%s\nwant\n%s", c.given, got, c.want)
		}
	}
	for _, levels := range []int{steps.MaxDepth, steps.MaxDepth + 1, 20_000} {
		deep := json.RawMessage(strings.Repeat("[", levels) + strings.Repeat("]", levels))
		if _, err := free.CheckInput(map[string]json.RawMessage{"x": deep}); err == nil || !strings.Contains(err.Error(), "at most 200 are possible") {
			t.Errorf("%d levels: %v", levels, err)
		}
	}
	if _, err := free.CheckInput(map[string]json.RawMessage{"x": json.RawMessage(`{`)}); err == nil {
		t.Error("input that is no JSON is taken")
	}
	if _, err := free.CheckInput(map[string]json.RawMessage{"x": expr.AppendString(nil, strings.Repeat("x", steps.MaxSubmitted))}); err == nil {
		t.Error("an input of any size is taken")
	}
}

func TestParseInput(t *testing.T) {
	t.Parallel()
	doc := document(t, `{name: p, input: {s: x, n: 1, b: true, l: [], any: ~}, steps: [{id: a, tool: t}]}`)
	free := document(t, `{name: p, steps: [{id: a, tool: t}]}`)
	for _, c := range []struct {
		doc              *Document
		name, text, want string
	}{
		{doc, "s", `123`, `"123"`},
		{doc, "s", `a"b`, `"a\"b"`},
		{doc, "n", `12345678901234567890`, `12345678901234567890`},
		{doc, "n", `1.10`, `1.10`},
		{doc, "n", `abc`, `input "n": "abc" is not a number, which its default is`},
		{doc, "n", `0x10`, `input "n": "0x10" is not a number, which its default is`},
		{doc, "b", `false`, `false`},
		{doc, "b", `no`, `input "b": "no" is not a boolean, which its default is`},
		{doc, "l", `[1, 2]`, `[1,2]`},
		{doc, "any", `{"a": 1.0}`, `{"a":1.0}`},
		{doc, "any", `A-1009`, `"A-1009"`},
		{doc, "any", ``, `""`},
		{doc, "x", `1`, `input "x": the plan has no such input (one of: any, b, l, n, s)`},
		{free, "x", `12345678901234567890`, `12345678901234567890`},
		{free, "x", `007`, `"007"`},
		{doc, "s", strings.Repeat("[", 300), `"` + strings.Repeat("[", 300) + `"`},
		{free, "x", strings.Repeat("[", 300) + strings.Repeat("]", 300), `input "x": lists and objects are nested 300 levels deep, at most 200 are possible`},
		{free, "x", strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000), `input "x": lists and objects are nested 20000 levels deep, at most 200 are possible`},
	} {
		if got := outcome(c.doc.ParseInput(c.name, c.text)); got != c.want {
			t.Errorf("%s=%s gives %s, want %s", c.name, c.text, got, c.want)
		}
	}
}

func TestCache(t *testing.T) {
	t.Parallel()
	c := NewCache(2)
	var docs [3][]byte
	for i := range docs {
		docs[i] = document(t, fmt.Sprintf("{name: p%d, steps: [{id: a, tool: t}]}", i)).JSON
	}
	program := func(doc []byte) *steps.Program {
		p, err := c.Program(bytes.Clone(doc))
		if err != nil {
			t.Error(err)
		}
		return p
	}
	first := program(docs[0])
	program(docs[1])
	if program(docs[0]) != first {
		t.Error("a program is compiled twice")
	}
	program(docs[2]) // makes room by dropping docs[1], which was not used for the longest time
	if program(docs[0]) != first {
		t.Error("the program used last was dropped")
	}
	if len(c.entries) != 2 || c.recent.Len() != 2 {
		t.Errorf("the cache holds %d programs", len(c.entries))
	}
	if _, err := c.Program([]byte("x")); !errors.Is(err, ErrDocument) {
		t.Error(err)
	}
}

func TestCacheTogether(t *testing.T) {
	t.Parallel()
	c, doc := NewCache(0), document(t, "{name: p, steps: [{id: a, tool: t}]}").JSON
	programs := make([]*steps.Program, 8)
	var wg sync.WaitGroup
	for i := range programs {
		wg.Go(func() { programs[i], _ = c.Program(doc) })
	}
	wg.Wait()
	for _, p := range programs {
		if p == nil || p != programs[0] {
			t.Fatal("the same document gives several programs")
		}
	}
}

// TestADocumentIsAsDeepAsAnEvent: what a document may nest, an event may carry.
func TestADocumentIsAsDeepAsAnEvent(t *testing.T) {
	t.Parallel()
	if yamldoc.MaxDepth != steps.MaxDepth {
		t.Errorf("documents: %d, events: %d", yamldoc.MaxDepth, steps.MaxDepth)
	}
}

func outcome(raw json.RawMessage, err error) string {
	if err != nil {
		return err.Error()
	}
	return string(raw)
}
