package steps_test

import (
	"strings"
	"testing"

	"belay/internal/steps"
)

const payAndShip = `tool pay effects=unsafe max=1
tool void effects=unsafe max=1
tool ship effects=unsafe max=1
`

// TestAListThatWasUndoneIsDoneAgain: a retry does not take over what has been undone.
func TestAListThatWasUndoneIsDoneAgain(t *testing.T) {
	t.Parallel()
	st := played(t, payAndShip+`step a tool=pay for_each=json:[1,2] with=item compensate=void
step b tool=ship on_failure=fail
submit
claimed a~0 0-0-1 w
ok a~0 0-0-1 1
claimed a~1 0-0-1 w
ok a~1 0-0-1 2
claimed b 0-0-1 w
fail b 0-0-1 invalid_input no
claimed a~1~undo 0-0-1 w
ok a~1~undo 0-0-1 1
claimed a~0~undo 0-0-1 w
ok a~0~undo 0-0-1 1
`)
	if st.State.Status() != steps.RunFailed {
		t.Fatalf("the run %s", st.State.Status())
	}
	for _, k := range steps.Carry(st.State) {
		t.Errorf("carried: %+v", k)
	}
}

// TestWhatWasUndoneIsDoneUnderAnotherKey: whoever keeps to the key would take the call for the one that was undone. What was not
// undone keeps its key, and a retry of the retry goes by what happened last.
func TestWhatWasUndoneIsDoneUnderAnotherKey(t *testing.T) {
	t.Parallel()
	const plan = payAndShip + `step a tool=pay compensate=void
step b tool=ship on_failure=fail
submit
claimed a 0-0-1 w
ok a 0-0-1 1
claimed b 0-0-1 w
fail b 0-0-1 invalid_input no
claimed a~undo 0-0-1 w
`
	undone := played(t, plan+"ok a~undo 0-0-1 1").State
	left := played(t, plan+"fail a~undo 0-0-1 invalid_input no\ndecide r-1 skip").State
	for _, c := range []struct {
		first *steps.State
		key   string
	}{{undone, "q/a/0"}, {left, "r/b/0"}} {
		retry := steps.Submitted{Epoch: steps.Epoch, Program: c.first.Program, Input: []byte(`{}`), RetryOf: "r", KeyRun: "r", Carried: steps.Carry(c.first), Keys: steps.RetryKeys(c.first, "q")}
		s, _ := steps.Apply(nil, steps.Record{Seq: 1, Run: "q", Time: c.first.Now, Event: retry})
		queue := steps.Wants(s, nil).Steps
		if len(queue) != 1 || queue[0].Key != c.key {
			t.Errorf("%+v", queue)
		}
		if again := steps.RetryKeys(s, "p"); c.first == undone && again["a"] != "q" || c.first == left && again != nil {
			t.Errorf("the keys of another retry: %v", again)
		}
	}
}

// TestAListThatIsTakenOverIsUndoneByItem: a list that a person left done is not done again by a retry, and undone item by item
// where the retry fails too.
func TestAListThatIsTakenOverIsUndoneByItem(t *testing.T) {
	t.Parallel()
	first := played(t, payAndShip+`step a tool=pay for_each=json:[1,2] with=item compensate=void undo_with=item
step b tool=ship on_failure=fail
submit
claimed a~0 0-0-1 w
ok a~0 0-0-1 1
claimed a~1 0-0-1 w
ok a~1 0-0-1 2
claimed b 0-0-1 w
fail b 0-0-1 invalid_input no
claimed a~1~undo 0-0-1 w
fail a~1~undo 0-0-1 invalid_input no
decide r-1 skip
claimed a~0~undo 0-0-1 w
fail a~0~undo 0-0-1 invalid_input no
decide r-2 skip
`).State
	retry := steps.Submitted{Epoch: steps.Epoch, Program: first.Program, Input: []byte(`{}`), RetryOf: "r", KeyRun: "r", Carried: steps.Carry(first), Keys: steps.RetryKeys(first, "q")}
	var queued []string
	s, seq := (*steps.State)(nil), uint64(0)
	for e := steps.Event(retry); e != nil; {
		seq++
		s, _ = steps.Apply(s, steps.Record{Seq: seq, Run: "q", Time: first.Now, Event: e})
		e = nil
		for _, m := range steps.Wants(s, nil).Steps {
			if s.Units[s.Unit(m.Step)].State() == steps.StepRunning {
				e = steps.Failed{Attempt: m.Attempt, Worker: "w", Fault: steps.Fault{Class: steps.InvalidInput, Acted: steps.ActedNo}}
				if m.Tool == "void" {
					e = steps.Succeeded{Attempt: m.Attempt, Worker: "w", Output: []byte(`1`)}
				}
				continue
			}
			queued = append(queued, m.Step+" "+string(m.Params))
			e = steps.Claimed{Attempt: m.Attempt, Worker: "w"}
		}
	}
	want := `b {}, a~1~undo {"index":1,"item":2}, a~0~undo {"index":0,"item":1}`
	if got := strings.Join(queued, ", "); got != want || s.Status() != steps.RunFailed {
		t.Errorf("the retry %s, and made %s", s.Status(), got)
	}
}
