package pages_test

import (
	"net/http"
	"strings"
	"testing"

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
