package view_test

import (
	"strings"
	"testing"

	"belay/internal/steps"
	"belay/internal/steps/view"
	"belay/internal/stepstest"
)

// TestWhatADecisionAboutACallDid: the run of an agent does not fail with a call, and nobody says so.
func TestWhatADecisionAboutACallDid(t *testing.T) {
	t.Parallel()
	const plan = `tool model
tool pay effects=unsafe max=1 approval=always target=param:to
step a tool=model agent=pay
submit
says a~t1 0-0-1 10 x pay:{"to":"bo","n":1} pay:{"to":"bo","n":2}
`
	for _, c := range []struct {
		before, then string
		scope        steps.DenialScope
		verb         steps.Verb
		says         string
	}{
		{"", "", "", steps.VerbReject, "not executed; the agent is told so, with your reason"},
		{"", "", steps.ScopeTool, steps.VerbReject, "not executed; the agent is told so, with your reason; every call of pay is refused from now on"},
		{"", "", steps.ScopeTarget, steps.VerbReject, "not executed; the agent is told so, with your reason; every call of pay to bo is refused from now on"},
		{"approve r-1 mia\nclaimed a~t1.1 0-0-1 w\nfail a~t1.1 0-0-1 timeout maybe", "r-3", "", steps.VerbSkip, "a~t1.1 is skipped; the agent is told that there is no result"},
	} {
		st := stepstest.NewStory(t)
		for line := range strings.Lines(plan + c.before) {
			st.Command(strings.TrimSpace(line))
		}
		d := steps.Decided{Escalation: "r-1", Verb: c.verb, By: "mia", Reason: "no", Scope: c.scope}
		if c.then != "" {
			d.Escalation = c.then
		}
		st.Add(d)
		if got := view.Tell(st.State, view.Act{Event: d, Seq: st.State.Seq}); got.Text != c.says {
			t.Errorf("%q, want %q", got.Text, c.says)
		}
		if c.scope == "" {
			continue
		}
		if by := view.SupersededBy(st.State, 1); !strings.HasPrefix(by, "mia rejected every call of pay") || !strings.HasSuffix(by, " (r-1)") {
			t.Errorf("the other question was answered because %q", by)
		}
	}
}

// TestWhenAMessageIsRead: whoever writes to an agent while its turns are summarised hears so.
func TestWhenAMessageIsRead(t *testing.T) {
	t.Parallel()
	st := stepstest.NewStory(t)
	for line := range strings.Lines("tool model\ntool look\nstep a tool=model agent=look keep_turns=1 summary=model\nsubmit\nsays a~t1 0-0-1 10 x look:{}\nok a~t1.1 0-0-1 1\nsays a~t2 0-0-1 10 x look:{\"n\":2}\nok a~t2.1 0-0-1 1") {
		st.Command(strings.TrimSpace(line))
	}
	e := steps.Steered{ID: "m", Step: "a", Text: "hello", By: "mia"}
	st.Add(e)
	if got := view.Tell(st.State, view.Act{Event: e, Seq: st.State.Seq}).Text; got != "a reads it with its next turn, once its first turns are summarised" {
		t.Errorf("%q", got)
	}
	st.Command("says a~s1 0-0-1 10 notes")
	e.ID = "n"
	st.Add(e)
	if got := view.Tell(st.State, view.Act{Event: e, Seq: st.State.Seq}).Text; !strings.HasPrefix(got, "turn 3 of a is out") {
		t.Errorf("%q", got)
	}
}
