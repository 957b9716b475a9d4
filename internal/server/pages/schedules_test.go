package pages_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"belay/internal/schedules"
	"belay/internal/server/pages/pagestest"
)

// TestSchedulesPage: what fires next and what became of the last runs; who may pauses, resumes and fires.
func TestSchedulesPage(t *testing.T) {
	t.Parallel()
	w := pagestest.Morning(clock)
	s := newSite(t, w)
	s.get("/schedules").wants(t, http.StatusOK, "No schedules", "dispatcher schedules add")
	nightly := pagestest.Nightly(w.Now())
	nightly.Problem = "no worker serves <b>report</b> now"
	w.Schedules = []schedules.Schedule{nightly}
	s.get("/schedules").wants(t, http.StatusOK, "nightly", "Fires next at", "30 2 * * * Europe/Berlin", "02:30:00 CE", "While the run before is open it is left out; the last one that was missed is made up for",
		`href="/runs/nightly-1"`, "succeeded", "refused: the plan does not compile: <b>", "fired by bo", "2 firings were left out", "No worker serves <b>report</b> now", "careful", `action="/schedules/nightly/pause"`)
	s.follow(s.post("/schedules/nightly/pause", url.Values{"reason": {"a <b>day</b> off"}})).wants(t, http.StatusOK, "Paused by mia since", "a <b>day</b> off", `action="/schedules/nightly/resume"`)
	s.post("/schedules/nightly/pause", nil).wants(t, http.StatusConflict, "paused already")
	s.follow(s.post("/schedules/nightly/fire", nil)).wants(t, http.StatusOK, `href="/runs/nightly-now"`, "fired by mia")
	s.post("/schedules/nightly/fire", nil).wants(t, http.StatusConflict, "run nightly-now is open")
	s.follow(s.post("/schedules/nightly/resume", nil)).wants(t, http.StatusOK, "Fires next at")
	s.post("/schedules/nope/pause", nil).wants(t, http.StatusConflict, "no such schedule")

	s.person = pagestest.Viewer("eve")
	if a := s.get("/schedules"); a.status != http.StatusOK || strings.Contains(a.body, "<form") {
		t.Errorf("%d, and a form for somebody who may not", a.status)
	}
	s.post("/schedules/nightly/pause", nil).wants(t, http.StatusForbidden, "You may not change schedules", "Nothing was changed")
}
