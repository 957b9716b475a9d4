package pages_test

import (
	"context"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"belay/internal/handoff"
	"belay/internal/runlog"
	"belay/internal/server/pages"
	"belay/internal/server/pages/pagestest"
	"belay/internal/steps"
	"belay/internal/steps/view"
)

// TestTheListOfRunsHasPages, each of which links the next one.
func TestTheListOfRunsHasPages(t *testing.T) {
	t.Parallel()
	w := pagestest.Empty(clock)
	const runs = 120
	for i := range runs {
		w.PutRun(view.Document{ID: fmt.Sprintf("run-%03d", i), Workflow: "refund", State: steps.RunRunning, Started: noon.Add(-time.Minute)})
	}
	s := newSite(t, w)
	seen, path := 0, "/runs?q=refund&state=running"
	for pages := 0; path != ""; pages++ {
		a := s.get(path)
		if a.status != 200 || !strings.Contains(a.body, "120 in all") || strings.Contains(a.body, ">Newest<") != (pages > 0) {
			t.Fatalf("page %d: %d %.2000s", pages, a.status, a.body)
		}
		seen += strings.Count(a.body, "data-row")
		path = link(a.body, "next")
	}
	if seen != runs {
		t.Errorf("all pages show %d runs", seen)
	}
	if a := s.get("/runs?after=gone&q=refund"); a.status != 303 || a.header.Get("Location") != "/runs?q=refund" {
		t.Errorf("behind a run that is gone: %d, to %s", a.status, a.header.Get("Location"))
	}
}

// link is where the link with this rel leads; empty where there is none.
func link(body, rel string) string {
	before, _, ok := strings.Cut(body, `" rel="`+rel+`"`)
	if !ok {
		return ""
	}
	return strings.ReplaceAll(before[strings.LastIndex(before, `"`)+1:], "&amp;", "&")
}

func TestWhatIsTypedToFilterRuns(t *testing.T) {
	t.Parallel()
	w := pagestest.Empty(clock)
	s := newSite(t, w)
	for text, want := range map[string]string{
		"":                                 "{  map[] map[] - -}",
		"refund":                           "{refund map[] map[] - -}",
		"label:customer=17 label:a=b=c":    "{ map[a:b=c customer:17] map[] - -}",
		"workflow:x input:customer.id=A-9": "{x map[] map[customer.id:A-9] - -}",
		"since:2h until:2026-11-23":        "{ map[] map[] 2026-11-23T01:12:00Z 2026-11-23T00:00:00Z}",
		"since:1.5d":                       "{ map[] map[] 2026-11-21T15:12:00Z -}",
		"until:2026-01-31T08:00:00+01:00":  "{ map[] map[] - 2026-01-31T07:00:00Z}",
		"label:x":                          "label:x: write label:customer=17",
		"input:=x":                         "input:=x: write input:order.id=A-1009",
		"since:soon":                       "since:soon: a time is 2h or 7d ago, a day like 2026-01-31, or 2026-01-31T08:00:00Z",
		"state:gone":                       "state:gone: a state is one of scheduled, running, waiting",
		"colour:red":                       "colour:red: there is no colour: to search by; write workflow:, state:, label:",
	} {
		a := s.get("/runs?q=" + url.QueryEscape(text))
		if got := show(w.Asked()); a.status == 200 && got != strings.Replace(want, "{  map", "{ map", 1) {
			t.Errorf("%q\ngot  %s\nwant %s", text, got, want)
		}
		if a.status != 200 && !strings.Contains(html.UnescapeString(a.body), want) {
			t.Errorf("%q is answered with %d, without %q", text, a.status, want)
		}
	}
}

func show(f runlog.Filter) string {
	at := func(t time.Time) string {
		if t.IsZero() {
			return "-"
		}
		return t.UTC().Format(time.RFC3339)
	}
	return fmt.Sprintf("{%s %v %v %s %s}", f.Workflow, f.Labels, f.Input, at(f.Since), at(f.Until))
}

// TestWhatModelsTook: a run's page and its card say it, and nothing where no model was asked.
func TestWhatModelsTook(t *testing.T) {
	t.Parallel()
	spent := &view.Spent{Input: 12_000, Output: 400, USD: steps.Dollars(0.03)}
	run := pagestest.Shipment[:len(pagestest.Shipment)-2]
	w := changed(t, pagestest.Shipment, func(c *handoff.Card) {
		c.Dossier.Spent = spent
		a := &c.Dossier.Attempts[0]
		a.Reason, a.Usage, a.Cost = steps.Refusal, &steps.Usage{Input: 900, Output: 99}, steps.Dollars(0.01)
	})
	d, err := w.Document(t.Context(), run)
	if err != nil {
		t.Fatal(err)
	}
	s := newSite(t, w)
	if page := s.get("/runs/" + run).body; strings.Contains(page, "models took") {
		t.Error("a run that asked no model says what its models took")
	}
	d.Spent = spent
	w.PutRun(d)
	if page := s.get("/runs/" + run).body; !strings.Contains(page, "Its models took 12,400 tokens, $0.03.") {
		t.Error("the run's page does not say what its models took")
	}
	card := s.get("/e/" + pagestest.Shipment).body
	for _, want := range []string{"models took 12,400 tokens, $0.03 so far", "<strong>unavailable</strong> (refusal)", "999 tokens, $0.01", "permanent: the same call fails again"} {
		if !strings.Contains(card, want) {
			t.Errorf("the card does not say %q", want)
		}
	}
}

