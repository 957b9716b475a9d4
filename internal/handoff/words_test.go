package handoff

import (
	"errors"
	"strings"
	"testing"

	"belay/internal/people"
	"belay/internal/runlog"
	"belay/internal/steps"
	"belay/internal/steps/view"
)

// TestADecisionAppendedTwiceIsOne: whoever had to append it again, because nobody knew whether it was stored, is told what
// came of it and not that somebody was first.
func TestADecisionAppendedTwiceIsOne(t *testing.T) {
	t.Parallel()
	l, _ := newLog(t)
	id := held(t, l, "run", steps.Approval{Approvers: 2})
	d := steps.Decided{Escalation: id, Verb: steps.VerbApprove, By: "mia", Via: "cli"}
	g, _, err := steps.GrantFor(l.state(t, "run"), 0, d)
	if err != nil {
		t.Fatal(err)
	}
	g.Nonce = "n"
	d.Grant = &g
	shown := func() *runlog.Snapshot {
		s, err := l.Open(t.Context(), "run")
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	for _, before := range []*runlog.Snapshot{shown(), shown()} {
		seq, err := l.Append(t.Context(), "run", d)
		if err != nil {
			t.Fatal(err)
		}
		w, err := outcome(t.Context(), before, d, seq)
		if err != nil || w.Outcome != view.OutcomePart || w.Text != "1 of 2 approved, mia; one more person must approve before t runs" {
			t.Errorf("%+v, %v", w, err)
		}
	}
	other, before := d, shown()
	other.Grant = new(g)
	other.Grant.Nonce = "another"
	seq, err := l.Append(t.Context(), "run", other)
	if err != nil {
		t.Fatal(err)
	}
	if w, err := outcome(t.Context(), before, other, seq); !errors.Is(err, ErrApproved) || w.Outcome != view.OutcomeApproved {
		t.Errorf("another approval of hers: %+v, %v", w, err)
	}
}

// TestWhatSomebodyElseHasClaimed takes a word to decide, and to take over.
func TestWhatSomebodyElseHasClaimed(t *testing.T) {
	t.Parallel()
	l, _ := newLog(t)
	id := held(t, l, "run", steps.Approval{Approvers: 2})
	if _, err := l.act(t, "bo", id, people.Act{Verb: people.Claim}); err != nil {
		t.Fatal(err)
	}
	approve := people.Act{Verb: "approve", Digest: l.digest(t, id)}
	if _, err := l.act(t, "mia", id, approve); !errors.Is(err, ErrClaimed) || !strings.Contains(err.Error(), "nothing was decided") {
		t.Errorf("%v", err)
	}
	if _, err := l.act(t, "mia", id, people.Act{Verb: "dance"}); !errors.Is(err, ErrNotAllowed) {
		t.Errorf("what is not possible at all: %v", err)
	}
	approve.TakeOver = true
	done, err := l.act(t, "mia", id, approve)
	if err != nil || !strings.Contains(done.Effect, "1 of 2 approved, mia") || !strings.Contains(done.Effect, "bo had claimed it") {
		t.Errorf("%+v, %v", done, err)
	}
	approve.TakeOver = false
	if _, err := l.act(t, "BO ", id, approve); err != nil {
		t.Errorf("his own claim, with his name written otherwise: %v", err)
	}
	c, err := l.desk.Card(t.Context(), id)
	var did []string
	for _, line := range c.Trail {
		did = append(did, line.By+" "+line.Did())
	}
	if got := strings.Join(did, "; "); err != nil || got != "bo claimed it; mia approved, over the claim of bo; BO  approved" {
		t.Errorf("%s, %v", got, err)
	}
	if news, err := l.desk.TakenOver(t.Context(), "Bo"); err != nil || len(news) != 1 || news[0].ID != id {
		t.Errorf("%+v, %v", news, err)
	}
}
