package pages_test

import (
	"fmt"
	"html"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"strings"
	"testing"
	"time"

	"belay/internal/handoff"
	"belay/internal/people"
	"belay/internal/server/pages/pagestest"
)

// order fails unless the words stand in the text in this order.
func order(t *testing.T, text string, words ...string) {
	t.Helper()
	at := 0
	for _, w := range words {
		i := strings.Index(text[at:], w)
		if i < 0 {
			t.Errorf("%q is not there, or not after what should be before it", w)
			return
		}
		at += i + len(w)
	}
}

func TestInboxIsInTheOrderOfDeadlines(t *testing.T) {
	t.Parallel()
	a := newSite(t, pagestest.Morning(clock)).get("/")
	a.wants(t, http.StatusOK, "PROD eu-1", "mia", "4m 12s", "503 Service Unavailable")
	order(t, shownText(t, a.body), "payments.refund asks for approval", "Did payments.charge happen?", "100 × payments.refund timed out", "Which invoice", "cannot be read", "parcels.ship refused")
}

func TestAlikeItemsAreOneLine(t *testing.T) {
	t.Parallel()
	s := newSite(t, pagestest.Morning(clock))
	if n := strings.Count(s.get("/").body, "/e/01936f2b-"); n != 5 {
		t.Errorf("%d items of the storm are on the page, want the first 5", n)
	}
	group := "/?group=" + url.QueryEscape(stormGroup)
	first, second := s.get(group), s.get(group+"&page=2")
	first.wants(t, http.StatusOK, "1 to 50 of 100")
	second.wants(t, http.StatusOK, "51 to 100 of 100")
	if n := strings.Count(first.body, `name="id"`); n != 50 {
		t.Errorf("%d can be chosen", n)
	}
}

// TestAlikeApprovalsAreOneLine that says how they differ; opened, each row says what it is by that alone. They are never
// redrive.
func TestAlikeApprovalsAreOneLine(t *testing.T) {
	t.Parallel()
	w := pagestest.Empty(clock)
	for n := range 20 {
		w.Put(pagestest.Approval(n, noon))
	}
	s := newSite(t, w)
	list := s.get("/")
	list.wants(t, http.StatusOK, "20 ×", "20m 00s", "Show all 20")
	text := strings.Join(strings.Fields(shownText(t, list.body)), " ")
	order(t, text, "20 × payments.refund asks for approval", "amount 12.00 to 335.00, customer differs", "amount 12.00 · customer customer-0", "amount 29.00 · customer customer-1")
	if strings.Contains(text, "A-1009") || strings.Contains(text, "EUR") {
		t.Error("a row says what all have in common")
	}
	group := s.get("/?group=" + url.QueryEscape("approval payments.refund"))
	group.wants(t, http.StatusOK, "amount 12.00 to 335.00, customer differs", "amount 335.00 · customer customer-19")
	if strings.Contains(group.body, `value="approve"`) {
		t.Error("approvals can be given together")
	}
}

func TestFilter(t *testing.T) {
	t.Parallel()
	s := newSite(t, pagestest.Morning(clock))
	for q, want := range map[string]int{
		"kind:approval": 1, "tool:payments.refund": 101, "class:timeout": 100, "workflow:refund kind:approval": 1, "claimed:bo": 1, "claimed:no": 104,
		"claimed:yes": 1, "INVOICE": 1, "courier entity": 1, "zip nonsense": 0, "kind:nonsense": 0, "kind:": 0, "step:ship": 1,
	} {
		a := s.get("/?q=" + url.QueryEscape(q))
		title := fmt.Sprintf("Needs you (%d)", want)
		if want == 0 {
			title = "Nothing open matches"
		}
		if !strings.Contains(a.body, title) {
			t.Errorf("%s: not %s", q, title)
		}
	}
}

