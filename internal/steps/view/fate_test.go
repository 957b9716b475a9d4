package view_test

import (
	"strings"
	"testing"

	"belay/internal/steps"
	"belay/internal/steps/view"
	"belay/internal/stepstest"
)

// TestAftermath: what a decision led to is told by what became of its step, of the steps behind it and of its run.
func TestAftermath(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		story string
		want  view.Fate
		next  string
		says  string
	}{
		"nobody has decided": {"fail fetch 0-0-1 not_found no", view.FateOpen, "", ""},
		"its step is at work": {`fail fetch 0-0-1 not_found no
			decide r-1 retry`, view.FateUnderWay, "", "fetch is at work on try 1; the run goes on"},
		"its step waits for its next try": {`fail fetch 0-0-1 not_found no
			decide r-1 retry
			fail fetch 1-0-1 timeout no`, view.FateUnderWay, "", "fetch waits for try 2; the run goes on"},
		"a step behind it is at work": {`fail fetch 0-0-1 not_found no
			decide r-1 retry
			ok fetch 1-0-1 {}`, view.FateUnderWay, "", "fetch succeeded on try 1; the run goes on"},
		"all is well": {`fail fetch 0-0-1 not_found no
			decide r-1 retry
			fail fetch 1-0-1 timeout no
			ok fetch 1-0-2 {}
			ok mail 0-0-1 {}`, view.FateDone, "", "fetch succeeded on try 2; the run succeeded"},
		"the same again": {`fail fetch 0-0-1 not_found no
			decide r-1 retry
			fail fetch 1-0-1 not_found no`, view.FateBack, "r-2", "stopped again at fetch: it failed"},
		"another fault there": {`fail fetch 0-0-1 not_found no
			decide r-1 retry
			fail fetch 1-0-1 conflict no`, view.FateOther, "r-2", "stopped again at fetch: it failed"},
		"the step behind it fails": {`fail fetch 0-0-1 not_found no
			decide r-1 skip
			fail mail 0-0-1 invalid_input no`, view.FateOther, "r-2", "stopped again at mail: it failed"},
		"what it led to is decided too": {`fail fetch 0-0-1 not_found no
			decide r-1 skip
			fail mail 0-0-1 invalid_input no
			decide r-2 skip`, view.FateOther, "r-2", "stopped again at mail: it failed"},
		"a branch beside it fails": {`fail fetch 0-0-1 not_found no
			fail beside 0-0-1 not_found no
			decide r-1 skip
			ok mail 0-0-1 {}`, view.FateDone, "", "fetch was skipped; the run waits for a person"},
		"somebody cancels its run": {`fail fetch 0-0-1 not_found no
			decide r-1 skip
			ok mail 0-0-1 {}
			cancel
			withdrawn beside 0-0-1`, view.FateFailed, "", "fetch was skipped; the run was cancelled by ann"},
		"its run is being cancelled": {`fail fetch 0-0-1 not_found no
			decide r-1 skip
			ok mail 0-0-1 {}
			cancel`, view.FateUnderWay, "", "fetch was skipped; the run is ending: cancelled by ann"},
		"an answer stands for it": {`fail fetch 0-0-1 not_found no
			decide r-1 answer {}
			ok mail 0-0-1 {}`, view.FateDone, "", "fetch has the answer of ann; the run succeeded"},
		"its run is aborted as meant": {`fail fetch 0-0-1 not_found no
			decide r-1 abort`, view.FateDone, "", "fetch failed; the run was aborted by ann"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			beside := ""
			if strings.Contains(c.story, "beside") || strings.Contains(c.story, "cancel") {
				beside = "step beside tool=t needs="
			}
			s := stepstest.Tell(t, "tool t\nstep fetch tool=t\nstep mail tool=t\n"+beside+"\nsubmit\n"+c.story)
			a := view.AftermathOf(s, 0)
			if a.Fate != c.want || a.Next != c.next || a.Text != c.says {
				t.Errorf("%+v, want %s %s %q", a, c.want, c.next, c.says)
			}
			if view.UnderWay(s, 0) && a.Fate != view.FateUnderWay {
				t.Error("at little cost it is under way")
			}
		})
	}
}

// TestAftermathOfAnItem: the other items are not its doing, the step behind them all is.
func TestAftermathOfAnItem(t *testing.T) {
	t.Parallel()
	start := `tool t
		step each tool=t for_each=json:[1,2]
		step mail tool=t
		submit
		fail each~0 0-0-1 not_found no
		decide r-1 skip
		fail each~1 0-0-1 not_found no`
	if a := view.AftermathOf(stepstest.Tell(t, start), 0); a.Fate != view.FateDone || a.Text != "each[0] was skipped; the run waits for a person" {
		t.Errorf("%+v", a)
	}
	if a := view.AftermathOf(stepstest.Tell(t, start+"\ndecide r-2 skip\nfail mail 0-0-1 not_found no"), 0); a.Fate != view.FateOther || a.Next != "r-3" {
		t.Errorf("%+v", a)
	}
}

// TestAftermathOfAnAbort: what is undone belongs to it.
func TestAftermathOfAnAbort(t *testing.T) {
	t.Parallel()
	story := `tool t
		step book tool=t compensate=t
		step fetch tool=t
		submit
		ok book 0-0-1 {}
		fail fetch 0-0-1 not_found no
		decide r-1 abort`
	if a := view.AftermathOf(stepstest.Tell(t, story), 0); a.Fate != view.FateUnderWay {
		t.Errorf("%+v", a)
	}
	if a := view.AftermathOf(stepstest.Tell(t, story+"\nfail book~undo 0-0-1 conflict no"), 0); a.Fate != view.FateOther || a.Text != "stopped again at undo book: it failed" {
		t.Errorf("%+v", a)
	}
	if a := view.AftermathOf(stepstest.Tell(t, story+"\nok book~undo 0-0-1 {}"), 0); a.Fate != view.FateDone {
		t.Errorf("%+v", a)
	}
}

// TestTheDossierOfAnEndedEscalationStays: it shows what was in question when it was decided, whatever the decision changed.
func TestTheDossierOfAnEndedEscalationStays(t *testing.T) {
	t.Parallel()
	st := stepstest.NewStory(t)
	for line := range strings.Lines("tool t\nstep ship tool=t with=json:{\"zip\":\"1011\"}\nsubmit\nfail ship 0-0-1 invalid_input no") {
		st.Command(strings.TrimSpace(line))
	}
	before := st.Refold()
	st.Command(`decide r-1 edit {"zip":"10115"}`)
	st.Command(`ok ship 1-0-1 {}`)
	d := view.EndedDossierOf(before, st.State, 0)
	if string(d.Failing.Params) != `{"zip":"1011"}` || len(d.Attempts) != 1 || d.Plan[0].State != steps.StepEscalated || d.Failing.Key != "r/ship/0" {
		t.Errorf("it shows %s, %d attempts, %s", d.Failing.Params, len(d.Attempts), d.Plan[0].State)
	}
	if d.State != steps.EscalationDecided || string(d.Decision.Params) != `{"zip":"10115"}` || d.Followed.Text != "ship succeeded on try 1; the run succeeded" || d.Suggestion != nil {
		t.Errorf("%s, %+v, %+v", d.State, d.Decision, d.Followed)
	}
}
