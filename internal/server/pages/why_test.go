package pages_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"belay/internal/server/pages"
	"belay/internal/server/pages/pagestest"
	"belay/internal/steps/view"
)

// TestWhyIsOnCardAndRun: what the run waits for, and what happens if nobody acts.
func TestWhyIsOnCardAndRun(t *testing.T) {
	t.Parallel()
	w := pagestest.Morning(clock)
	s := newSite(t, w)
	run := pagestest.Shipment[:len(pagestest.Shipment)-2]
	for _, path := range []string{"/e/" + pagestest.Shipment, "/runs/" + run} {
		if a := s.get(path); a.status != http.StatusOK || strings.Contains(a.body, "If nobody acts") {
			t.Errorf("%s says what nobody told it: %d", path, a.status)
		}
	}
	s.options.Why = w.Why
	s.Config.Handler = pages.New(s.options)
	for _, path := range []string{"/e/" + pagestest.Shipment, "/runs/" + run} {
		a := s.get(path)
		for _, want := range []string{"If nobody acts", "bo has claimed it", "lead is notified", "in 10m 00s", "03:22:00 UTC", "the run ends degraded: ship from rung cached"} {
			if !strings.Contains(a.body, want) {
				t.Errorf("%s does not say %q:\n%s", path, want, a.body)
			}
		}
	}
	if a := s.get("/runs/01936f10-0000-7000-8000-00000000d0d0"); strings.Contains(a.body, "If nobody acts") {
		t.Error("a run that has ended waits for something")
	}
	s.options.Why = func(context.Context, string) (view.Why, error) { return view.Why{}, errors.New("not now") }
	s.Config.Handler = pages.New(s.options)
	if a := s.get("/runs/" + run); a.status != http.StatusOK || strings.Contains(a.body, "If nobody acts") {
		t.Errorf("without an answer the page is gone: %d", a.status)
	}
}
