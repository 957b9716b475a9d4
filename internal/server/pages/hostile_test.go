package pages_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"testing"
	"time"

	"belay/internal/handoff"
	"belay/internal/people"
	"belay/internal/server/pages"
	"belay/internal/server/pages/pagestest"
	"belay/internal/steps"
	"belay/internal/steps/view"
)

// mostOfAPage is what making one page may cost in memory, whatever it shows.
const mostOfAPage = 50 << 20

// hostile are values that made pages expensive, or might.
func hostile() map[string]json.RawMessage {
	wide := make([]string, 100_000)
	for i := range wide {
		wide[i] = fmt.Sprintf(`"key %d":%d`, i, i)
	}
	text := func(s string, n int) json.RawMessage {
		return json.RawMessage(`{"text":"` + strings.Repeat(s, n) + `"}`)
	}
	return map[string]json.RawMessage{
		"deep":             json.RawMessage(strings.Repeat("[", 9_999) + strings.Repeat("]", 9_999)),
		"deep objects":     json.RawMessage(strings.Repeat(`{"a":`, 9_000) + "1" + strings.Repeat("}", 9_000)),
		"deep in a member": json.RawMessage(`{"a":` + strings.Repeat("[", 9_000) + strings.Repeat("]", 9_000) + `}`),
		"no JSON any more": json.RawMessage(strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000)),
		"many deep":        json.RawMessage("[" + strings.Repeat(strings.Repeat("[", 199)+strings.Repeat("]", 199)+",", 1_200) + "1]"),
		"wide":             json.RawMessage("{" + strings.Join(wide, ",") + "}"),
		"long list":        json.RawMessage("[" + strings.Repeat("1,", 200_000) + "1]"),
		"long text":        text("x", 500_000),
		"invisible":        text("\u202e", 160_000),
		"escaped":          text(`\u202e`, 80_000),
		"mixed alphabets":  text("pаy ", 100_000),
		"markup":           text("<&>'", 120_000),
		"a long name":      json.RawMessage(`{"` + strings.Repeat("\u200b", 160_000) + `":1}`),
	}
}

// hostileCard is a card that shows a value wherever it can, after many attempts.
func hostileCard(v json.RawMessage, lines int) handoff.Card {
	odd := strings.Repeat("\u202e", 700)
	card := pagestest.StormCard(1, noon)
	d := &card.Dossier
	d.Input, d.Failing.Params, d.Message = v, v, odd
	d.Offers = append(d.Offers, view.Offer{Verb: steps.VerbEdit, Effect: "Runs it."}, view.Offer{Verb: steps.VerbAnswer, Effect: "Goes on."})
	d.Agent = hostileAgent(v, lines)
	for i := range lines {
		d.Done = append(d.Done, view.DoneLine{Step: fmt.Sprintf("s%d", i), Tool: "t", Rung: "primary", Output: v})
		d.Plan = append(d.Plan, view.PlanLine{Step: fmt.Sprintf("s%d", i), Tool: "t", State: steps.StepSucceeded})
		d.Attempts = append(d.Attempts, view.Attempt{
			Rung: "primary", Try: i, State: steps.AttemptFailed, Class: steps.Timeout, Message: fmt.Sprint(i, odd), Detail: odd, Note: odd, Worker: "w", Queued: noon,
		})
		card.Trail = append(card.Trail, handoff.TrailLine{At: noon, By: "mia", Action: "edit", Reason: odd, Detail: v})
	}
	return card
}

// hostileAgent is an agent that shows a value wherever it can, in so many turns.
func hostileAgent(v json.RawMessage, lines int) *view.Agent {
	odd, all := strings.Repeat("\u202e", 700), string(v)
	a := &view.Agent{Step: "s", Model: "m", Instructions: all, Prompt: all}
	for i := range lines {
		call := view.AgentCall{Step: "s~t1.1", Tool: odd, Arguments: v, Changed: v, State: steps.StepFailed, Result: all}
		a.Summaries = append(a.Summaries, view.AgentSummary{Step: "s~s1", Number: i, After: i, State: steps.StepFailed, Text: all, Degraded: odd, Message: odd})
		a.Turns = append(a.Turns, view.AgentTurn{Step: "s~t1", Number: i, State: steps.StepSucceeded, Said: all, Wrong: odd, Calls: []view.AgentCall{call, call}})
	}
	return a
}

