package handoff

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"belay/internal/approval"
	"belay/internal/people"
	"belay/internal/steps"
)

// way is an office with a way in that signs who submitted a run, and one of a stranger.
type way struct {
	*office
	signer, evil *approval.Signer
	document     json.RawMessage
}

func newWay(t *testing.T) *way {
	t.Helper()
	l, b := newLog(t)
	w := &way{office: l}
	var err error
	if w.evil, err = approval.Open(t.TempDir()); err != nil {
		t.Fatal(err)
	}
	w.signer = l.desk.Signer.(*approval.Signer)
	keys := approval.NewPublished(b)
	if _, err := w.signer.PublishTo(t.Context(), keys); err != nil {
		t.Fatal(err)
	}
	l.desk.Proofs = keys
	held(t, l, "pattern", steps.Approval{NotSubmitter: true})
	s, err := l.Submitted(t.Context(), "pattern")
	if err != nil {
		t.Fatal(err)
	}
	w.document = s.Document
	return w
}

// shop is what the API stores of a submission for which the token of shop was shown.
func (w *way) shop() steps.Submitted {
	return steps.Submitted{Document: w.document, Input: json.RawMessage(`{ "a": 1 }`), By: "shop", Via: "api", Token: "0001", Request: "5f1c"}
}

func (w *way) proven(t *testing.T, by *approval.Signer, run string, e steps.Submitted, at time.Time) steps.Submitted {
	t.Helper()
	if err := by.Prove(run, &e, at); err != nil {
		t.Fatal(err)
	}
	return e
}

func (w *way) submit(t *testing.T, run string, e steps.Submitted) {
	t.Helper()
	if _, err := w.Submit(t.Context(), run, e); err != nil {
		t.Fatal(err)
	}
}

// TestWhatNobodyHasProven: whoever can write to the log writes any name there, and any proof that they have seen or made.
// Such a run is shown as what it is, its approval says so, and a server that requires proof refuses it.
func TestWhatNobodyHasProven(t *testing.T) {
	w := newWay(t)
	now := time.Now()
	seen := w.proven(t, w.signer, "seen", w.shop(), now)
	other := w.proven(t, w.signer, "other", w.shop(), now)
	const nobody, forged = "says it was submitted by shop; nobody checked that", "says it was submitted by shop; the proof of that is not genuine"
	for name, c := range map[string]struct {
		e    steps.Submitted
		says string
	}{
		"a-name":       {func() steps.Submitted { e := w.shop(); e.Token, e.Via = "", ""; return e }(), nobody},
		"a-token-s-id": {w.shop(), nobody},
		"own-key":      {w.proven(t, w.evil, "own-key", w.shop(), now), forged},
		"own-key-our-name": {func() steps.Submitted {
			e := w.proven(t, w.evil, "own-key-our-name", w.shop(), now)
			e.Proof.Key = seen.Proof.Key
			return e
		}(), forged},
		"of-another-run": {other, forged},
		"of-another-person": {func() steps.Submitted {
			e := w.proven(t, w.signer, "of-another-person", w.shop(), now)
			e.By = "anna"
			return e
		}(), strings.ReplaceAll(forged, "shop", "anna")},
		"of-other-content": {func() steps.Submitted {
			e := w.proven(t, w.signer, "of-other-content", w.shop(), now)
			e.Input = json.RawMessage(`{}`)
			return e
		}(), forged},
		"of-other-labels": {func() steps.Submitted {
			e := w.proven(t, w.signer, "of-other-labels", w.shop(), now)
			e.Labels = map[string]string{"a": "b"}
			return e
		}(), forged},
		"of-long-ago":   {w.proven(t, w.signer, "of-long-ago", w.shop(), now.Add(-time.Hour)), forged},
		"of-nobody":     {func() steps.Submitted { e := w.shop(); e.By = ""; return e }(), "does not say who submitted it"},
		"of-the-future": {w.proven(t, w.signer, "of-the-future", w.shop(), now.Add(time.Hour)), forged},
		"empty":         {func() steps.Submitted { e := w.shop(); e.Proof = &steps.Proof{}; return e }(), forged},
	} {
		t.Run(name, func(t *testing.T) {
			w.submit(t, name, c.e)
			w.desk.RequireProof = false
			card, err := w.desk.Card(t.Context(), name+"-1")
			if err != nil {
				t.Fatal(err)
			}
			d := card.Dossier
			if d.SubmitterProven || d.Submitted != c.says || !d.Approval.Unproven || d.Approval.Refused != "" {
				t.Errorf("%v %q %+v", d.SubmitterProven, d.Submitted, d.Approval)
			}
			w.desk.RequireProof = true
			card, err = w.desk.Card(t.Context(), name+"-1")
			if bars := card.Dossier.Bars("mia"); err != nil || !strings.Contains(bars.Text, "submit it through the HTTP API with a token") {
				t.Errorf("%v %+v", err, bars)
			}
			a := people.Act{Verb: people.Approve, Digest: d.Approval.Digest}
			if _, err := w.act(t, "mia", name+"-1", a); !errors.Is(err, people.ErrForbidden) || !strings.Contains(err.Error(), "reject it, and submit it through the HTTP API with a token") {
				t.Errorf("it is approved: %v", err)
			}
			if s := w.state(t, name); s.Escalations[0].State != steps.EscalationOpen {
				t.Error("what was refused counts")
			}
			w.desk.RequireProof = false
			done, err := w.act(t, "mia", name+"-1", a)
			if err != nil || !strings.Contains(done.Effect, "; the run ") || !strings.Contains(done.Effect, "submitted it") && !strings.Contains(done.Effect, "nobody checked that") {
				t.Errorf("it is approved silently: %+v %v", done, err)
			}
			if s := w.state(t, name); s.Escalations[0].Decision == nil || !s.Escalations[0].Decision.Unproven {
				t.Error("the log does not say that nobody has proven it")
			}
		})
	}
}

