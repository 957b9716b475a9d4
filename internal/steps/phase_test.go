package steps_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"belay/internal/steps"
	"belay/internal/stepstest"
)

// walked are the transitions that runs have made, and how often.
type walked [steps.Phases][steps.Phases]int

// apply is steps.Apply, noting the transitions of runs under the newest rules.
func (w *walked) apply(s *steps.State, r steps.Record) (*steps.State, []int) {
	newest := s != nil && s.Epoch() == steps.Epoch
	if e, ok := r.Event.(steps.Submitted); ok && s == nil {
		newest = e.Epoch == steps.Epoch
	}
	return steps.ApplyWatched(s, r, func(u *steps.Unit, to steps.Phase) {
		if newest {
			w[u.Phase()][to]++
		}
	})
}

// TestEveryTransitionIsReached plays all stories and the same few hundred random runs: each transition of the table
// happens in one of them. That no other happens the core sees to itself: it would panic.
func TestEveryTransitionIsReached(t *testing.T) {
	t.Parallel()
	var w walked
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no stories", err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		st := stepstest.NewStory(t)
		st.Apply = w.apply
		for line := range strings.Lines(string(text)) {
			if line = strings.TrimRight(line, "\n"); line != "" && !strings.HasPrefix(line, " ") && !strings.HasPrefix(line, "#") {
				st.Command(line)
			}
		}
	}
	runs := rapid.Custom(func(t *rapid.T) bool {
		play(t, steps.Epoch, w.apply)
		return true
	})
	for seed := range randomRuns {
		runs.Example(seed)
	}
	for from := range steps.Phases {
		for to := range steps.Phases {
			if steps.Legal(from, to) && w[from][to] == 0 {
				t.Errorf("nothing goes from %s to %s", from, to)
			}
		}
	}
}

// randomRuns are enough to reach what the stories do not.
const randomRuns = 300

// TestDiagram keeps testdata/states.md what the table says: -update writes it anew.
func TestDiagram(t *testing.T) {
	t.Parallel()
	stepstest.File(t, "testdata/states.md", diagram(t))
}

func diagram(t *testing.T) string {
	var b strings.Builder
	b.WriteString("# Where a unit stands\n\nMade from internal/steps/phase.go by `go test ./internal/steps -run TestDiagram -update`.\n\n")
	b.WriteString("| phase | shown as | what it means |\n|---|---|---|\n")
	meanings := phaseComments(t)
	for p := range steps.Phases {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", p, p.State(), meanings[p])
	}
	b.WriteString("\n```mermaid\nstateDiagram-v2\n    [*] --> waiting\n")
	for from := range steps.Phases {
		for to := range steps.Phases {
			if steps.Legal(from, to) {
				fmt.Fprintf(&b, "    %s --> %s\n", from, to)
			}
		}
		if from.State().Ended() || from == steps.PhaseLeftUnknown {
			fmt.Fprintf(&b, "    %s --> [*]\n", from)
		}
	}
	b.WriteString("```\n")
	return b.String()
}

// phaseComments are the comments on the constants, in their order.
func phaseComments(t *testing.T) (list []string) {
	f, err := parser.ParseFile(token.NewFileSet(), "phase.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(f, func(n ast.Node) bool {
		if v, ok := n.(*ast.ValueSpec); ok && strings.HasPrefix(v.Names[0].Name, "Phase") && v.Doc != nil {
			_, meaning, _ := strings.Cut(v.Doc.Text(), ": ")
			list = append(list, strings.Join(strings.Fields(meaning), " "))
		}
		return true
	})
	return list
}
