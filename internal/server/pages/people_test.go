package pages_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"belay/internal/people"
	"belay/internal/server/pages/pagestest"
	"belay/internal/steps"
)

// ofTwo makes the refund one that two people must approve, and mia has.
func ofTwo(t *testing.T, s *site) {
	t.Helper()
	card, err := s.world.Card(t.Context(), pagestest.Refund)
	if err != nil {
		t.Fatal(err)
	}
	a := *card.Dossier.Approval
	a.Needed, a.Given = 2, []string{"mia"}
	card.Dossier.Approval = &a
	card.Dossier.Needed = 2
	card.Dossier.Escalation = card.Dossier.WithApprovals(a.Given)
	card.Item.Escalation = card.Dossier.Escalation
	s.world.Put(card)
}

// TestOnePersonIsNotTwo: whoever has approved is told so, has no button for it, and reads who else must.
func TestOnePersonIsNotTwo(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"mia", "Mia", " ｍｉａ "} {
		s := newSite(t, pagestest.Morning(clock))
		ofTwo(t, s)
		s.person = pagestest.Approver(name)
		page := s.get("/e/" + pagestest.Refund)
		page.wants(t, http.StatusOK, "2 people must approve; 1 of 2 approved, mia.", "You have approved already: 1 of 2 approved, mia; one more person must approve before payments.refund runs.")
		if strings.Contains(page.body, "/approve\"") {
			t.Errorf("%q is offered to approve again", name)
		}
		s.get("/e/"+pagestest.Refund+"/approve").wants(t, http.StatusConflict, "one more person must approve")
		s.post("/e/"+pagestest.Refund+"/approve", url.Values{"digest": {"sha256:4f2ad9c0b7e1558e"}, "revision": {"41"}}).wants(t, http.StatusConflict, "one more person must approve")
		s.nothingDone()
		s.get("/").wants(t, http.StatusOK, "1 of 2 approved, mia")
	}
	s := newSite(t, pagestest.Morning(clock))
	ofTwo(t, s)
	s.person = pagestest.Approver("bo")
	s.get("/e/"+pagestest.Refund).wants(t, http.StatusOK, "/approve\"")
}

// TestAPasskeyIsAskedFor: whoever opens the card reads that approving takes a passkey, before they press anything.
func TestAPasskeyIsAskedFor(t *testing.T) {
	t.Parallel()
	s := newSite(t, pagestest.Morning(clock))
	page := s.get("/e/" + pagestest.Refund)
	page.wants(t, http.StatusOK, "One approval is needed.")
	card, err := s.world.Card(t.Context(), pagestest.Refund)
	if err != nil {
		t.Fatal(err)
	}
	a := *card.Dossier.Approval
	a.Proof = steps.ProofPasskey
	card.Dossier.Approval = &a
	s.world.Put(card)
	s.get("/e/"+pagestest.Refund).wants(t, http.StatusOK, "One approval is needed, with a passkey.")
}

// TestOverAClaim: who decides what somebody else has claimed is asked once more, and the other is told.
func TestOverAClaim(t *testing.T) {
	t.Parallel()
	s := newSite(t, pagestest.Morning(clock))
	if _, err := s.world.Act(t.Context(), pagestest.Approver("bo"), pagestest.Shipment, people.Act{Verb: people.Claim}); err != nil {
		t.Fatal(err)
	}
	s.get("/e/"+pagestest.Shipment+"/retry").wants(t, http.StatusOK, "bo has claimed this")
	sure := s.send(pagestest.Shipment, "retry", url.Values{"reason": {"the courier called"}})
	sure.wants(t, http.StatusOK, "are you sure?", "bo has claimed this", "they are notified")
	if n := len(s.world.Acts()); n != 1 {
		t.Fatalf("it was decided before she was sure: %d acts", n)
	}
	s.again(pagestest.Shipment, "retry", sure).wants(t, http.StatusSeeOther)
	acts := s.world.Acts()
	if last := acts[len(acts)-1]; !last.TakeOver || last.Verb != "retry" || last.Reason != "the courier called" {
		t.Errorf("%+v", last)
	}
	s.person = pagestest.Approver("bo")
	s.get("/").wants(t, http.StatusOK, "You had claimed", "sent it back")
	s.person = pagestest.Approver("mia")
	if page := s.get("/"); strings.Contains(page.body, "You had claimed") {
		t.Error("somebody else is told of it too")
	}
}

// TestOwnClaimAsksNothing: however the name is written.
func TestOwnClaimAsksNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t, pagestest.Morning(clock))
	if _, err := s.world.Act(t.Context(), pagestest.Approver("MIA"), pagestest.Shipment, people.Act{Verb: people.Claim}); err != nil {
		t.Fatal(err)
	}
	s.get("/e/"+pagestest.Shipment).wants(t, http.StatusOK, "You have claimed it")
	s.send(pagestest.Shipment, "retry", nil).wants(t, http.StatusSeeOther)
}

// TestSettledSaysHow: in the words of the run's log.
func TestSettledSaysHow(t *testing.T) {
	t.Parallel()
	s := newSite(t, pagestest.Morning(clock))
	card, err := s.world.Card(t.Context(), pagestest.Shipment)
	if err != nil {
		t.Fatal(err)
	}
	card.Dossier.State, card.Item.State = steps.EscalationSuperseded, steps.EscalationSuperseded
	card.Dossier.Settled = "already settled: the run was cancelled by ann"
	s.world.Put(card)
	s.get("/e/"+pagestest.Shipment).wants(t, http.StatusOK, "Already settled: the run was cancelled by ann.")
}
