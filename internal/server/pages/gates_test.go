package pages_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"belay/internal/breaker"
	"belay/internal/server/pages/pagestest"
	"belay/internal/steps"
)

// TestGates: they are closed and opened by a form each, every page says so meanwhile, and what was typed is not lost where it was
// wrong.
func TestGates(t *testing.T) {
	t.Parallel()
	s := newSite(t, pagestest.Morning(clock))
	s.get("/gates").wants(t, http.StatusOK, "No gate is closed", "Close the gate")
	s.post("/gates", url.Values{"reason": {"wrong <b>amounts</b>"}}).wants(t, http.StatusUnprocessableEntity, "Say what the gate is to hold back", `value="wrong <b>amounts</b>"`)
	s.post("/gates", url.Values{"tool": {"payments.*"}}).wants(t, http.StatusUnprocessableEntity, "say why", `value="payments.*"`)
	s.post("/gates", url.Values{"tool": {"payments.*"}, "all": {"yes"}, "reason": {"r"}}).wants(t, http.StatusUnprocessableEntity, "All is everything", "checked")
	s.follow(s.post("/gates", url.Values{"tool": {"payments.*"}, "labels": {"tenant=acme  team=pay"}, "reason": {"wrong <b>amounts</b>"}, "for": {"30m"}})).
		wants(t, http.StatusOK, "tool payments.* label team=pay label tenant=acme", "By mia since", "opens by itself", "1 call under way, 12 calls held back", "A-1009/charge/0-0-1", `action="/gates/g1/open"`)
	for _, path := range []string{"/", "/runs", "/tools", "/system"} {
		s.get(path).wants(t, http.StatusOK, "Calls are held back", "tool payments.*", "wrong <b>amounts</b>")
	}
	s.post("/gates/nope/open", nil).wants(t, http.StatusConflict, "no such gate")

	s.person = pagestest.Viewer("eve")
	if a := s.get("/gates"); a.status != http.StatusOK || strings.Contains(a.body, "<form") {
		t.Errorf("%d, and a form for somebody who may not", a.status)
	}
	s.post("/gates", url.Values{"all": {"yes"}, "reason": {"r"}}).wants(t, http.StatusForbidden, "You may not close or open gates")
	s.post("/gates/g1/open", nil).wants(t, http.StatusForbidden, "Nothing was changed")

	s.person = pagestest.Approver("bo")
	s.follow(s.post("/gates/g1/open", url.Values{"reason": {"mended"}})).wants(t, http.StatusOK, "No gate is closed", "Opened by bo", "mended")
	s.post("/gates/g1/open", nil).wants(t, http.StatusConflict, "open already")
	if strings.Contains(s.get("/").body, "Calls are held back") {
		t.Error("it still says that calls are held back")
	}
}

// TestBreakersOnTheGatesPage: those that are not closed stand there, with why, also for who may close no gate.
func TestBreakersOnTheGatesPage(t *testing.T) {
	t.Parallel()
	w := pagestest.Morning(clock)
	s := newSite(t, w)
	if strings.Contains(s.get("/gates").body, "Left alone") {
		t.Error("it says so while no breaker is open")
	}
	w.Breakers = []breaker.Record{breaker.Trip(breaker.Target{Tool: "ship.order", Rung: "drone", Host: "shop.example"}, steps.Breaker{Open: steps.Duration(time.Minute)}, 20, 12, "timeout: <b>x</b>", w.Now())}
	s.person = pagestest.Viewer("eve")
	s.get("/gates").wants(t, http.StatusOK, "Left alone, because they fail", "ship.order/drone shop.example", "12 of 20 calls failed", "timeout: <b>x</b>", "No call goes; the next probe does after", "0 probes since then")
}
