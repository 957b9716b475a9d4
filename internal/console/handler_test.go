package console_test

import (
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"belay/internal/console"
	"belay/internal/console/consoletest"
	"belay/internal/fleet"
	"belay/internal/handoff"
)

var noon = time.Date(2026, 11, 23, 3, 12, 0, 0, time.UTC)

func clock() time.Time { return noon }

// site is a console over a world, and who asks it.
type site struct {
	*testing.T
	world  *consoletest.World
	person console.Person

	options console.Options
	*httptest.Server
}

func newSite(t *testing.T, w *consoletest.World) *site {
	t.Helper()
	s := &site{T: t, world: w, person: consoletest.Approver("mia")}
	s.options = console.Options{
		Desk: w, Together: w, Runs: w, Fleet: w, Changes: w, Environment: console.Environment{Name: "PROD eu-1", Colour: console.Red},
		Who: func(*http.Request) console.Person { return s.person }, Now: clock,
		Events: func(run string) string { return "/api/runs/" + run + "/events" },
	}
	s.Server = httptest.NewServer(console.New(s.options))
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

// pages are all pages of a morning that a GET reaches.
func pages() []string {
	var list []string
	for _, id := range []string{consoletest.Refund, consoletest.Charge, consoletest.Invoice, consoletest.Shipment, consoletest.Letter, consoletest.Storm(1)} {
		list = append(list, "/e/"+id)
		for _, verb := range strings.Fields("approve reject retry edit edit?as=json answer answer?as=json skip verify abort claim release assign snooze note") {
			list = append(list, "/e/"+id+"/"+verb)
		}
	}
	for _, run := range []string{consoletest.Shipment[:len(consoletest.Shipment)-2], "01936f10-0000-7000-8000-00000000d0d0", "01936f01-0000-7000-8000-0000000000fa"} {
		list = append(list, "/runs/"+run, "/runs/"+run+"?show=failed", "/runs/"+run+"/document")
	}
	return append(list, "/", "/?q=kind:approval", "/?q=nothing+at+all", "/?group="+url.QueryEscape("payments.refund primary timeout pay.example.com"),
		"/?group="+url.QueryEscape("payments.refund primary timeout pay.example.com")+"&page=2", "/runs", "/runs?state=waiting", "/tools", "/trends", "/news?page=inbox", "/next", "/nowhere")
}

func TestEveryPageCanBeShownAndNoGetActs(t *testing.T) {
	s := newSite(t, consoletest.Morning(clock))
	for _, p := range pages() {
		if a := s.get(p); a.status >= 500 || strings.Contains(a.body, "ZgotmplZ") {
			t.Errorf("%s: %d %.600s", p, a.status, a.body)
		}
	}
	if acts := s.world.Acts(); len(acts) > 0 {
		t.Errorf("a GET acted: %+v", acts)
	}
}

func TestWhoMayReleaseAClaim(t *testing.T) {
	for holder, want := range map[string][2]bool{"": {true, false}, "mia": {false, true}, "bo": {false, false}} { // claim, release
		s := newSite(t, consoletest.Morning(clock))
		if holder != "" {
			if _, err := s.world.Act(t.Context(), consoletest.Approver(holder), consoletest.Refund, handoff.Act{Verb: handoff.ActClaim}); err != nil {
				t.Fatal(err)
			}
		}
		body := s.get("/e/" + consoletest.Refund).body
		got := [2]bool{strings.Contains(body, `/claim"`), strings.Contains(body, `/release"`)}
		if got != want {
			t.Errorf("claimed by %q: claim and release are offered: %v, want %v", holder, got, want)
		}
	}
}

func TestWorkersAreShown(t *testing.T) {
	s := newSite(t, consoletest.Morning(clock))
	s.get("/tools").wants(t, http.StatusOK, "pay-1-2211", "executes 4 of 4", "full", "draining", "not all of one version", "orders.lookup, parcels.ship, payments.refund", "up 9d")
	s.world.PutWorkers(fleet.Worker{Name: "<script>alert(1)</script>\u202e", Serves: []string{"a/b"}, Concurrency: 1})
	body := s.get("/tools").body
	if strings.Contains(body, "<script>alert") || strings.Contains(body, "\u202e") || strings.Contains(body, "not all of one version") {
		t.Error("a worker's name is not shown as a text")
	}
	s.world.PutWorkers()
	s.get("/tools").wants(t, http.StatusOK, "No worker has announced itself")
}
