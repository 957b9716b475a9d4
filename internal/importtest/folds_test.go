package importtest

import (
	"go/ast"
	"slices"
	"testing"
)

// events are what a run's log holds. What they mean together is for one fold to say, steps.Apply.
var events = []string{
	"Submitted", "Cancelled", "Started", "Progress", "Succeeded", "Failed", "Objected", "Claimed", "Fired", "Unserved", "Withdrawn", "Damaged", "Held", "Released", "Decided", "Closed",
}

// eventReaders look at single events outside the core. Whoever puts several of them together to learn where a run stands
// has made a second fold, which will differ from the first: ask the state instead.
var eventReaders = map[string]string{
	".":                       "puts one event into the words of the public package",
	"internal/wire":           "reads and writes them",
	"internal/runlog":         "builds and parses messages of logs; history.go picks the records of one step for steps.VerdictOn and steps.Guard, and decides nothing",
	"internal/steps/view":     "says what came of one act, on the state right after it",
	"internal/stepstest":      "makes up what the world would have reported",
	"internal/sim":            "stores a claim and an end once only, as the server does, and says each event in words",
	"internal/dispatch":       "notes that its own timer has fired",
	"internal/score":          "counts single events with the state after each, and decides nothing",
	"internal/engine":         "wakes the audit trail for acts on runs",
	"internal/worker":         "shortens its own outcome where it is too large to be stored",
	"internal/handoff":        "recognises its own decision when it comes by",
	"internal/audit":          "records one act of a person, with the state at that moment",
	"internal/observe":        "counts and logs single events as the dispatcher applies them, with the state after each",
	"internal/server":         "tells open pages which escalation was decided",
	"internal/cli/dispatcher": "bench hears that its runs end",
	"internal/conformance":    "sees a worker from outside, who may break every rule that the fold relies on",
}

// TestOnlyTheCoreFolds finds packages that begin to read events by themselves.
func TestOnlyTheCoreFolds(t *testing.T) {
	t.Parallel()
	read := map[string]bool{}
	for _, p := range load(t) {
		if p.name == "internal/steps" {
			continue
		}
		for _, f := range p.files {
			ast.Inspect(f, func(n ast.Node) bool {
				read[p.name] = read[p.name] || tellsEventsApart(n)
				return true
			})
		}
		if _, may := eventReaders[p.name]; read[p.name] != may {
			t.Errorf("%s reads events by itself: %t; the table of those who do says %t", p.name, read[p.name], may)
		}
	}
}

// tellsEventsApart reports whether a node asks which event it has.
func tellsEventsApart(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.TypeAssertExpr:
		return isEvent(n.Type)
	case *ast.TypeSwitchStmt:
		return slices.ContainsFunc(n.Body.List, func(s ast.Stmt) bool {
			c, is := s.(*ast.CaseClause)
			return is && slices.ContainsFunc(c.List, isEvent)
		})
	}
	return false
}

func isEvent(typ ast.Expr) bool {
	sel, is := typ.(*ast.SelectorExpr)
	if !is {
		return false
	}
	pkg, is := sel.X.(*ast.Ident)
	return is && pkg.Name == "steps" && slices.Contains(events, sel.Sel.Name)
}
