package handoff

import (
	"testing"

	"belay/internal/people"
	"belay/internal/steps"
)

// TestASettledCardIsAsItWas: decided, expired or answered by events, it shows what was in question then, whatever has
// happened to its step since.
func TestASettledCardIsAsItWas(t *testing.T) {
	t.Parallel()
	l, _ := newLog(t)
	expired := held(t, l, "expired", steps.Approval{Deadline: steps.Duration(1), OnDeadline: steps.ExpiryPark})
	if _, err := l.act(t, "mia", expired, people.Act{Verb: "reject", Reason: "no"}); err == nil {
		t.Fatal("it has not expired")
	}
	if _, err := l.act(t, "mia", "expired-2", people.Act{Verb: "edit", Params: []byte(`{"amount":1}`)}); err != nil {
		t.Fatal(err)
	}
	decided := held(t, l, "decided", steps.Approval{})
	if _, err := l.act(t, "mia", decided, people.Act{Verb: "edit", Params: []byte(`{"amount":1}`)}); err != nil {
		t.Fatal(err)
	}
	superseded := held(t, l, "superseded", steps.Approval{})
	l.reports(t, "superseded", steps.Cancelled{By: "bo"})
	for _, c := range []struct {
		id       string
		state    steps.EscalationState
		followed string
		next     string
	}{
		{expired, steps.EscalationExpired, "it is asked again", "expired-2"},
		{"expired-2", steps.EscalationDecided, "s is at work on try 1; the run goes on", ""},
		{decided, steps.EscalationDecided, "s is at work on try 1; the run goes on", ""},
		{superseded, steps.EscalationSuperseded, "s was cancelled; the run was cancelled by bo", ""},
	} {
		card, err := l.desk.Card(t.Context(), c.id)
		if err != nil {
			t.Fatal(err)
		}
		d := card.Dossier
		if d.State != c.state || string(d.Failing.Params) != `{"amount":12345678901234567890,"to":"ann"}` || d.Plan[0].State != steps.StepHeld || len(d.Attempts) != 0 {
			t.Errorf("%s is %s and shows %s, %s, %d attempts", c.id, d.State, d.Failing.Params, d.Plan[0].State, len(d.Attempts))
		}
		if d.Followed == nil || d.Followed.Text != c.followed || d.Followed.Next != c.next || card.Item.State != c.state {
			t.Errorf("%s: %+v, want %s", c.id, d.Followed, c.followed)
		}
	}
}