// TestARunWhoseTimeHasNotCome says when it begins, in the list and on its page, and how long it took counts from then.
func TestARunWhoseTimeHasNotCome(t *testing.T) {
	t.Parallel()
	w := pagestest.Empty(clock)
	later, before, ended := noon.Add(3*time.Hour), noon.Add(-time.Hour), noon.Add(-time.Hour+90*time.Second)
	w.PutRun(view.Document{ID: "later", Workflow: "report", State: steps.RunScheduled, Started: noon.Add(-time.Minute), ScheduledFor: &later})
	w.PutRun(view.Document{ID: "done", Workflow: "report", State: steps.RunSucceeded, Started: noon.Add(-9 * time.Hour), ScheduledFor: &before, Ended: &ended})
	s := newSite(t, w)
	s.get("/runs?state=scheduled").wants(t, 200, `<span class="state scheduled">scheduled</span>`, `begins <time datetime="`+later.Format(time.RFC3339))
	s.get("/runs").wants(t, 200, "1m 30s")
	s.get("/runs/later").wants(t, 200, `scheduled for <time datetime="`+later.Format(time.RFC3339), "Accepted")
	s.get("/runs/done").wants(t, 200, "took 1m 30s")
}

// TestAllThatWereFound: what a search has found is cancelled from a page that says how many they are, by those who may.
func TestAllThatWereFound(t *testing.T) {
	t.Parallel()
	w := pagestest.Empty(clock)
	for i := range 3 {
		w.PutRun(view.Document{ID: fmt.Sprint("run-", i), Workflow: "refund", State: steps.RunWaiting, Started: noon})
	}
	s := newSite(t, w)
	list := s.get("/runs?q=refund&state=waiting")
	list.wants(t, http.StatusOK, "Cancel all", "/redrives/runs?q=refund+state%3Awaiting&verb=cancel", "What to search by")
	page := s.get("/redrives/runs?verb=cancel&q=refund+state:waiting")
	page.wants(t, http.StatusOK, "Cancel 3 runs?", "Nothing is done yet", "Cancel these 3")
	s.follow(s.post("/redrives/runs", hidden(page.body))).wants(t, http.StatusOK, "Cancel: 3 of 3 done", "/runs/run-1")
	s.get("/redrives/runs?verb=cancel&q=colour:red").wants(t, http.StatusBadRequest, "there is no colour:")
	s.post("/redrives/runs", url.Values{"verb": {"cancel"}, "id": {"a"}}).wants(t, http.StatusBadRequest, "incomplete")
	s.person = pagestest.Viewer("vi")
	if a := s.get("/runs?q=refund"); strings.Contains(a.body, "Cancel all") {
		t.Error("a viewer is offered to cancel runs")
	}
	s.get("/redrives/runs?verb=cancel&q=refund").wants(t, http.StatusForbidden)
	s.post("/redrives/runs", hidden(page.body)).wants(t, http.StatusForbidden)
}

// TestAnAttemptThatIsHeldBackIsNotSaidToBeQueued, whether the log says what holds it back or whoever is asked what the run waits for.
func TestAnAttemptThatIsHeldBackIsNotSaidToBeQueued(t *testing.T) {
	t.Parallel()
	w := pagestest.Empty(clock)
	queued := []view.Attempt{
		{Rung: "primary", Try: 1, State: steps.AttemptFailed, Class: steps.Unavailable, Queued: noon},
		{Rung: "primary", Try: 2, State: steps.AttemptQueued, Queued: noon},
	}
	gated := []view.Attempt{{Rung: "primary", Try: 1, State: steps.AttemptWithdrawn, Queued: noon}}
	gate := &view.Held{Hold: steps.Hold{Why: steps.HoldGate, Gate: "g1", By: "mia", Reason: "<b>wrong</b>"}}
	w.PutRun(view.Document{ID: "run-1", Workflow: "refund", State: steps.RunRunning, Started: noon.Add(-time.Minute), Steps: []view.Step{
		{ID: "pay", Tool: "pay", State: steps.StepQueued, Rung: "primary", Attempts: queued},
		{ID: "tell", Tool: "tell", State: steps.StepHeld, Rung: "primary", Attempts: gated, Held: gate},
	}})
	s := newSite(t, w)
	const byGate = "held back by gate g1, closed by mia: <b>wrong</b>"
	s.get("/runs/run-1").wants(t, http.StatusOK, ">queued<", byGate, ">unavailable<")
	waits := view.Why{Run: "run-1", State: steps.RunRunning, Waits: []view.Wait{
		{Step: "pay", Units: []string{"pay"}, For: view.ForLimit, Text: "a limit", Brief: "held back by the rate limit of pay: 1/h"},
		{Step: "tell", Units: []string{"tell"}, For: view.ForGate, Text: "its turn", Brief: "waits for its turn behind gate g1"},
	}}
	s.options.Why = func(context.Context, string) (view.Why, error) { return waits, nil }
	s.Config.Handler = pages.New(s.options)
	a := s.get("/runs/run-1")
	a.wants(t, http.StatusOK, "held back by the rate limit of pay: 1/h<", ">waits for its turn behind gate g1<", ">unavailable<")
	for _, no := range []string{">queued<", ">withdrawn<", "closed by mia"} {
		if strings.Contains(a.body, no) {
			t.Errorf("it says %s", no)
		}
	}
}
