package pages_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"belay/internal/people"
	"belay/internal/server/pages"
	"belay/internal/server/pages/pagestest"
	"belay/internal/steps"
	"belay/internal/steps/view"
)

// TestARunPageSaysWhereTheRunGoesOn both ways, and does not offer to do again what goes on elsewhere.
func TestARunPageSaysWhereTheRunGoesOn(t *testing.T) {
	t.Parallel()
	w := pagestest.Empty(clock)
	ended := clock()
	w.PutRun(view.Document{ID: "one", Workflow: "pay", State: steps.RunMigrated, GoesOnAs: "one-m1", Started: clock(), Ended: &ended, Steps: []view.Step{{ID: "look"}}})
	w.PutRun(view.Document{ID: "one-m1", Workflow: "pay", State: steps.RunRunning, Migrates: &steps.MigrationOf{Run: "one"}, Started: clock()})
	s := newSite(t, w)
	old := s.get("/runs/one")
	old.wants(t, http.StatusOK, `It goes on as <a href="/runs/one-m1">`)
	if strings.Contains(old.body, "Do this run again") {
		t.Error("it is offered to be done again")
	}
	s.get("/runs/one-m1").wants(t, http.StatusOK, `It goes on from <a href="/runs/one">`)
}

// TestLettingARunGoOnUnderAnotherPlan: the page of an open run asks for the plan, the next one shows the proof, and only that page
// lets the run go on.
func TestLettingARunGoOnUnderAnotherPlan(t *testing.T) {
	t.Parallel()
	w := pagestest.Empty(clock)
	w.PutRun(view.Document{ID: "one", Workflow: "refund", State: steps.RunWaiting, Started: clock(), Escalations: []string{"one-1"}, Steps: []view.Step{
		{ID: "look", Tool: "orders.lookup", State: steps.StepSucceeded}, {ID: "<b>", Tool: "payments.create", State: steps.StepHeld},
	}})
	ended := clock()
	w.PutRun(view.Document{ID: "over", Workflow: "refund", State: steps.RunSucceeded, Started: clock(), Ended: &ended})
	s := newSite(t, w)
	if strings.Contains(s.get("/runs/over").body, "under another plan") {
		t.Error("an ended run is offered")
	}
	s.get("/runs/one").wants(t, http.StatusOK, "Let this run go on under another plan", `<option value="refund" selected`)
	s.get("/runs/one/migrate").wants(t, http.StatusOK, "Show whether it fits")
	s.get("/runs/one/migrate?plan=none").wants(t, http.StatusUnprocessableEntity, "The server has no plan of this name.")
	missing := s.get("/runs/one/migrate?plan=refund")
	missing.wants(t, http.StatusOK, "look: it is done, and the new plan does not have it; keep it in the plan", `name="drop" value="look"`, "missing: it is done")
	if strings.Contains(missing.body, "Yes, go on") {
		t.Error("what does not fit can be confirmed")
	}
	s.post("/runs/one/migrate", url.Values{"plan": {"refund"}, "reason": {"x"}}).wants(t, http.StatusConflict, "Nothing was changed.", "keep it in the plan")
	dropped := s.get("/runs/one/migrate?plan=refund&drop=look")
	dropped.wants(t, http.StatusOK, "dropped: it is done", "one-1 is withdrawn, and asked again", "Yes, go on under this plan", "checked")
	if strings.Contains(dropped.body, "<b>") {
		t.Error("the name of a step is markup")
	}
	form := hidden(dropped.body)
	form.Set("reason", "wrong address")
	s.person = people.Actor{Name: "vic", Role: people.Viewer}
	s.get("/runs/one/migrate?plan=pay").wants(t, http.StatusForbidden, "You may not let a run go on under another plan")
	s.post("/runs/one/migrate", form).wants(t, http.StatusForbidden, "Nothing was changed")
	if strings.Contains(s.get("/runs/one").body, "under another plan") {
		t.Error("a viewer is offered it")
	}
	s.person = pagestest.Approver("mia")
	s.follow(s.post("/runs/one/migrate", form)).wants(t, http.StatusOK, `It goes on from <a href="/runs/one">`)
	s.get("/runs/one").wants(t, http.StatusOK, `It goes on as <a href="/runs/one-m1">`, "as mia said: wrong address")
	s.post("/runs/one/migrate", form).wants(t, http.StatusConflict, "Nothing was changed.", "run one goes on as one-m1; migrate that one")
	s.post("/runs/nobody/migrate", form).wants(t, http.StatusNotFound, "There is no such run")
}

// TestWithoutPlansNothingIsMigrated, and nobody is offered it.
func TestWithoutPlansNothingIsMigrated(t *testing.T) {
	t.Parallel()
	w := pagestest.Empty(clock)
	w.PutRun(view.Document{ID: "one", Workflow: "refund", State: steps.RunWaiting, Started: clock()})
	s := newSite(t, w)
	s.options.Migrations = nil
	s.Config.Handler = pages.New(s.options)
	if strings.Contains(s.get("/runs/one").body, "under another plan") {
		t.Error("it is offered")
	}
	s.get("/runs/one/migrate?plan=pay").wants(t, http.StatusNotFound, "There is no such page")
}
