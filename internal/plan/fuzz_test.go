package plan

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"belay/internal/yamldoc"
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
	problems, ok := errors.AsType[yamldoc.Problems](err)
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

// FuzzCompile: a document out of a log compiles to a program with its digest, or says what is wrong.
func FuzzCompile(f *testing.F) {
	tools, err := ParseTools("tools.yaml", []byte(sampleToolsSmall))
	if err != nil {
		f.Fatal(err)
	}
	files, err := filepath.Glob("testdata/stories/*.txt")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		if doc, err := ParsePlan("plan.yaml", section(txtar.Parse(data), "plan.yaml"), tools); err == nil {
			f.Add(doc.JSON)
		}
	}
	f.Add([]byte(`{"plan":{"name":"p","steps":[{"id":"a","tool":"t"}],"Steps":[]},"tools":{"t":{}}}`))
	f.Fuzz(func(t *testing.T, document []byte) {
		p, err := Compile(document)
		if err != nil {
			if !errors.Is(err, ErrDocument) {
				t.Fatalf("%v", err)
			}
			return
		}
		if p.Digest != digest(document) {
			t.Fatalf("the digest is %s", p.Digest)
		}
		once, err := marshal(p.Definition)
		if err != nil {
			t.Fatal(err)
		}
		back, err := Compile(once)
		if err != nil {
			t.Fatalf("%s: %v", once, err)
		}
		if twice, err := marshal(back.Definition); err != nil || string(once) != string(twice) {
			t.Fatalf("%s\n%s\n%v", once, twice, err)
		}
	})
}
