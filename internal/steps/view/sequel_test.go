package view_test

import (
	"strings"
	"testing"

	"belay/internal/steps"
	"belay/internal/steps/view"
	"belay/internal/stepstest"
)

// TestSequelOfAnAgent: what fails of an agent ends the run only where the run ends.
func TestSequelOfAnAgent(t *testing.T) {
	t.Parallel()
	const plan = "tool model max=1 price=10000\ntool look max=1\ntool pay effects=unsafe approval=always deadline=1m on_deadline=fail\nsubmit\n"
	for _, c := range []struct {
		step, more, unit string
		want             view.Sequel
	}{
		{"step a tool=model agent=look", "says a~t1 0-0-1 10 x look:{}\nfail a~t1.1 0-0-1 tool_error no", "a~t1.1", view.SequelModel},
		{"step a tool=model agent=look usd=30", "fail a~t1 0-0-1 timeout maybe", "a~t1", view.SequelPerson},
		{"step a tool=model agent=look usd=30 on_limit=fail", "fail a~t1 0-0-1 timeout maybe", "a~t1", view.SequelFail},
		{"step a tool=look on_failure=fail", "fail a 0-0-1 tool_error no", "a", view.SequelFail},
	} {
		st := stepstest.NewStory(t)
		for line := range strings.Lines(c.step + "\n" + plan + c.more) {
			st.Command(strings.TrimSpace(line))
		}
		i := st.State.Unit(c.unit)
		if got, _ := view.SequelOf(st.State, i, st.State.Units[i].Current()); got != c.want {
			t.Errorf("%s, %s: %s follows, want %s", c.step, c.more, got, c.want)
		}
	}
}

// TestAfterDeadline: what is said about a deadline is what comes then.
func TestAfterDeadline(t *testing.T) {
	t.Parallel()
	for step, want := range map[string]string{
		"step a tool=pay":             "the step fails, and the run with it",
		"step a tool=model agent=pay": "the agent's model is told that nobody has decided",
	} {
		st := stepstest.NewStory(t)
		for _, line := range []string{"tool model", "tool pay effects=unsafe approval=always deadline=1m on_deadline=fail", step, "submit"} {
			st.Command(line)
		}
		if strings.Contains(step, "agent") {
			st.Command("says a~t1 0-0-1 10 x pay:{}")
		}
		e := view.EscalationOf(st.State, 0)
		if got := e.AfterDeadline(); got != want {
			t.Errorf("%s: then %s, want: then %s", step, got, want)
		}
		st.Command("+2m fired")
		if failed := st.State.Status() == steps.RunFailed; failed != strings.Contains(want, "the run with it") {
			t.Errorf("%s: the run is %s", step, st.State.Status())
		}
	}
}
