package steps_test

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"belay/internal/steps"
	"belay/internal/stepstest"
)

// faultRow is a row of the table of classes in docs/faults.md.
type faultRow struct{ class, harmless, refused, doubtful, decides, kind string }

var linkedCode = regexp.MustCompile("`([a-z_]+)`")

// faultRows are the rows of the first table of docs/faults.md.
func faultRows(t *testing.T) (rows []faultRow) {
	t.Helper()
	page, err := os.ReadFile("../../docs/faults.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(page), "\n| class |")
	for line := range strings.SplitSeq(table, "\n") {
		cells := strings.Split(line, "|")
		if name := linkedCode.FindStringSubmatch(line); strings.HasPrefix(line, "| [") && len(cells) > 6 && name != nil {
			for i := range cells {
				cells[i] = strings.Trim(cells[i], " `")
			}
			rows = append(rows, faultRow{name[1], cells[2], cells[3], cells[4], cells[5], cells[6]})
		} else if !strings.HasPrefix(line, "|--") && len(rows) > 0 {
			break
		}
	}
	return rows
}

// TestReferenceOfFaults: the page has every class, and says of each what the core does.
func TestReferenceOfFaults(t *testing.T) {
	t.Parallel()
	var seen []steps.Class
	for _, row := range faultRows(t) {
		class := steps.Class(row.class)
		seen = append(seen, class)
		want := faultRow{
			class: row.class, harmless: reactionTo(t, class, steps.EffectsIdempotent, steps.ActedMaybe),
			refused: reactionTo(t, class, steps.EffectsUnsafe, steps.ActedNo), doubtful: reactionTo(t, class, steps.EffectsUnsafe, steps.ActedMaybe),
			decides: "no", kind: string(theEnd(t, class, steps.OnFailureEscalate).Escalations[0].Kind),
		}
		if theEnd(t, class, steps.OnFailureSkip).Units[0].State() == steps.StepSkipped {
			want.decides = "yes"
		}
		if row != want {
			t.Errorf("docs/faults.md says of %s\n %+v, the core does\n %+v", class, row, want)
		}
		if none := reactionTo(t, class, steps.EffectsNone, steps.ActedMaybe); none != want.harmless {
			t.Errorf("%s: with effects none the core does %q, with idempotent %q: docs/faults.md has one column for both", class, none, want.harmless)
		}
	}
	slices.Sort(seen)
	if !slices.Equal(seen, steps.Classes()) {
		t.Errorf("docs/faults.md has the classes %v, there are %v", seen, steps.Classes())
	}
}

// failing is a run of one step whose attempt is queued, on the first rung of two.
func failing(t *testing.T, effects steps.Effects, on steps.OnFailure, rungs int) *stepstest.World {
	t.Helper()
	retry := steps.RetryPolicy{MaxAttempts: 2, Initial: 1e9, Factor: 1, Max: 1e9}
	tool := steps.Tool{Name: "t", Effects: effects}
	for _, name := range []string{"primary", "second"}[:rungs] {
		tool.Rungs = append(tool.Rungs, steps.Rung{Name: name, Executor: "http", Retry: retry})
	}
	p := stepstest.NewPlan()
	p.Plan = steps.Plan{Name: "p", Steps: []steps.Step{{ID: "a", Tool: "t", OnFailure: on}}}
	p.Tools["t"] = tool
	w := stepstest.NewWorld(t)
	w.Add(steps.Submitted{Epoch: steps.Epoch, Program: p.Program(), Input: json.RawMessage(`{}`)})
	return w
}

// fail lets the attempt that is out fail.
func fail(w *stepstest.World, f steps.Fault) {
	w.Add(steps.Failed{Attempt: w.State.Attempt(0), Worker: "w", Fault: f})
}

// reactionTo says in the words of the page what the core does with a fault of a class.
func reactionTo(t *testing.T, class steps.Class, effects steps.Effects, acted steps.Acted) string {
	t.Helper()
	f := steps.Fault{Class: class, Acted: acted, Message: "so it is"}
	w := failing(t, effects, steps.OnFailureEscalate, 2)
	fail(w, f)
	var words []string
	if a := w.State.Attempt(0); a.Rung == 0 && a.Try == 2 {
		words = append(words, "retry")
		fail(w, f)
	}
	switch u := &w.State.Units[0]; {
	case u.State() == steps.StepUnknown:
		words = append(words, "unknown")
	case u.State() == steps.StepEscalated:
		words = append(words, "person")
	case w.State.Attempt(0).Rung == 1:
		words = append(words, "next rung")
	}
	return strings.Join(words, ", ")
}

// theEnd is a run in which nothing is left to try after a fault that has done nothing.
func theEnd(t *testing.T, class steps.Class, on steps.OnFailure) *steps.State {
	t.Helper()
	w := failing(t, steps.EffectsIdempotent, on, 1)
	for range 2 {
		if w.State.Units[0].State().InQueue() {
			fail(w, steps.Fault{Class: class, Acted: steps.ActedNo, Message: "so it is"})
		}
	}
	return w.State
}
