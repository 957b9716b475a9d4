package steps

import (
	"strings"
	"testing"
)

// TestAftermath: what a decision led to is told by what became of its step, of the steps behind it and of its run.
func TestAftermath(t *testing.T) {
	for name, c := range map[string]struct {
		story string
		want  Fate
		next  string
		says  string
	}{
		"nobody has decided": {"fail fetch 0-0-1 not_found no", FateOpen, "", ""},
		"its step is at work": {`fail fetch 0-0-1 not_found no
			decide r-1 retry`, FateUnderWay, "", "fetch is at work on try 1; the run goes on"},
		"its step waits for its next try": {`fail fetch 0-0-1 not_found no
			decide r-1 retry
			fail fetch 1-0-1 timeout no`, FateUnderWay, "", "fetch waits for try 2; the run goes on"},
		"a step behind it is at work": {`fail fetch 0-0-1 not_found no
			decide r-1 retry
			ok fetch 1-0-1 {}`, FateUnderWay, "", "fetch succeeded on try 1; the run goes on"},
		"all is well": {`fail fetch 0-0-1 not_found no
			decide r-1 retry
			fail fetch 1-0-1 timeout no
			ok fetch 1-0-2 {}
			ok mail 0-0-1 {}`, FateDone, "", "fetch succeeded on try 2; the run succeeded"},
		"the same again": {`fail fetch 0-0-1 not_found no
			decide r-1 retry
			fail fetch 1-0-1 not_found no`, FateBack, "r-2", "stopped again at fetch: it failed"},
		"another fault there": {`fail fetch 0-0-1 not_found no
			decide r-1 retry
			fail fetch 1-0-1 conflict no`, FateOther, "r-2", "stopped again at fetch: it failed"},
		"the step behind it fails": {`fail fetch 0-0-1 not_found no
			decide r-1 skip
			fail mail 0-0-1 invalid_input no`, FateOther, "r-2", "stopped again at mail: it failed"},
		"what it led to is decided too": {`fail fetch 0-0-1 not_found no
			decide r-1 skip
			fail mail 0-0-1 invalid_input no
			decide r-2 skip`, FateOther, "r-2", "stopped again at mail: it failed"},
		"a branch beside it fails": {`fail fetch 0-0-1 not_found no
			fail beside 0-0-1 not_found no
			decide r-1 skip
			ok mail 0-0-1 {}`, FateDone, "", "fetch was skipped; the run waits for a person"},
		"somebody cancels its run": {`fail fetch 0-0-1 not_found no
			decide r-1 skip
			ok mail 0-0-1 {}
			cancel
			withdrawn beside 0-0-1`, FateFailed, "", "fetch was skipped; the run was cancelled by ann"},
		"its run is being cancelled": {`fail fetch 0-0-1 not_found no
			decide r-1 skip
			ok mail 0-0-1 {}
			cancel`, FateUnderWay, "", "fetch was skipped; the run is ending: cancelled by ann"},
		"an answer stands for it": {`fail fetch 0-0-1 not_found no
			decide r-1 answer {}
			ok mail 0-0-1 {}`, FateDone, "", "fetch has the answer of ann; the run succeeded"},
		"its run is aborted as meant": {`fail fetch 0-0-1 not_found no
			decide r-1 abort`, FateDone, "", "fetch failed; the run was aborted by ann"},
	} {
		t.Run(name, func(t *testing.T) {
			beside := ""
			if strings.Contains(c.story, "beside") || strings.Contains(c.story, "cancel") {
				beside = "step beside tool=t needs="
			}
			s := tell(t, "tool t\nstep fetch tool=t\nstep mail tool=t\n"+beside+"\nsubmit\n"+c.story)
			a := AftermathOf(s, 0)
			if a.Fate != c.want || a.Next != c.next || a.Text != c.says {
				t.Errorf("%+v, want %s %s %q", a, c.want, c.next, c.says)
			}
			if s.UnderWay(0) && a.Fate != FateUnderWay {
				t.Error("at little cost it is under way")
			}
		})
	}
}

// TestAftermathOfAnItem: the other items are not its doing, the step behind them all is.
func TestAftermathOfAnItem(t *testing.T) {
	start := `tool t
		step each tool=t for_each=json:[1,2]
		step mail tool=t
		submit
		fail each~0 0-0-1 not_found no
		decide r-1 skip
		fail each~1 0-0-1 not_found no`
	if a := AftermathOf(tell(t, start), 0); a.Fate != FateDone || a.Text != "each[0] was skipped; the run waits for a person" {
		t.Errorf("%+v", a)
	}
	if a := AftermathOf(tell(t, start+"\ndecide r-2 skip\nfail mail 0-0-1 not_found no"), 0); a.Fate != FateOther || a.Next != "r-3" {
		t.Errorf("%+v", a)
	}
}

// TestAftermathOfAnAbort: what is undone belongs to it.
func TestAftermathOfAnAbort(t *testing.T) {
	story := `tool t
		step book tool=t compensate=t
		step fetch tool=t
		submit
		ok book 0-0-1 {}
		fail fetch 0-0-1 not_found no
		decide r-1 abort`
	if a := AftermathOf(tell(t, story), 0); a.Fate != FateUnderWay {
		t.Errorf("%+v", a)
	}
	if a := AftermathOf(tell(t, story+"\nfail book~undo 0-0-1 conflict no"), 0); a.Fate != FateOther || a.Text != "stopped again at undo book: it failed" {
		t.Errorf("%+v", a)
	}
	if a := AftermathOf(tell(t, story+"\nok book~undo 0-0-1 {}"), 0); a.Fate != FateDone {
		t.Errorf("%+v", a)
	}
}

// TestASettledCardIsNotRewritten: it shows what was in question when it was decided, whatever the decision changed.
func TestASettledCardIsNotRewritten(t *testing.T) {
	st := newStory(t)
	for line := range strings.Lines("tool t\nstep ship tool=t with=json:{\"zip\":\"1011\"}\nsubmit\nfail ship 0-0-1 invalid_input no") {
		st.command(strings.TrimSpace(line))
	}
	before := st.refold()
	st.command(`decide r-1 edit {"zip":"10115"}`)
	st.command(`ok ship 1-0-1 {}`)
	d := SettledDossier(before, st.state, 0)
	if string(d.Failing.Params) != `{"zip":"1011"}` || len(d.Attempts) != 1 || d.Plan[0].State != StepEscalated || d.Failing.Key != "r/ship/0" {
		t.Errorf("it shows %s, %d attempts, %s", d.Failing.Params, len(d.Attempts), d.Plan[0].State)
	}
	if d.State != EscalationDecided || string(d.Decision.Params) != `{"zip":"10115"}` || d.Followed.Text != "ship succeeded on try 1; the run succeeded" || d.Suggestion != nil {
		t.Errorf("%s, %+v, %+v", d.State, d.Decision, d.Followed)
	}
}

// tell runs the commands of a story, one a line.
func tell(t *testing.T, text string) *State {
	t.Helper()
	st := newStory(t)
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			st.command(line)
		}
	}
	return st.state
}
