package pages_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"belay/internal/people"
	"belay/internal/server/pages/pagestest"
)

// rows are the rows of the waterfall that are about people.
func (s *site) rows(run string) []string {
	s.Helper()
	a := s.get("/runs/" + run)
	if a.status != http.StatusOK {
		s.Fatalf("%d %.300s", a.status, a.body)
	}
	var list []string
	for _, row := range strings.Split(a.body, "<tr")[1:] {
		if strings.Contains(row, `class="people"`) {
			list = append(list, row)
		}
	}
	return list
}

func says(t *testing.T, row string, all ...string) {
	t.Helper()
	for _, want := range all {
		if !strings.Contains(row, want) {
			t.Errorf("it does not say %q: %s", want, row)
		}
	}
}

// TestTheWaterfallShowsWhatPeopleTook: waits, claims, who decided; and of what waits, since when and until when.
func TestTheWaterfallShowsWhatPeopleTook(t *testing.T) {
	t.Parallel()
	w := pagestest.Morning(clock)
	s := newSite(t, w)
	done := s.rows("01936f10-0000-7000-8000-00000000d0d0")
	if len(done) != 1 {
		t.Fatalf("%d rows of people", len(done))
	}
	says(t, done[0], "people: approval", "approved by mia, bo", "the lamp is back", "39m 59s", "/e/01936f10-0000-7000-8000-00000000d0d0-1")
	if page := s.get("/runs/01936f10-0000-7000-8000-00000000d0d0"); !strings.Contains(page.body, "are drawn shorter") {
		t.Error("forty minutes of people are drawn as they are beside a second of work, or nobody says that they are not")
	}
	ran := regexp.MustCompile(`<rect class="ran succeeded" x="[\d.]+" width="([\d.]+)"`).FindStringSubmatch(s.get("/runs/01936f10-0000-7000-8000-00000000d0d0").body)
	if ran == nil || len(ran[1]) < len("250.0") { // a second of two, on half of the line
		t.Errorf("the attempt cannot be seen: %v", ran)
	}

	run := pagestest.Shipment[:len(pagestest.Shipment)-2]
	rows := s.rows(run)
	if len(rows) != 2 {
		t.Fatalf("%d rows of people", len(rows))
	}
	says(t, rows[0], "nobody decided in time", "16s")
	says(t, rows[1], "waiting since 03:11:27 UTC, until 04:00:25", ">32s<")
	if strings.Contains(rows[1], `class="claim"`) {
		t.Errorf("nobody has claimed it: %s", rows[1])
	}
	if _, err := w.Act(t.Context(), pagestest.Approver("bo"), pagestest.Shipment, people.Act{Verb: people.Claim}); err != nil {
		t.Fatal(err)
	}
	says(t, s.rows(run)[1], `class="claim"`, "claimed by bo")
	if only := s.get("/runs/" + run + "?show=failed"); strings.Contains(only.body, `class="people"`) {
		t.Error("people are among the failed attempts")
	}
}
