package server

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"belay/internal/plan"
	"belay/internal/steps"
)

// TestWritingToAnAgentFromItsPage: the form of a page writes one entry into the log of the run; a page of another site and a
// tool write none.
func TestWritingToAnAgentFromItsPage(t *testing.T) {
	t.Parallel()
	s := open(t)
	doc, err := plan.ParsePlan("p.yaml", []byte(`{name: p, steps: [{id: s, agent: {model: model, prompt: go, tools: [pay]}}]}`), s.tools)
	if err == nil {
		_, err = s.Runs.Submit(t.Context(), "talk", steps.Submitted{Document: doc.JSON, Input: []byte(`{}`), By: "sue"})
	}
	if err != nil {
		t.Fatal(err)
	}
	s.state("talk", steps.RunWaiting) // for the approval of its call
	_, page := s.ask("GET", "/runs/talk", nil)
	id := regexp.MustCompile(`name="message_id" value="([^"]+)"`).FindStringSubmatch(page)
	if id == nil {
		t.Fatalf("no form: %s", page)
	}
	form := url.Values{"step": {"s"}, "message_id": {id[1]}, "text": {"Do not pay."}}
	for _, header := range [][]string{{"Sec-Fetch-Site", "cross-site"}, {"Origin", "https://evil.example"}, {"Belay-Tool-Call", "x"}} {
		if status, _ := s.ask("POST", "/runs/talk/steer", form, header...); status != http.StatusForbidden {
			t.Errorf("%q: %d", header, status)
		}
	}
	for range 2 {
		if status, page := s.ask("POST", "/runs/talk/steer", form); status != http.StatusOK || strings.Count(page, "Do not pay.") != 1 || !strings.Contains(page, "not read yet") {
			t.Errorf("%d %s", status, page)
		}
	}
	lines, err := s.Runs.Lines(t.Context(), "talk", 0)
	written := 0
	for _, line := range lines {
		if strings.Contains(string(line.JSON), `"steered"`) && strings.Contains(string(line.JSON), `"by":"mia","via":"console"`) {
			written++
		}
	}
	if err != nil || written != 1 {
		t.Errorf("%d entries, %v", written, err)
	}
	if _, err := s.Runs.Cancel(t.Context(), "talk", steps.Cancelled{By: "sue"}); err != nil {
		t.Fatal(err)
	}
	s.state("talk", steps.RunCancelled)
	form.Set("message_id", "another")
	if status, page := s.ask("POST", "/runs/talk/steer", form); status != http.StatusConflict || !strings.Contains(page, "The run is over: it is cancelled.") || !strings.Contains(page, "Do not pay.") {
		t.Errorf("%d %s", status, page)
	}
}
