package server

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"belay/internal/access"
	"belay/internal/access/accesstest"
	"belay/internal/people"
	"belay/internal/plan"
	"belay/internal/server/gate"
	"belay/internal/server/pages"
	"belay/internal/steps"
)

// token makes one that the tokens know.
func (s *site) token(tokens *access.Tokens, m access.Token) string {
	s.t.Helper()
	text, _, err := tokens.Make(s.t.Context(), m, time.Now())
	if err != nil {
		s.t.Fatal(err)
	}
	accesstest.Eventually(s.t, "the token opens", func() bool { _, _, err := tokens.Check(text, time.Now()); return err == nil })
	return text
}

// behind puts the site behind another gate.
func (s *site) behind(make func(host string) Gate) {
	s.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	s.t.Cleanup(cancel)
	var inner http.Handler
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { inner.ServeHTTP(w, r) }))
	s.t.Cleanup(srv.Close)
	s.url = srv.URL
	inner = New(ctx, Options{Bus: s.Bus, Runs: s.Runs, Desk: s.Desk, Redrives: s.Redrives, Gate: make(strings.TrimPrefix(srv.URL, "http://"))})
}

// TestASubmitterSeesNoPages: every page says what the role may do, to people and to programs, and shows nothing.
func TestASubmitterSeesNoPages(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.run("secret")
	tokens := accesstest.Open(t, s.Bus)
	shop := s.token(tokens, access.Token{Name: "shop", Role: people.Submitter, Limits: people.Limits{Plans: []string{"*"}}})
	viewer := s.token(tokens, access.Token{Name: "vi", Role: people.Viewer})
	s.behind(func(host string) Gate {
		return gate.New(gate.Options{Hosts: []string{host}, Tokens: tokens, Page: pages.NewSignIn(pages.Environment{}), Now: time.Now, Logger: slog.New(slog.DiscardHandler)})
	})
	for _, path := range []string{"/", "/news", "/next", "/e/secret-1", "/e/secret-1/approve", "/e/nobody-1", "/runs", "/runs/secret", "/runs/secret/document", "/tools", "/trends", "/system", "/events", "/nowhere"} {
		status, text := s.ask("GET", path, nil, "Authorization", "Bearer "+shop)
		var problem struct{ Code, Detail string }
		if err := json.Unmarshal([]byte(text), &problem); err != nil || status != 403 || problem.Code != "forbidden" || !strings.Contains(problem.Detail, "shop is submitter, which starts runs") || strings.Contains(text, "secret") {
			t.Errorf("%s: %d %s", path, status, text)
		}
		status, text = s.ask("GET", path, nil, "Cookie", "belay="+shop, "Accept", "text/html")
		if status != 403 || !strings.Contains(text, "These pages are not for you") || !strings.Contains(text, "shop is submitter") || strings.Contains(text, "secret") {
			t.Errorf("%s: %d %s", path, status, text)
		}
		if path == "/events" {
			continue // it has no end
		}
		if _, text := s.ask("GET", path, nil, "Authorization", "Bearer "+viewer, "Accept", "text/html"); strings.Contains(text, "not for you") {
			t.Errorf("a viewer is refused %s", path)
		}
	}
	for _, path := range []string{"/e/secret-1/approve", "/redrives", "/redrives/x/stop"} {
		if status, text := s.ask("POST", path, url.Values{"reason": {"x"}}, "Cookie", "belay="+shop, "Accept", "text/html"); status != 403 || !strings.Contains(text, "not for you") {
			t.Errorf("%s: %d %s", path, status, text)
		}
	}
	if status, text := s.ask("POST", "/login", url.Values{"token": {shop}}); status != 403 || !strings.Contains(text, "shop is submitter") {
		t.Errorf("it signs in: %d %s", status, text)
	}
	if status, _ := s.ask("GET", "/static/app.css", nil, "Authorization", "Bearer "+shop); status == 403 {
		t.Error("the refusing page has no looks")
	}
}

// TestDevAsksAboutATokenThatIsShown: at the loopback whoever shows nothing is its admin, and whoever shows a token is who
// that says and no more.
func TestDevAsksAboutATokenThatIsShown(t *testing.T) {
	t.Parallel()
	s := open(t)
	tokens := accesstest.Open(t, s.Bus)
	shop := s.token(tokens, access.Token{Name: "shop", Role: people.Submitter, Limits: people.Limits{Plans: []string{"*"}}})
	s.behind(func(host string) Gate {
		return &gate.Local{Name: "mia", Port: host[strings.LastIndexByte(host, ':')+1:], Tokens: tokens}
	})
	for token, want := range map[string]int{"": 200, "Bearer " + shop: 403, "bearer " + shop: 403, "BEARER  " + shop: 403, "Bearer wrong": 401, "Bearer ": 401, "Basic x": 200} {
		if status, text := s.ask("GET", "/api/v1/escalations", nil, "Authorization", token); status != want {
			t.Errorf("%q: %d %s", token, status, text)
		}
	}
}

// TestACardSaysWhetherTheSubmitterIsProven, and that nobody may approve where the server requires it.
func TestACardSaysWhetherTheSubmitterIsProven(t *testing.T) {
	t.Parallel()
	s := open(t)
	tools, err := plan.ParseTools("tools.yaml", []byte("tools:\n  pay: {effects: unsafe, approval: {not_submitter: true}, rungs: [{command: {argv: [cat]}}]}\n"))
	if err != nil {
		t.Fatal(err)
	}
	s.tools = tools
	s.run("claimed")
	theirs, err := s.Runs.Submitted(t.Context(), "claimed")
	if err != nil {
		t.Fatal(err)
	}
	proven := steps.Submitted{Document: theirs.Document, Input: []byte(`{}`), By: "shop", Token: "0001"}
	if err := s.Prove("proven", &proven); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Runs.Submit(t.Context(), "proven", proven); err != nil {
		t.Fatal(err)
	}
	s.state("claimed", steps.RunWaiting)
	s.state("proven", steps.RunWaiting)
	see := func(path string, want int, says ...string) {
		t.Helper()
		status, text := s.ask("GET", path, nil)
		for _, phrase := range says {
			if status != want || !strings.Contains(text, phrase) {
				t.Errorf("%s: %d has no %q\n%s", path, status, phrase, text)
			}
		}
	}
	const unchecked = "Whoever started the run cannot approve, and nobody checked who that was."
	see("/e/claimed-1", 200, "says it was submitted by sue; nobody checked that", unchecked, "/e/claimed-1/approve")
	see("/e/proven-1", 200, "submitted by shop, shown by its token", "Whoever started the run cannot approve.", "/e/proven-1/approve")
	s.Desk.RequireProof = true
	see("/e/claimed-1", 200, unchecked, "Nobody has checked who submitted the run")
	see("/e/claimed-1/approve", 403, "Nobody may approve this", "submit it through the HTTP API with a token")
	see("/e/proven-1/approve", 200, "Approve")
}
