package steps_test

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"belay/internal/steps"
	"belay/internal/stepstest"
)

func played(t *testing.T, lines string) *stepstest.Story {
	t.Helper()
	st := stepstest.NewStory(t)
	for line := range strings.Lines(lines) {
		st.Command(strings.TrimSpace(line))
	}
	return st
}

func conversationOf(t *testing.T, st *stepstest.Story, turn string) steps.Conversation {
	t.Helper()
	c, ok := st.State.Conversation(steps.Attempt{Step: turn, Try: 1})
	if !ok {
		t.Fatalf("%s is no turn", turn)
	}
	return c
}

// TestNamesThatModelsMakeUp: a call under any name, or none, is said back to the model under one that its provider takes.
func TestNamesThatModelsMakeUp(t *testing.T) {
	t.Parallel()
	st := played(t, "tool model\ntool look\nstep a tool=model agent=look\nsubmit\n")
	long := strings.Repeat("x", 100)
	said := map[string]any{"calls": []any{
		map[string]any{"id": "1", "name": "", "arguments": map[string]any{}}, map[string]any{"id": "2", "name": "functions.löök up", "arguments": map[string]any{}},
		map[string]any{"id": "3", "name": long, "arguments": map[string]any{}}, map[string]any{"id": "4", "name": "look", "arguments": map[string]any{}},
	}}
	out, err := json.Marshal(said)
	if err != nil {
		t.Fatal(err)
	}
	st.Add(steps.Succeeded{Attempt: steps.Attempt{Step: "a~t1", Try: 1}, Worker: "w", Output: out})
	st.Command("ok a~t1.4 0-0-1 1")
	var names []string
	for _, m := range conversationOf(t, st, "a~t2").Messages {
		for _, c := range m.Calls {
			names = append(names, c.Name)
		}
	}
	if got, want := strings.Join(names, " "), "unnamed functions_l__k_up "+long[:64]+" look"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// TestWhatTheModelHearsOfACall that has no result.
func TestWhatTheModelHearsOfACall(t *testing.T) {
	t.Parallel()
	const plan = "tool model\ntool pay effects=unsafe max=1 approval=always on_reject=skip\ntool credit effects=idempotent max=1\ntool look max=1\nstep a tool=model agent=pay,credit,look on_failure=skip\nsubmit\n"
	for name, c := range map[string]struct{ play, says string }{
		"rejected":       {"says a~t1 0-0-1 10 x pay:{}\nreject r-1 bo twice", "rejected by bo: twice. Do not propose the same again"},
		"failed":         {"says a~t1 0-0-1 10 x look:{}\nfail a~t1.1 0-0-1 tool_error maybe", "tool_error: it failed"},
		"may have acted": {"says a~t1 0-0-1 10 x credit:{}\nfail a~t1.1 0-0-1 timeout maybe", "timeout: it failed. It may have happened all the same"},
		"has not acted":  {"says a~t1 0-0-1 10 x credit:{}\nfail a~t1.1 0-0-1 invalid_input no", "invalid_input: it failed"},
		"skipped":        {"says a~t1 0-0-1 10 x pay:{}\napprove r-1 ann\nclaimed a~t1.1 0-0-1 w\nfail a~t1.1 0-0-1 timeout maybe\ndecide r-2 skip", "a person has skipped this call: there is no result. It may have happened all the same"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			list := conversationOf(t, played(t, plan+c.play), "a~t2").Messages
			if last := list[len(list)-1]; last.Text != c.says || !last.Failed {
				t.Errorf("%q, want %q", last.Text, c.says)
			}
		})
	}
}

// TestAPersonAnswersATurn with exactly what the schema asks for, also where that looks like what a model says.
func TestAPersonAnswersATurn(t *testing.T) {
	t.Parallel()
	for answer, want := range map[string]string{`{"text":"done","code":7}`: `{"text":"done","code":7}`, `{"text":"done","object":{"a":1}}`: `{"text":"done","object":{"a":1}}`} {
		st := played(t, "tool model max=1\ntool look\nstep a tool=model agent=look answer="+want+"\nsubmit\nfail a~t1 0-0-1 tool_error no\ndecide r-1 answer "+answer+"\n")
		if u := st.State.Units[st.State.Unit("a")]; u.State() != steps.StepSucceeded || string(u.Output) != want {
			t.Errorf("%s: %s with %s", answer, u.State(), u.Output)
		}
	}
	st := played(t, "tool model max=1\ntool look\nstep a tool=model agent=look\nsubmit\nfail a~t1 0-0-1 tool_error no\ndecide r-1 answer \"hello\"\n")
	if out := st.State.Units[st.State.Unit("a")].Output; string(out) != `{"text":"hello"}` {
		t.Errorf("%s", out)
	}
}

// TestNoUsageCostsLessThanNothing, whatever a provider says that it has counted.
func TestNoUsageCostsLessThanNothing(t *testing.T) {
	t.Parallel()
	for _, tokens := range []int64{1e12, 1e15, math.MaxInt64, -5, math.MinInt64} {
		if m := (steps.Price{Input: 1e6, Output: 1e6}).Of(steps.Usage{Input: tokens, Output: tokens, Cached: tokens}); m < 0 || tokens > 0 && m < steps.Dollars(1e5) {
			t.Errorf("%d tokens cost %s", tokens, m)
		}
	}
}

// TestTheReserveKnowsWhatPeopleEdited: the next turn reads it.
func TestTheReserveKnowsWhatPeopleEdited(t *testing.T) {
	t.Parallel()
	st := played(t, "tool model price=1000\ntool pay effects=unsafe approval=always\nstep a tool=model agent=pay usd=50\nsubmit\nsays a~t1 0-0-1 10 x pay:{}\n")
	st.Command(`approve-edit r-1 ann {"x":"` + strings.Repeat("x", 60000) + `"}`)
	st.Command("claimed a~t1.1 1-0-1 w")
	st.Command("ok a~t1.1 1-0-1 1")
	if e := st.State.Escalations[len(st.State.Escalations)-1]; e.Kind != steps.KindLimit || !strings.Contains(e.Fault.Message, "another turn may cost $6") {
		t.Errorf("%s: %s", e.Kind, e.Fault.Message)
	}
}
