package runlog

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

// TestQuery: what people type, and what they are told where it is not understood.
func TestQuery(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]Filter{
		"":                         {},
		"refund":                   {Workflow: "refund"},
		"plan:refund state:failed": {Workflow: "refund", State: "failed"},
		`label:customer=17 label:team=a input:order.id=A-1009`: {Labels: map[string]string{"customer": "17", "team": "a"}, Input: map[string]string{"order.id": "A-1009"}},
		`text:"card \"x\" expired" fault:timeout`:              {Text: `card "x" expired`, Class: "timeout"},
		`input:"name=Ann B"`:                                   {Input: map[string]string{"name": "Ann B"}},
		"tool:pay reason:overloaded":                           {Tool: "pay", Reason: "overloaded"},
		"since:2h until:2026-11-01":                            {Since: now.Add(-2 * time.Hour), Until: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)},
		"ended-since:1d ended-until:2026-11-28T08:00:00Z":      {EndedSince: now.Add(-24 * time.Hour), EndedUntil: now.Add(-4 * time.Hour)},
	} {
		f, err := ParseQuery(text, now)
		if err != nil || !reflect.DeepEqual(f, want) {
			t.Errorf("%s: %+v, %v", text, f, err)
		}
		if again, err := ParseQuery(f.Query(), now.Add(time.Hour)); err != nil || !reflect.DeepEqual(again, f) {
			t.Errorf("%s is written as %s, which is %+v, %v", text, f.Query(), again, err)
		}
	}
	for text, want := range map[string]string{
		"colour:red":           "there is no colour: to search by; write workflow:, state:",
		"state:gone":           "a state is one of scheduled, running",
		"label:customer":       "write label:customer=17",
		"fault:hiccup":         "a fault's class is one of",
		"reason:hiccup":        "a fault's reason is one of",
		"since:whenever":       "a time is 2h or 7d ago",
		"tool:":                "write tool:payments.refund",
		`text:"card`:           "a quote is not closed",
		"input:card.api_key=1": "runs are not searched by values whose name says that they are secrets (api_key)",
		"input:a.b.c.d=1":      "at most 3 objects deep",
	} {
		if _, err := ParseQuery(text, now); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

// FuzzQuery: whatever is understood is written as a query that means the same.
func FuzzQuery(f *testing.F) {
	for _, s := range []string{"refund", `text:"a \"b\\ c" label:x=y`, "since:2h input:a.b=1", `"a b"`, `label:"x=\n y"`} {
		f.Add(s)
	}
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, text string) {
		q, err := ParseQuery(text, now)
		if err != nil {
			return
		}
		again, err := ParseQuery(q.Query(), now)
		if err != nil || again.Query() != q.Query() {
			t.Errorf("%q is %q, then %q, %v", text, q.Query(), again.Query(), err)
		}
	})
}
