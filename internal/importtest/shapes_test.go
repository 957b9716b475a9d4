package importtest

import (
	"go/ast"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// facts are what there is to say of an escalation. A type that writes down its kind and at least so many others is a shape
// of one, and a place to change with every change; one that embeds another shape is not.
var facts = []string{"Run", "Workflow", "Step", "Tool", "Rung", "Class", "Message", "Opened", "Deadline", "Summary", "Allowed", "Due"}

const factsOfAShape = 3

// noShapes write down as much, and are of no single escalation.
var noShapes = map[string]string{
	"internal/notify.Notice":        "one message about any number of them: a fact stands there where they share it",
	"internal/notify.eventData":     "the body of a webhook, which receivers depend on: a notice, without what they must not see",
	"internal/cli/dispatcher.cause": "a line about all that are alike",
	"internal/injection.Order":      "what is injected into attempts; nobody is asked anything",
	"internal/steps/view.Wait":      "what a run waits for; only one way to wait is an escalation",
}

// TestAnEscalationHasFourShapes compares the types that write down what an escalation is with the table in ARCHITECTURE.md.
func TestAnEscalationHasFourShapes(t *testing.T) {
	t.Parallel()
	var found []string
	for _, p := range load(t) {
		for _, f := range p.files {
			for _, d := range f.Decls {
				found = append(found, shapesIn(p.name, d)...)
			}
		}
	}
	for name := range noShapes {
		i := slices.Index(found, name)
		if i < 0 {
			t.Errorf("%s is no such type any more: take it out of noShapes", name)
			continue
		}
		found = slices.Delete(found, i, i+1)
	}
	slices.Sort(found)
	if named := shapesNamed(t); !slices.Equal(found, named) {
		t.Errorf("an escalation's facts are written down by\n  %s\nARCHITECTURE.md names\n  %s", strings.Join(found, "\n  "), strings.Join(named, "\n  "))
	}
	rows := slices.DeleteFunc(found, func(name string) bool { return strings.HasPrefix(name, "belaytype.") })
	if len(rows)+1 > 4 {
		t.Errorf("%d shapes, and their public twins", len(rows))
	}
}

func shapesIn(pkg string, d ast.Decl) (names []string) {
	g, is := d.(*ast.GenDecl)
	if !is {
		return nil
	}
	for _, s := range g.Specs {
		ts, is := s.(*ast.TypeSpec)
		if !is {
			continue
		}
		st, is := ts.Type.(*ast.StructType)
		if !is {
			continue
		}
		kind, n := false, 0
		for _, f := range st.Fields.List {
			for _, name := range f.Names {
				kind = kind || name.Name == "Kind"
				if slices.Contains(facts, name.Name) {
					n++
				}
			}
		}
		if kind && n >= factsOfAShape {
			names = append(names, pkg+"."+ts.Name.Name)
		}
	}
	return names
}

// shapesNamed are the types in the first column of the table in ARCHITECTURE.md.
func shapesNamed(t *testing.T) (names []string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "ARCHITECTURE.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(text), "\n### The shapes of an escalation\n")
	table, _, _ = strings.Cut(table, "\n#")
	for line := range strings.Lines(table) {
		cell, _, _ := strings.Cut(strings.TrimPrefix(line, "| "), " | ")
		for _, m := range inBackquotes.FindAllStringSubmatch(cell, -1) {
			if strings.HasPrefix(line, "| `") {
				names = append(names, m[1])
			}
		}
	}
	slices.Sort(names)
	return names
}