// TestWhatATokenHasShown is proven, also of a retry, until the key is revoked; the approval says nothing more.
func TestWhatATokenHasShown(t *testing.T) {
	w := newWay(t)
	w.desk.RequireProof = true
	w.submit(t, "r", w.proven(t, w.signer, "r", w.shop(), time.Now()))
	card, err := w.desk.Card(t.Context(), "r-1")
	d := card.Dossier
	if err != nil || !d.SubmitterProven || d.Submitted != "submitted by shop, shown by its token" || d.Approval.Unproven || d.Bars("mia").Outcome != "" || d.Bars("shop").Outcome == "" {
		t.Fatalf("%v %+v %+v", err, d.Approval, d.Submitted)
	}
	a := people.Act{Verb: people.Approve, Digest: d.Approval.Digest}
	if _, err := w.act(t, "Shop", "r-1", a); !errors.Is(err, people.ErrForbidden) {
		t.Errorf("who submitted it approves it: %v", err)
	}
	done, err := w.act(t, "mia", "r-1", a)
	if err != nil || strings.Contains(done.Effect, "submitted") {
		t.Errorf("%+v %v", done, err)
	}
	if s := w.state(t, "r"); s.Escalations[0].Decision.Unproven {
		t.Error("the log says that it is not proven")
	}
	s, err := w.Load(t.Context(), "r")
	if err != nil {
		t.Fatal(err)
	}
	of, p := s.Proof()
	if err := w.desk.Proofs.(*approval.Published).Revoke(t.Context(), p.Key); err != nil {
		t.Fatal(err)
	}
	if ok, err := w.desk.Proofs.Genuine(t.Context(), of, *p); ok || err != nil {
		t.Errorf("a revoked key proves it: %v", err)
	}
}

// TestAnEditIsNoApprovalWithoutProof: where the server requires it, what an approver changes is asked about as well.
func TestAnEditIsNoApprovalWithoutProof(t *testing.T) {
	w := newWay(t)
	for run, required := range map[string]bool{"strict": true, "told": false} {
		w.submit(t, run, w.shop())
		w.desk.RequireProof = required
		done, err := w.act(t, "mia", run+"-1", people.Act{Verb: people.Edit, Params: json.RawMessage(`{"amount":1}`)})
		if err != nil || strings.Contains(done.Effect, "nobody checked that") == required {
			t.Errorf("%s: %+v %v", run, done, err)
		}
		if s := w.state(t, run); (s.Units[0].State() == steps.StepHeld) != required {
			t.Errorf("%s: %s", run, s.Units[0].State())
		}
	}
}

// TestADeskWithoutKeysProvesNothing, and says so.
func TestADeskWithoutKeysProvesNothing(t *testing.T) {
	w := newWay(t)
	w.submit(t, "r", w.proven(t, w.signer, "r", w.shop(), time.Now()))
	w.desk.Proofs = nil
	if card, err := w.desk.Card(t.Context(), "r-1"); err != nil || card.Dossier.SubmitterProven || !strings.Contains(card.Dossier.Submitted, "nobody checked that") {
		t.Errorf("%v %q", err, card.Dossier.Submitted)
	}
}
