package plan

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/rogpeppe/go-internal/txtar"

	"belay/internal/steps"
)

// stories gives a section of every story as a seed.
func stories(f *testing.F, name string) {
	files, err := filepath.Glob("testdata/stories/*.txt")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(section(txtar.Parse(data), name))
	}
}

// FuzzParsePlan: whatever the text, there is a document that compiles to the same digest, or problems with places in
// the text.
func FuzzParsePlan(f *testing.F) {
	stories(f, "plan.yaml")
	tools, err := ParseTools("tools.yaml", []byte(sampleToolsSmall))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		doc, err := ParsePlan("plan.yaml", data, tools)
		if err != nil {
			checkProblems(t, data, err)
			return
		}
		again, err := Compile(doc.JSON)
		if err != nil || again.Digest != doc.Program.Digest {
			t.Fatalf("the document does not compile: %v", err)
		}
		if raw, err := marshal(again.Definition); err != nil || string(raw) != string(doc.JSON) {
			t.Fatalf("the document is not canonical:\n%s\n%s", doc.JSON, raw)
		}
		if raw, err := doc.CheckInput(nil); err == nil && !json.Valid(raw) {
			t.Fatalf("the input is no JSON: %s", raw)
		}
	})
}

func FuzzParseTools(f *testing.F) {
	stories(f, "tools.yaml")
	f.Add([]byte(sampleTools))
	f.Fuzz(func(t *testing.T, data []byte) {
		tools, err := ParseTools("tools.yaml", data)
		if err != nil {
			checkProblems(t, data, err)
			return
		}
		for name, tool := range tools.Tools {
			checkToolDef(t, name, tool)
		}
	})
}

func checkToolDef(t *testing.T, name string, tool *ToolDef) {
	if tool.Name != name || len(tool.Rungs) == 0 || len(tool.Rungs) != len(tool.Tool.Rungs) {
		t.Fatalf("tool %q: %+v", name, tool)
	}
	for _, r := range tool.Rungs {
		if r.Name == "" || r.Executor == "" || r.Timeout < 0 || r.Retry.MaxAttempts < 1 || r.Retry.Factor < 1 {
			t.Fatalf("rung of %q: %+v", name, r)
		}
		if s := r.Spec.HTTP; s != nil {
			_, _ = s.URL(map[string]any{})
		}
		if s := r.Spec.Static; s != nil && !json.Valid(s.Output) {
			t.Fatalf("static output of %q: %s", name, s.Output)
		}
	}
	if raw, err := marshal(tool.Tool); err != nil || !json.Valid(raw) {
		t.Fatalf("tool %q cannot be pinned: %v", name, err)
	}
}

func checkProblems(t *testing.T, data []byte, err error) {
	problems, ok := errors.AsType[Problems](err)
	if !ok || len(problems) == 0 {
		t.Fatalf("not problems: %v", err)
	}
	lines := strings.Count(string(data), "\n") + 2 + strings.Count(string(data), "\r") + strings.Count(string(data), "\u0085") +
		strings.Count(string(data), "\u2028") + strings.Count(string(data), "\u2029")
	for _, p := range problems {
		if p.Line < 0 || p.Line > lines || p.Message == "" {
			t.Fatalf("a problem at no place of the text: %#v", p)
		}
	}
}

// FuzzTemplate: whatever the expression, it is refused, or it gives JSON, or an error.
func FuzzTemplate(f *testing.F) {
	for _, s := range []string{
		"${ input.n + 1 }", "x ${ steps.first.output.id }", "$${ x }", "${ map(input.list, # * 2) }", "${ {'a': [1, 2.50]}.a[1] }", "${ input?.a ?? run.id }",
		"${ sort(input.list) | join(',') }", "${ let x = input.n; x in 1..10 }", "${ input.s matches '^a.*' }", "${ if input.yes { 1 } else { nil } }", "${ '}' }", "${ `",
		"${ input.list[1:] }", "${ -input.n % 3 ** 2 }", "${ groupBy(input.rows, .id) }", "${ reduce(input.list, #acc + #, 0) }", "${ fromJSON('[1e9]')[0] }",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		compiled, faults := compileTemplate(s, "", aView())
		for _, f := range faults {
			if f.message == "" || f.at < 0 || f.at > utf8.RuneCountInString(s)+1 {
				t.Fatalf("%q: %+v", s, f)
			}
		}
		if len(faults) > 0 {
			return
		}
		raw, err := compiled.over(aWorld())
		if err == nil && !json.Valid(raw) {
			t.Fatalf("%q gives no JSON: %s", s, raw)
		}
		if again, err2 := compiled.over(aWorld()); (err == nil) != (err2 == nil) || string(raw) != string(again) {
			t.Fatalf("%q gives %s, then %s", s, raw, again)
		}
	})
}

// FuzzValues: every JSON value passes through as it was written, but for order and space.
func FuzzValues(f *testing.F) {
	for _, s := range []string{`1.10`, `{"b":[1e3,"<>&\u2028"],"a":null}`, `"\ud800"`, `-0`, `[[[]]]`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if !json.Valid([]byte(s)) {
			return
		}
		once, err := canonical(steps.Decode(json.RawMessage(s)))
		if err != nil {
			t.Fatal(err)
		}
		twice, err := canonical(steps.Decode(once))
		if err != nil || string(once) != string(twice) {
			t.Fatalf("%s becomes %s, then %s (%v)", s, once, twice, err)
		}
	})
}
