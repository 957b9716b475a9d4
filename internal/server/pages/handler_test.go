package pages_test

import (
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"belay/internal/bus"
	"belay/internal/people"
	"belay/internal/server/pages"
	"belay/internal/server/pages/pagestest"
)

var noon = time.Date(2026, 11, 23, 3, 12, 0, 0, time.UTC)

func clock() time.Time { return noon }

// site is a console over a world, and who asks it.
type site struct {
	*testing.T
	world  *pagestest.World
	person people.Actor

	options pages.Options
	*httptest.Server
}

func newSite(t *testing.T, w *pagestest.World) *site {
	t.Helper()
	s := &site{T: t, world: w, person: pagestest.Approver("mia")}
	s.options = pages.Options{
		Desk: w, Redrives: w, Runs: w, Replays: w, Migrations: w, Tools: w.Tools, Workers: w.Workers, Examine: w.Examine, Gates: w, Schedules: w, Score: w, Changes: &w.Changes, Environment: pages.Environment{Name: "PROD eu-1", Colour: pages.Red},
		Who: func(*http.Request) people.Actor { return s.person }, Now: clock,
		Events: func(run string) string { return "/api/runs/" + run + "/events" },
	}
	s.Server = httptest.NewServer(pages.New(s.options))
	t.Cleanup(s.Close)
	return s
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
}

// follow goes where an answer leads.
func (s *site) follow(a answer) answer {
	s.Helper()
	if a.status != http.StatusSeeOther {
		s.Fatalf("%d leads nowhere: %.600s", a.status, a.body)
	}
	return s.get(a.header.Get("Location"))
}

func (s *site) do(req *http.Request) answer {
	s.Helper()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		s.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		s.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, string(body)}
}

func (s *site) get(path string) answer {
	s.Helper()
	req, err := http.NewRequestWithContext(s.Context(), http.MethodGet, s.URL+path, nil)
	if err != nil {
		s.Fatal(err)
	}
	return s.do(req)
}

func (s *site) post(path string, form url.Values) answer {
	s.Helper()
	req, err := http.NewRequestWithContext(s.Context(), http.MethodPost, s.URL+path, strings.NewReader(form.Encode()))
	if err != nil {
		s.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return s.do(req)
}

// wants fails unless the answer has this status and says all of the words.
func (a answer) wants(t *testing.T, status int, words ...string) {
	t.Helper()
	if a.status != status {
		t.Errorf("status %d, want %d", a.status, status)
	}
	for _, w := range words {
		if !strings.Contains(html.UnescapeString(a.body), w) {
			t.Errorf("the page does not say %q", w)
		}
	}
	if t.Failed() {
		t.Logf("%.200000s", a.body[max(0, strings.Index(a.body, "<main")):])
	}
}

// allPages are all pages of a morning that a GET reaches.
func allPages() []string {
	var list []string
	for _, id := range []string{pagestest.Refund, pagestest.Charge, pagestest.Invoice, pagestest.Shipment, pagestest.DeadLetter, pagestest.Storm(1)} {
		list = append(list, "/e/"+id)
		for _, verb := range strings.Fields("approve reject retry edit edit?as=json answer answer?as=json skip verify abort claim release assign snooze note") {
			list = append(list, "/e/"+id+"/"+verb)
		}
	}
	for _, run := range []string{pagestest.Shipment[:len(pagestest.Shipment)-2], "01936f10-0000-7000-8000-00000000d0d0", "01936f01-0000-7000-8000-0000000000fa"} {
		list = append(list, "/runs/"+run, "/runs/"+run+"?show=failed", "/runs/"+run+"/document")
	}
	return append(list, "/", "/?q=kind:approval", "/?q=nothing+at+all", "/?group="+url.QueryEscape("payments.refund primary timeout pay.example.com"),
		"/?group="+url.QueryEscape("payments.refund primary timeout pay.example.com")+"&page=2", "/runs", "/runs?state=waiting", "/tools", "/trends", "/system", "/gates", "/schedules", "/news?page=inbox", "/next", "/nowhere")
}

func TestEveryPageCanBeShownAndNoGetActs(t *testing.T) {
	t.Parallel()
	s := newSite(t, pagestest.Morning(clock))
	for _, p := range allPages() {
		if a := s.get(p); a.status >= 500 || strings.Contains(a.body, "ZgotmplZ") {
			t.Errorf("%s: %d %.600s", p, a.status, a.body)
		}
	}
	if acts := s.world.Acts(); len(acts) > 0 {
		t.Errorf("a GET acted: %+v", acts)
	}
}

func TestWhoMayReleaseAClaim(t *testing.T) {
	t.Parallel()
	for holder, want := range map[string][2]bool{"": {true, false}, "mia": {false, true}, "bo": {false, false}} { // claim, release
		s := newSite(t, pagestest.Morning(clock))
		if holder != "" {
			if _, err := s.world.Act(t.Context(), pagestest.Approver(holder), pagestest.Refund, people.Act{Verb: people.Claim}); err != nil {
				t.Fatal(err)
			}
		}
		body := s.get("/e/" + pagestest.Refund).body
		got := [2]bool{strings.Contains(body, `/claim"`), strings.Contains(body, `/release"`)}
		if got != want {
			t.Errorf("claimed by %q: claim and release are offered: %v, want %v", holder, got, want)
		}
	}
}

func TestWorkersAreShown(t *testing.T) {
	t.Parallel()
	s := newSite(t, pagestest.Morning(clock))
	s.get("/tools").wants(t, http.StatusOK, "pay-1-2211", "executing 4 of 4", "full", "draining", "run different versions", "orders.lookup, parcels.ship, payments.refund", "up 9d")
	s.world.PutWorkers(bus.Worker{Name: "<script>alert(1)</script>\u202e", Serves: []string{"a/b"}, Concurrency: 1})
	body := s.get("/tools").body
	if strings.Contains(body, "<script>alert") || strings.Contains(body, "\u202e") || strings.Contains(body, "run different versions") {
		t.Error("a worker's name is not shown as a text")
	}
	s.world.PutWorkers()
	s.get("/tools").wants(t, http.StatusOK, "No worker is running")
}

func TestWhatIsNotAsItShouldBeIsShown(t *testing.T) {
	t.Parallel()
	s := newSite(t, pagestest.Morning(clock))
	a := s.get("/system")
	a.wants(t, http.StatusOK, "System (1 must not be so)", "max_age is 1h0m0s", "<code>nats stream edit</code>", "Cannot be seen from here", "nats://nats.internal:4222")
	if strings.Contains(a.body, "<b>payments") {
		t.Error("what a file says is markup")
	}
	if fail, ok := strings.Index(a.body, "max_age"), strings.Index(a.body, "NATS 2.15.2"); fail > ok {
		t.Error("what must not be so does not come first")
	}
}