func TestSnoozedItemsAreHidden(t *testing.T) {
	t.Parallel()
	w := pagestest.Morning(clock)
	s := newSite(t, w)
	for id, until := range map[string]time.Time{pagestest.Shipment: noon.Add(time.Hour), pagestest.DeadLetter: noon.Add(-time.Hour)} {
		if _, err := w.Act(t.Context(), s.person, id, people.Act{Verb: people.Snooze, Until: until}); err != nil {
			t.Fatal(err)
		}
	}
	s.get("/").wants(t, http.StatusOK, "Needs you (104)", "1 snoozed")
	s.get("/?q=snoozed:yes").wants(t, http.StatusOK, "Needs you (105)")
}

func TestAClaimEndsWithItsLease(t *testing.T) {
	t.Parallel()
	w := pagestest.Morning(clock)
	card, _ := w.Card(t.Context(), pagestest.Charge)
	card.Item.Claim = &handoff.Claim{By: "bo", Until: noon}
	w.Put(card)
	s := newSite(t, w)
	s.get("/?q=claimed:yes").wants(t, http.StatusOK, "Nothing open matches")
	s.get("/e/"+pagestest.Charge).wants(t, http.StatusOK, "Unclaimed", "/claim")
}

func TestAnEmptyInboxSaysWhatWouldFillIt(t *testing.T) {
	t.Parallel()
	newSite(t, pagestest.Empty(clock)).get("/").wants(t, http.StatusOK, "Nothing needs you.", "shows up here")
}

func TestPagesBeyondTheLast(t *testing.T) {
	t.Parallel()
	s := newSite(t, pagestest.Morning(clock))
	for _, page := range []string{"0", "-1", "99999999999999999999", "x", "7"} {
		s.get("/?page="+page).wants(t, http.StatusOK, "payments.refund asks for approval")
	}
}

func TestNextLeadsToWhatIsFree(t *testing.T) {
	t.Parallel()
	w := pagestest.Morning(clock)
	s := newSite(t, w)
	if a := s.get("/next"); a.header.Get("Location") != "/e/"+pagestest.Refund {
		t.Errorf("next is %s", a.header.Get("Location"))
	}
	if _, err := w.Act(t.Context(), pagestest.Approver("bo"), pagestest.Refund, people.Act{Verb: people.Claim}); err != nil {
		t.Fatal(err)
	}
	if a := s.get("/next"); a.header.Get("Location") != "/e/"+pagestest.Storm(99) {
		t.Errorf("with two claimed by bo next is %s", a.header.Get("Location"))
	}
}

// newsOf is the address that a page asks for its news.
func newsOf(t *testing.T, body string) string {
	t.Helper()
	_, rest, ok := strings.Cut(body, `hx-get="`)
	address, _, _ := strings.Cut(rest, `"`)
	if !ok {
		t.Fatal("the page asks for no news")
	}
	return html.UnescapeString(address)
}

func TestNewsOfTheInbox(t *testing.T) {
	t.Parallel()
	w := pagestest.Morning(clock)
	s := newSite(t, w)
	news := newsOf(t, s.get("/?q=kind:approval").body)
	if a := s.get(news); strings.TrimSpace(shownText(t, a.body)) != "" {
		t.Errorf("nothing changed, and the news are %q", a.body)
	}
	w.Put(pagestest.StormCard(300, noon.Add(5*time.Minute)))
	w.Put(pagestest.StormCard(301, noon.Add(5*time.Minute)))
	s.get(news).wants(t, http.StatusOK, "+ 2 new", "/?page=1&q=kind%3Aapproval")
	if _, err := w.Act(t.Context(), s.person, pagestest.Storm(5), people.Act{Verb: "skip"}); err != nil {
		t.Fatal(err)
	}
	s.get(news).wants(t, http.StatusOK, "+ 2 new, 1 closed")
}

