package steps_test

import (
	"testing"

	"belay/internal/steps"
)

const summarised = `tool model
tool small
tool look
step a tool=model agent=look keep_turns=1 summary=small
submit
says a~t1 0-0-1 10 one look:{"n":1}
ok a~t1.1 0-0-1 1
says a~t2 0-0-1 10 two look:{"n":2}
ok a~t2.1 0-0-1 2
`

// TestWhatASummarySays: the text of a model, or whatever else its tool gives; what says nothing is none.
func TestWhatASummarySays(t *testing.T) {
	t.Parallel()
	for output, want := range map[string]string{
		`{"text":"notes","stop":"end"}`: "notes", `"notes"`: "notes", `{"summary":"notes"}`: `{"summary":"notes"}`, `["notes"]`: `["notes"]`,
		`{"text":"","stop":"end"}`: "", `{"text":"\n"}`: "", `""`: "", `null`: "", `{}`: "",
	} {
		st := played(t, summarised+"ok a~s1 0-0-1 "+output)
		w, _ := st.State.AgentWork(st.State.Unit("a"))
		if got := w.Summaries[0]; got.Text != want || got.Read != (want != "") {
			t.Errorf("%s: %q, read: %v", output, got.Text, got.Read)
		}
	}
}

// TestNobodyIsAskedAboutASummary, but where what it asks of its tool may not be repeated, or a worker refuses it. A worker whose own
// file wants an approval makes it fail.
func TestNobodyIsAskedAboutASummary(t *testing.T) {
	t.Parallel()
	for play, asked := range map[string]steps.EscalationKind{
		"fail a~s1 0-0-1 unauthorized no":                                     "",
		"fail a~s1 0-0-1 needs_human no":                                      "",
		"unserved a~s1 0-0-1\nwithdrawn a~s1 0-0-1":                           "",
		"+2m fired\nwithdrawn a~s1 0-0-1":                                     "",
		"objected a~s1 0-0-1 w approval=always":                               "",
		"refuse a~s1 0-0-1":                                                   steps.KindFailure,
		"objected a~s1 0-0-1 w effects=unsafe\nfail a~s1 0-0-2 timeout maybe": steps.KindUnknown,
	} {
		st := played(t, summarised+play)
		var got steps.EscalationKind
		for n := range st.State.Escalations {
			got = st.State.Escalations[n].Kind
		}
		if got != asked {
			t.Errorf("%q: people are asked about %q, want %q", play, got, asked)
		}
		if asked != "" {
			if st.Command("decide r-1 skip"); st.State.Unit("a~t3") < 0 {
				t.Errorf("%q: the agent does not go on without it", play)
			}
			continue
		}
		if st.State.Unit("a~t3") < 0 {
			t.Errorf("%q: the agent does not go on", play)
		}
	}
}
