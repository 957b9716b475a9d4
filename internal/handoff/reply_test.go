package handoff

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"belay/internal/people"
	"belay/internal/steps"
)

// asking submits a run whose only rung is a person.
func asking(t *testing.T, l *office, run string, h steps.Human) string {
	t.Helper()
	h.Question = "Which one?"
	d := steps.Definition{
		Plan: steps.Plan{Name: "ask", Steps: []steps.Step{{ID: "s", Tool: "t", With: json.RawMessage(`{"order":"A-1"}`), OnFailure: steps.OnFailureEscalate}}},
		Tools: map[string]steps.Tool{"t": {
			Name: "t", Effects: steps.EffectsNone, OutputSchema: json.RawMessage(`{"type":"object","required":["id"],"properties":{"id":{"type":"string"}}}`),
			Rungs: []steps.Rung{{Name: "human", Executor: "human", Human: &h}},
		}},
	}
	doc, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Submit(t.Context(), run, steps.Submitted{Document: doc, Input: json.RawMessage(`{}`)}); err != nil {
		t.Fatal(err)
	}
	return run + "-1"
}

// TestAnAnswerThatDoesNotFitIsRefused while whoever gave it is still there: what is asked for, and what the tool could
// have given.
func TestAnAnswerThatDoesNotFitIsRefused(t *testing.T) {
	t.Parallel()
	l, _ := newLog(t)
	plain := asking(t, l, "plain", steps.Human{Options: []string{"A-1"}, Schema: json.RawMessage(`{"enum":["A-1"]}`)})
	shaped := asking(t, l, "shaped", steps.Human{Schema: json.RawMessage(`{"type":"object"}`), Output: json.RawMessage(`{"id":"${ output.pick }","order":"${ params.order }"}`)})
	for _, c := range []struct{ id, answer, says string }{
		{plain, `"A-2"`, "does not fit what is asked"},
		{plain, `"A-1"`, "the answer does not fit the output schema of t: got string, want object"},
		{shaped, `"A-1"`, "does not fit what is asked"},
		{shaped, `{}`, `what is made of the answer, {"id":null,"order":"A-1"}, does not fit the output schema of t: id: got null, want string`},
		{shaped, `{"pick":1}`, "id: got number, want string"},
	} {
		_, err := l.act(t, "mia", c.id, people.Act{Verb: "answer", Answer: json.RawMessage(c.answer)})
		if !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s to %s: %v; want %q", c.answer, c.id, err, c.says)
		}
	}
	if _, err := l.act(t, "mia", shaped, people.Act{Verb: "answer", Answer: json.RawMessage(`{"pick":"A-7"}`)}); err != nil {
		t.Fatal(err)
	}
	s := l.state(t, "shaped")
	if s.Status() != steps.RunSucceeded || string(s.Units[0].Output) != `{"id":"A-7","order":"A-1"}` || string(s.Escalations[0].Decision.Answer) != `{"pick":"A-7"}` {
		t.Errorf("%s, output %s, answer %s", s.Status(), s.Units[0].Output, s.Escalations[0].Decision.Answer)
	}
}

// TestOldRunsTakeTheAnswersThatTheyAskFor: nobody could answer them otherwise.
func TestOldRunsTakeTheAnswersThatTheyAskFor(t *testing.T) {
	t.Parallel()
	l, _ := newLog(t)
	id := asking(t, l, "new", steps.Human{Options: []string{"A-1"}, Schema: json.RawMessage(`{"enum":["A-1"]}`)})
	s := l.state(t, "new")
	n := s.FindEscalation(id)
	if err := checkReply(s, &s.Escalations[n], json.RawMessage(`"A-1"`)); err == nil {
		t.Error("an answer that is no output of the tool is taken")
	}
	old, _ := steps.Apply(nil, steps.Record{Seq: 1, Time: s.Now, Run: "old", Event: steps.Submitted{Epoch: 1, Program: s.Program, Input: json.RawMessage(`{}`)}})
	if err := checkReply(old, &old.Escalations[0], json.RawMessage(`"A-1"`)); err != nil {
		t.Errorf("a run from before that rule: %v", err)
	}
}