func TestNewsOfACardAndARun(t *testing.T) {
	t.Parallel()
	w := pagestest.Morning(clock)
	s := newSite(t, w)
	run := pagestest.Shipment[:len(pagestest.Shipment)-2]
	card, ofRun := newsOf(t, s.get("/e/"+pagestest.Refund).body), newsOf(t, s.get("/runs/"+run).body)
	for _, a := range []answer{s.get(card), s.get(ofRun)} {
		if strings.TrimSpace(shownText(t, a.body)) != "" {
			t.Errorf("nothing changed, and the news are %q", a.body)
		}
	}
	for verb, says := range map[people.Action]string{people.Claim: "bo claimed this", "reject": "bo decided this: reject"} {
		if _, err := w.Act(t.Context(), pagestest.Approver("bo"), pagestest.Refund, people.Act{Verb: verb}); err != nil {
			t.Fatal(err)
		}
		if verb == "reject" {
			s.get(card).wants(t, http.StatusOK, says)
		}
	}
	d, _ := w.Document(t.Context(), run)
	d.State = "succeeded"
	w.PutRun(d)
	s.get(ofRun).wants(t, http.StatusOK, "The run went on: it is succeeded now")
}

func TestNewsLeadOnlyIntoThisSite(t *testing.T) {
	t.Parallel()
	w := pagestest.Morning(clock)
	s := newSite(t, w)
	for _, show := range []string{"//evil.example/", "https://evil.example/", `/\evil.example`, "javascript:alert(1)", "/e/x/abort", "%zz", "/%2f/evil.example"} {
		a := s.get("/news?page=inbox&had=0&show=" + url.QueryEscape(show))
		a.wants(t, http.StatusOK, `href="/"`)
	}
}

func TestTroubleIsSaidInWords(t *testing.T) {
	t.Parallel()
	w := pagestest.Morning(clock)
	s := newSite(t, w)
	s.get("/e/nobody-1").wants(t, http.StatusNotFound, "There is no such escalation")
	s.get("/runs/nobody").wants(t, http.StatusNotFound, "There is no such run")
	s.get("/e/"+pagestest.Refund+"/dance").wants(t, http.StatusNotFound)
	s.get("/e/"+pagestest.Refund+"/retry").wants(t, http.StatusForbidden, "approve, edit, reject, abort")
	w.Break(fmt.Errorf("nats: no servers available"))
	for _, path := range []string{"/", "/e/" + pagestest.Refund, "/runs", "/tools", "/next"} {
		s.get(path).wants(t, http.StatusServiceUnavailable, "This page cannot be shown now", "nats: no servers available")
	}
}

func TestFilesAreKeptByTheirContent(t *testing.T) {
	t.Parallel()
	s := newSite(t, pagestest.Empty(clock))
	body := s.get("/").body
	for _, name := range []string{"app.css", "app.js", "htmx-4.0.1.min.js", "hx-sse-4.0.1.min.js", "icon.svg"} {
		ext := path.Ext(name)
		hashed := regexp.MustCompile(`/static/` + regexp.QuoteMeta(strings.TrimSuffix(name, ext)) + `\.[0-9a-f]{16}` + regexp.QuoteMeta(ext)).FindString(body)
		if hashed == "" {
			t.Fatalf("the page does not use %s", name)
		}
		kept, plain := s.get(hashed), s.get("/static/"+name)
		if kept.status != http.StatusOK || kept.header.Get("Cache-Control") != "public, max-age=31536000, immutable" {
			t.Errorf("%s: %d %v", hashed, kept.status, kept.header)
		}
		if plain.status != http.StatusOK || plain.header.Get("Cache-Control") != "no-cache" || plain.body != kept.body {
			t.Errorf("%s: %d %v", name, plain.status, plain.header)
		}
	}
	if a := s.get("/static/..%2fconsole.go"); a.status != http.StatusNotFound {
		t.Errorf("another file: %d", a.status)
	}
}

// A page needs nothing that a strict Content-Security-Policy forbids.
func TestPagesHaveNothingInline(t *testing.T) {
	t.Parallel()
	s := newSite(t, pagestest.Morning(clock))
	for _, p := range allPages() {
		for what := range skeleton(t, s.get(p).body) {
			name, attributes, _ := strings.Cut(what, " ")
			inline := name == "style" || name == "script" && !strings.Contains(attributes, "src=/static/") || name == "iframe" || name == "base"
			for _, a := range strings.Fields(attributes) {
				inline = inline || a == "style" || strings.HasPrefix(a, "on") || strings.HasPrefix(a, "hx-on") || strings.Contains(a, "FOREIGN")
			}
			if inline {
				t.Errorf("%s has %s", p, what)
			}
		}
	}
}
