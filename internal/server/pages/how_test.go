package pages_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"belay/internal/score"
	"belay/internal/server/pages/pagestest"
	"belay/internal/steps"
)

// TestHowItGoes: results, objectives, dead rungs, causes and spikes stand on one page, whatever is in the messages.
func TestHowItGoes(t *testing.T) {
	t.Parallel()
	w := pagestest.Morning(clock)
	s := newSite(t, w)
	s.person = pagestest.Viewer("eve")
	s.get("/how").wants(t, http.StatusOK, "No call has come to anything yet")
	s.get("/trends").wants(t, http.StatusOK, `href="/how"`)
	now := w.Now().UTC()
	w.Counts = &score.Counts{
		At: now, Since: now.Add(-60 * 24 * time.Hour), Hours: []score.Slot{{At: now.Truncate(time.Hour), Tools: map[string]*score.Numbers{
			"payments.refund": {Primary: 9, Degraded: 1, Asked: 2, Decided: 2, Late: 1, Took: map[int]int{10: 2}, Rungs: map[string]score.RungNumbers{"bank": {Gave: 9, Answered: 9, Faulted: 3}, "voucher": {Gave: 1, Answered: 1}}},
		}}},
		Tools: map[string]*score.Tool{"payments.refund": {
			SLO: &steps.SLO{Primary: 0.99, Window: score.Span(score.DefaultWindow), Decision: score.Span(time.Minute)}, Changed: now.Add(-time.Hour),
			Rungs: []score.Rung{{Name: "bank", Since: now, Answered: now}, {Name: "voucher", Since: now, Answered: now}, {Name: "cash", Since: now.Add(-40 * 24 * time.Hour)}},
		}},
		Causes: []score.Cause{{ID: "c0ffee", Tool: "payments.refund", Class: steps.Timeout, Message: "order #", Sample: "order 17 <b>x</b>", Run: "A-1009", First: now, Last: now, Count: 3, Days: map[string]int{now.Format(time.DateOnly): 3}}},
	}
	w.Spikes = []score.Spike{{ID: "jump/payments.refund", Kind: score.Jumped, Tool: "payments.refund", Text: "payments.refund: 60% <i>wrong</i>", Since: now}}
	a := s.get("/how")
	a.wants(t, http.StatusOK, "90%", "of 10 results from the first rung; 1 degraded, 0 failed, 0 to people", "objective missed", "Objective 99% in 30d: 0% of the error budget left",
		"Rung", "dead", "it has not answered since", "People were asked 2 times and decided 2", "1 late", "order 17 <b>x</b>", "new", `href="/runs/A-1009"`, "60% <i>wrong</i>", `href="/how?window=24h"`)
	if strings.Contains(a.body, "<b>x</b>") {
		t.Error("a message is markup")
	}
	s.get("/how?window=24h").wants(t, http.StatusOK, "In 24h", "<strong>24h</strong>")
	s.get("/how?window=x").wants(t, http.StatusBadRequest, "This is not a window")
}
