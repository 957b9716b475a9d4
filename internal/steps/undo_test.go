package steps_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"belay/internal/steps"
	"belay/internal/steps/view"
	"belay/internal/stepstest"
)

// told is a story up to its end, line by line.
func told(t *testing.T, lines string) *stepstest.Story {
	t.Helper()
	st := stepstest.NewStory(t)
	for line := range strings.SplitSeq(strings.TrimSpace(lines), "\n") {
		st.Command(strings.TrimSpace(line))
	}
	return st
}

const paying = `
	tool model max=1
	tool pay effects=unsafe max=1 undo=void undo_with=params
	tool void max=1
	step a tool=pay with=json:{"n":1}
	step b tool=model agent=pay
	step c tool=pay on_failure=fail
	submit
	ok a 0-0-1 1
	says b~t1 0-0-1 10 x pay:{"n":2}
	ok b~t1.1 0-0-1 2
	says b~t2 0-0-1 10 done
	fail c 0-0-1 not_found no`

// TestWhatWasUndoneIsNotTakenOver: a retry begins anew with an agent of which a call was undone, and keeps the parameters of a
// step, so that it can be undone in the retry.
func TestWhatWasUndoneIsNotTakenOver(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ ends, carries string }{
		{"ok b~t1.1~undo 0-0-1 1\n ok a~undo 0-0-1 1", ""},
		{"ok b~t1.1~undo 0-0-1 1\n fail a~undo 0-0-1 not_found no\n decide r-1 skip", `a {"n":1}`},
		{"fail b~t1.1~undo 0-0-1 not_found no\n decide r-1 abort", `a {"n":1}, b `},
	} {
		first := told(t, paying+"\n"+c.ends).State
		var got []string
		carried := steps.Carry(first)
		for _, k := range carried {
			got = append(got, k.Step+" "+string(k.Params))
		}
		if first.Status() != steps.RunFailed || strings.Join(got, ", ") != c.carries {
			t.Fatalf("%s: %s, and carries %q", c.ends, first.Status(), got)
		}
		if len(carried) != 1 {
			continue
		}
		retry := steps.Submitted{Epoch: steps.Epoch, Program: first.Program, Input: json.RawMessage(`{}`), RetryOf: "r", KeyRun: "r", Carried: carried}
		s, _ := steps.Apply(nil, steps.Record{Seq: 1, Run: "q", Time: first.Now, Event: retry})
		s, _ = steps.Apply(s, steps.Record{Seq: 2, Run: "q", Time: first.Now, Event: steps.Cancelled{By: "ann"}})
		s, _ = steps.Apply(s, steps.Record{Seq: 3, Run: "q", Time: first.Now, Event: steps.Withdrawn{Attempt: steps.Attempt{Step: "b~t1", Try: 1}}})
		if i := s.Unit("a~undo"); i < 0 || string(s.Units[i].Params) != `{"n":1}` {
			t.Errorf("what was taken over is not undone:\n%s", stepstest.Picture(s))
		}
	}
}

// TestSaysWhatAnEndingRunAsks: whoever is asked about a call of a run that is ending is told what the answer decides.
func TestSaysWhatAnEndingRunAsks(t *testing.T) {
	t.Parallel()
	head, _, _ := strings.Cut(paying, "ok b~t1.1")
	st := told(t, head+"claimed b~t1.1 0-0-1 w\n fail b~t1.1 0-0-1 timeout maybe\n cancel")
	var says []string
	for _, o := range view.DossierOf(st.State, 0).Offers {
		says = append(says, fmt.Sprint(o.Verb, ": ", o.Effect))
	}
	want := []string{
		"answer: says that it happened: what you give becomes b~t1.1's output, and it is undone",
		"skip: leaves it as it is: b~t1.1 is not undone, and the run ends without it",
	}
	for _, w := range want {
		if !strings.Contains(strings.Join(says, "\n"), w) {
			t.Errorf("%q is not in %q", w, says)
		}
	}
}
