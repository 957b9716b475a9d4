package pages_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"belay/internal/people"
	"belay/internal/server/pages/pagestest"
	"belay/internal/steps"
	"belay/internal/steps/view"
)

// TestDoingARunAgain: the page of an ended run asks from which step, the next one says what is done and what has to be confirmed, and
// only that page starts the new run, once.
func TestDoingARunAgain(t *testing.T) {
	t.Parallel()
	w := pagestest.Empty(clock)
	ended := clock()
	w.PutRun(view.Document{ID: "first", Workflow: "pay", State: steps.RunSucceeded, Started: clock(), Ended: &ended, Steps: []view.Step{
		{ID: "look", Tool: "orders.lookup", State: steps.StepSucceeded}, {ID: "pay", Tool: "payments.create", State: steps.StepSucceeded},
	}})
	w.PutRun(view.Document{ID: "open", Workflow: "pay", State: steps.RunRunning, Started: clock()})
	s := newSite(t, w)
	if strings.Contains(s.get("/runs/open").body, "Do this run again") {
		t.Error("an open run is offered")
	}
	s.get("/runs/first").wants(t, http.StatusOK, "Do this run again", `<option value="pay"`)
	asks := s.get("/runs/first/replay?from=pay")
	asks.wants(t, http.StatusOK, "taken over: its result", "executed again: asked for", "was made, with the key first/pay/0", `name="again" value="pay"`)
	if strings.Contains(asks.body, "<b>") {
		t.Error("parameters are markup")
	}
	form := hidden(asks.body)
	form.Set("reason", "wrong account")
	s.post("/runs/first/replay", form).wants(t, http.StatusUnprocessableEntity, "Tick each step", "wrong account")
	form.Set("again", "pay")
	for range 2 {
		a := s.post("/runs/first/replay", form)
		s.follow(a).wants(t, http.StatusOK, `It does <a href="/runs/first">`, "again from pay", "wrong account")
	}
	page := s.get("/runs/first")
	if n := strings.Count(page.body, "does it again"); n != 1 {
		t.Errorf("%d replays are named", n)
	}
	s.get("/runs/first/replay?from=shop").wants(t, http.StatusOK, "the plan has no step")
	s.post("/runs/first/replay", url.Values{"from": {"shop"}}).wants(t, http.StatusConflict, "Nothing was started", "the plan has no step")
	s.get("/runs/first/replay").wants(t, http.StatusOK, "Do it again from")
	s.person = people.Actor{Name: "vic", Role: people.Viewer}
	s.get("/runs/first/replay?from=pay").wants(t, http.StatusForbidden, "You may not do a run again")
	s.post("/runs/first/replay", form).wants(t, http.StatusForbidden, "Nothing was started")
	if strings.Contains(s.get("/runs/first").body, "Do this run again") {
		t.Error("a viewer is offered it")
	}
}
