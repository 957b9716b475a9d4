package notify

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"belay/internal/steps/view"
	"belay/internal/text"
)

func TestClean(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"plain":                      "plain",
		"  two\nlines\t\r\n ":        "two\nlines",
		"\x1b[31mred\x1b[0m \x1b[2J": "red",
		"\x1b]8;;http://evil\x07here\x1b]8;;\x1b\\": "here",
		"\u009b31mred":                    "red",
		"\u009d0;title\u009cx":            "x",
		"half \x1b[":                      "half [U+001B][",
		"bell\a null\x00":                 "bell[U+0007] null[U+0000]",
		"pay\u202e001\u202c EUR":          "pay[U+202E]001[U+202C] EUR",
		"\u2066a\u2069\u200e\u200f\u061c": "[U+2066]a[U+2069][U+200E][U+200F][U+061C]",
		"zero\u200bwidth\ufeff":           "zero[U+200B]width[U+FEFF]",
		"line\u2028par\u2029":             "line[U+2028]par[U+2029]",
		"tag\U000e0041":                   "tag[U+E0041]",
		"blank\u3164 none\u0380":          "blank[U+3164] none[U+0380]",
		"bad \xff\xfe utf-8":              "bad \uFFFD utf-8",
		"join\u200d and\u200cnot":         "join[U+200D] and[U+200C]not",
		"back\rover":                      "back[U+000D]over",
	} {
		if got := clean(text, 100); got != want {
			t.Errorf("clean(%q) = %q, want %q", text, got, want)
		}
	}
	if got := clean(strings.Repeat("ü", 1<<20), 5); got != "üüüüü…" {
		t.Errorf("cut: %q", got)
	}
	if got := line("a\n\n  b\tc", 100); got != "a b c" {
		t.Errorf("line: %q", got)
	}
}

func TestNothingStrangeIsLeft(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		got := clean(string(rapid.SliceOf(rapid.Byte()).Draw(t, "bytes"))+rapid.String().Draw(t, "text"), 40)
		if !utf8.ValidString(got) || utf8.RuneCountInString(got) > 40*9+1 {
			t.Fatalf("%q", got)
		}
		for _, r := range got {
			if r != '\n' && r != '\t' && text.Invisible(r) {
				t.Fatalf("%U in %q", r, got)
			}
		}
	})
}

// sampleNotice is a notice with everything in it that somebody may want to break out with.
func sampleNotice() Notice {
	return Notice{
		ID: "n1", What: Opened, Tier: "ops", Channels: []string{"chat"}, At: ten, Groups: 1, Count: 7, IDs: []string{"run-1", "run-2"},
		Kind: "failure", Workflow: "refund", Step: "pay", Tool: "payments.refund", Class: "timeout",
		Message: "<!channel> @here <b>& ```[click](http://evil)\r\nBcc: x@example.com\n\x1b[31m\u202e",
		Opened:  ten, Deadline: ten.Add(time.Hour), OnDeadline: "reject",
	}
}

func TestContent(t *testing.T) {
	t.Parallel()
	n := sampleNotice()
	got := n.content("https://belay.example.com/")
	want := content{
		Title: "7 × failed: payments.refund in refund",
		Facts: []fact{{"Step", "pay"}, {"Fault", "timeout"}, {"Waiting since", "2031-05-04 10:00:00 UTC"}, {"Deadline", "2031-05-04 11:00:00 UTC, then reject"},
			{"Escalations", "run-1, run-2 and 5 more"}},
		Quote: "<!channel> @here <b>& ```[click](http://evil)\nBcc: x@example.com\n[U+202E]",
		Link:  "https://belay.example.com/e/run-1",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestContentSaysWhatIsAtStake: the summary of what is in question, where all the items have the same one.
func TestContentSaysWhatIsAtStake(t *testing.T) {
	t.Parallel()
	one := &item{Escalation: view.Escalation{ID: "a", Tool: "refund", Kind: "approval", Summary: "Refund 120.50 EUR to ann"}}
	other := &item{Escalation: view.Escalation{ID: "b", Tool: "refund", Kind: "approval", Summary: "Refund 9 EUR to bob"}}
	for _, c := range []struct {
		items []*item
		want  bool
	}{{[]*item{one}, true}, {[]*item{one, one}, true}, {[]*item{one, other}, false}} {
		n := Notice{What: Opened, Groups: 1}
		n.about(c.items)
		l := n.content("https://x")
		if text := l.text(); strings.Contains(text, "About: Refund 120.50 EUR to ann") != c.want {
			t.Errorf("%d items: %s", len(c.items), text)
		}
	}
}

func TestTitles(t *testing.T) {
	t.Parallel()
	for want, n := range map[string]Notice{
		"approval needed for pay in refund":       {What: Opened, Count: 1, Kind: "approval", Tool: "pay", Workflow: "refund"},
		"Still waiting: 2 × a question from plan": {What: Reminder, Count: 2, Kind: "question", Workflow: "plan"},
		"Waiting again: outcome unknown: pay":     {What: Returned, Count: 1, Kind: "unknown", Tool: "pay"},
		"Deadline near: ran out of time: plan":    {What: Deadline, Count: 1, Kind: "deadline", Workflow: "plan"},
		"Deadline passed: an escalation from pay": {What: Expired, Count: 1, Kind: "new", Tool: "pay"},
		"a message that cannot be read":           {What: Opened, Count: 1, Kind: "dead_letter", Workflow: "x"},
		"3 more like this: failed: pay":           {What: More, Groups: 1, Count: 3, Kind: "failure", Tool: "pay"},
		"5 × escalations in 2 groups":             {What: More, Groups: 2, Count: 5},
		"an escalation":                           {What: Opened, Count: 1},
		"412 × escalations in 37 groups":          {What: Opened, Count: 412, Groups: 37, Tool: "pay"},
		"Belay can reach you here":                {What: Trial},
		"approval needed for a[U+202E]b Bcc: x":   {What: Opened, Count: 1, Kind: "approval", Tool: "a\u202eb\r\nBcc: x"},
	} {
		if got := n.content("https://x").Title; got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestAStormLinksToTheList(t *testing.T) {
	t.Parallel()
	n := Notice{Groups: 3, Count: 9, Expired: 2, IDs: []string{"a"}, What: Opened}
	l := n.content("https://belay.example.com")
	if l.Link != "https://belay.example.com/" || !strings.Contains(l.text(), "Deadline passed: 2 of 9") {
		t.Errorf("%+v", l)
	}
	n = Notice{Groups: 1, Count: 1, IDs: []string{"a/../b?c"}}
	if got := n.content("https://belay.example.com").Link; got != "https://belay.example.com/e/a%2F..%2Fb%3Fc" {
		t.Error(got)
	}
}