func hostileRun(id string, v json.RawMessage, lines int) view.Document {
	odd := strings.Repeat("\u202e", 700)
	doc := view.Document{ID: id, Workflow: "w", State: steps.RunRunning, Started: noon.Add(-time.Hour), Input: v, Output: v, Reason: odd, Agents: []view.Agent{*hostileAgent(v, lines)}}
	for i := range lines {
		doc.Degraded = append(doc.Degraded, steps.Degraded{Step: fmt.Sprintf("s%d", i), Rung: "r", Cause: odd})
		doc.Escalations = append(doc.Escalations, fmt.Sprintf("%s-%d", id, i+1))
		doc.Steps = append(doc.Steps, view.Step{ID: fmt.Sprintf("s%d", i), Tool: "t", Output: v, Attempts: []view.Attempt{{Rung: "primary", Try: 1, State: steps.AttemptFailed, Message: odd, Queued: noon}}})
	}
	return doc
}

// cost is how much memory a page takes, all told.
func cost(t *testing.T, c *pages.Console, path, form string) uint64 {
	t.Helper()
	var before, after runtime.MemStats
	rec := httptest.NewRecorder()
	req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
	if form != "" {
		req = httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader(form))
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	runtime.ReadMemStats(&before)
	c.ServeHTTP(rec, req)
	runtime.ReadMemStats(&after)
	if rec.Code != http.StatusOK && form == "" {
		t.Errorf("%s: %d %.300s", path, rec.Code, rec.Body)
	}
	return after.TotalAlloc - before.TotalAlloc
}

// TestNoPageIsExpensive measures memory, so nothing runs beside it.
func TestNoPageIsExpensive(t *testing.T) {
	if testing.Short() {
		t.Skip("measures, which the race detector would too")
	}
	for name, v := range hostile() {
		w := pagestest.Empty(clock)
		card := hostileCard(v, 3_000)
		w.Put(card)
		run := card.Dossier.Run
		w.PutRun(hostileRun(run, v, 3_000))
		c := pages.New(pages.Options{Desk: w, Runs: w, Tools: w.Tools, Workers: w.Workers, Examine: w.Examine, Gates: w, Schedules: w, Score: w, Changes: &w.Changes, Now: clock, Who: func(*http.Request) people.Actor { return pagestest.Approver("mia") }})
		e := "/e/" + card.Dossier.ID
		for _, path := range []string{"/", e, e + "/edit", e + "/edit?as=json", e + "/retry", e + "/answer", "/runs/" + run, "/runs/" + run + "?show=failed"} {
			if n := cost(t, c, path, ""); n > mostOfAPage {
				t.Errorf("%s: %s takes %d MB", name, path, n>>20)
			} else {
				t.Logf("%s: %s takes %d kB", name, path, n>>10)
			}
		}
		edit := url.Values{"whole": {`{"new":` + string(v) + `}`}, "reason": {"x"}}.Encode()
		if n := cost(t, c, e+"/edit", edit); n > mostOfAPage {
			t.Errorf("%s: the form of an edit takes %d MB", name, n>>20)
		} else {
			t.Logf("%s: the form of an edit takes %d kB", name, n>>10)
		}
	}
}

// TestTheWholeValueIsALinkAway: what a page cuts is there as it is written.
func TestTheWholeValueIsALinkAway(t *testing.T) {
	t.Parallel()
	w := pagestest.Empty(clock)
	v := json.RawMessage(`{"amount":12345678901234567890, "text":"` + strings.Repeat("x", 100_000) + `"}`)
	card := hostileCard(v, 1)
	w.Put(card)
	w.PutRun(hostileRun(card.Dossier.Run, v, 1))
	s := newSite(t, w)
	page := s.get("/e/" + card.Dossier.ID)
	for _, link := range []string{"/e/" + card.Dossier.ID + "/value?of=params", "/e/" + card.Dossier.ID + "/value?of=input", "/runs/" + card.Dossier.Run + "/value?step=s0"} {
		if !strings.Contains(page.body, `<a href="`+link+`">The whole value</a>`) {
			t.Errorf("no link to %s", link)
		}
		if a := s.get(link); a.status != http.StatusOK || a.body != string(v) || a.header.Get("Content-Type") != "application/json; charset=utf-8" {
			t.Errorf("%s: %d %.80s", link, a.status, a.body)
		}
	}
	for _, link := range []string{"/e/" + card.Dossier.ID + "/value?of=answer", "/runs/" + card.Dossier.Run + "/value?step=nobody", "/runs/" + card.Dossier.Run + "/value"} {
		if a := s.get(link); a.status != http.StatusNotFound {
			t.Errorf("%s: %d", link, a.status)
		}
	}
	if a := s.get("/runs/" + card.Dossier.Run); !strings.Contains(a.body, "/value?of=output") {
		t.Error("the run's page does not lead to its whole output")
	}
}
