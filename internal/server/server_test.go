package server

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"belay/internal/bus/embedded"
	"belay/internal/dispatch"
	"belay/internal/engine"
	"belay/internal/plan"
	"belay/internal/server/gate"
	"belay/internal/server/pages"
	"belay/internal/steps"
	"belay/internal/worker"
)

// site is everything in one process, as `dispatcher dev` has it, with a tool that needs approval.
type site struct {
	*engine.Engine
	t     *testing.T
	url   string
	tools *plan.Tools
}

func open(t *testing.T) *site {
	t.Helper()
	srv := httptest.NewUnstartedServer(nil)
	tools, err := plan.ParseTools("tools.yaml", []byte(strings.ReplaceAll(`tools:
  pay: {effects: unsafe, approval: always, input_schema: {type: object, properties: {amount: {type: number}}}, rungs: [{command: {argv: [cat]}}]}
  act: {effects: none, rungs: [{http: {method: POST, url: "http://HERE/api/v1/escalations/${ params.id }/approve", body: "${ params.body }", headers: {Belay-Tool-Call: ""}}}]}
  cancel: {effects: none, rungs: [{http: {method: POST, url: "http://HERE/api/v1/runs/${ params.id }/cancel", body: "${ params.body }"}}]}
  press: {effects: none, rungs: [{http: {method: POST, url: "http://HERE/e/${ params.id }/approve", body: "${ params.body }"}}]}
  model: {effects: none, rungs: [{static: {output: {text: "I pay.", calls: [{name: pay, arguments: {amount: 1}}]}}}]}
  read: {effects: none, rungs: [{http: {url: "http://HERE/e/${ params.id }"}}]}
`, "HERE", srv.Listener.Addr().String())))
	if err != nil {
		t.Fatal(err)
	}
	e, err := engine.Start(t.Context(), engine.Options{
		Embedded: &embedded.Options{StoreDir: t.TempDir(), Durability: embedded.Interval},
		Dispatch: &dispatch.Options{Name: "d"}, People: &engine.PeopleOptions{Keys: t.TempDir()},
		Worker: &engine.WorkerOptions{Options: worker.Options{Name: "w"}, Tools: tools},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Stop)
	s := &site{Engine: e, t: t, tools: tools}
	door := &gate.Local{Name: "mia"}
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	srv.Config.Handler = New(ctx, Options{Bus: e.Bus, Runs: e.Runs, Desk: e.Desk, Gate: door, Environment: pages.Environment{Name: "test"}})
	srv.Start()
	t.Cleanup(srv.Close)
	door.Port = srv.URL[strings.LastIndexByte(srv.URL, ':')+1:]
	s.url = srv.URL
	return s
}

// run submits a run that waits for approval.
func (s *site) run(id string) {
	s.t.Helper()
	doc, err := plan.ParsePlan("p.yaml", []byte(`{name: p, steps: [{id: s, tool: pay, with: {amount: 120.50}}]}`), s.tools)
	if err == nil {
		_, err = s.Runs.Submit(s.t.Context(), id, steps.Submitted{Document: doc.JSON, Input: []byte(`{}`), By: "sue"})
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// state waits until a run is in one.
func (s *site) state(id string, want steps.RunState) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 20*time.Second)
	defer cancel()
	err := s.Runs.Follow(ctx, id, func(st *steps.State, _ steps.Record, _ []int) bool { return st.Status() != want })
	if err != nil {
		s.t.Fatalf("%s never is %s: %v", id, want, err)
	}
}

func (s *site) ask(method, path string, form url.Values, header ...string) (int, string) {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		s.t.Fatal(err)
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i+1 < len(header); i += 2 {
		if r.Header.Set(header[i], header[i+1]); header[i] == "Host" {
			r.Host = header[i+1]
		}
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	if res.Header.Get("Content-Security-Policy") == "" {
		s.t.Errorf("%s %s has no policy", method, path)
	}
	return res.StatusCode, string(body)
}

var hidden = regexp.MustCompile(`<input type="hidden" name="([^"]+)" value="([^"]*)"`)

// TestFromTheListToTheDecision goes an approver's way without a script: list, card, form, decision.
func TestFromTheListToTheDecision(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.run("run-a")
	s.state("run-a", steps.RunWaiting)
	for end := time.Now().Add(10 * time.Second); ; {
		if _, page := s.ask("GET", "/", nil); strings.Contains(page, `href="/e/run-a-1"`) {
			break
		} else if time.Now().After(end) {
			t.Fatal(page)
		}
	}
	_, card := s.ask("GET", "/e/run-a-1", nil)
	for _, says := range []string{"pay needs approval", "120.50", `href="/e/run-a-1/approve"`, "Runs pay now, once, with exactly these parameters."} {
		if !strings.Contains(card, says) {
			t.Errorf("the card does not say %q:\n%s", says, card)
		}
	}
	_, page := s.ask("GET", "/e/run-a-1/approve", nil)
	form := url.Values{"reason": {"agreed"}}
	for _, m := range hidden.FindAllStringSubmatch(page, -1) {
		form.Set(m[1], m[2])
	}
	if form.Get("digest") == "" || form.Get("revision") == "" {
		t.Fatalf("the form names not what was shown: %v\n%s", form, page)
	}
	if code, _ := s.ask("POST", "/e/run-a-1/approve", form, "Origin", "https://evil.example"); code != http.StatusForbidden {
		t.Errorf("another page approves: %d", code)
	}
	forged := url.Values{"digest": {strings.Repeat("0", 64)}, "revision": form["revision"]}
	if code, page := s.ask("POST", "/e/run-a-1/approve", forged); code == http.StatusOK {
		t.Errorf("another digest is approved: %s", page)
	}
	s.state("run-a", steps.RunWaiting)
	if code, page := s.ask("POST", "/e/run-a-1/approve", form); code != http.StatusOK {
		t.Fatalf("%d %s", code, page)
	}
	s.state("run-a", steps.RunSucceeded)
	if code, page := s.ask("POST", "/e/run-a-1/reject", url.Values{"reason": {"no"}, "revision": form["revision"]}); code != http.StatusPreconditionFailed || !strings.Contains(page, "mia") {
		t.Errorf("who comes late is told %d %s", code, page)
	}
	for _, path := range []string{"/runs", "/runs/run-a", "/tools", "/trends", "/api/v1/runs/run-a", "/api/v1/runs/run-a/why", "/openapi.json"} {
		if code, page := s.ask("GET", path, nil); code != http.StatusOK {
			t.Errorf("%s: %d %s", path, code, page)
		}
	}
}

// TestAToolDecidesNothing: what a tool asks of Belay's own pages is refused, also where whoever else asks is the admin.
func TestAToolDecidesNothing(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.run("run-a")
	s.state("run-a", steps.RunWaiting)
	item, err := s.Desk.Card(t.Context(), "run-a-1")
	if err != nil {
		t.Fatal(err)
	}
	body := map[string]any{"digest": item.Dossier.Approval.Digest, "reason": "a tool says so"}
	for n, call := range []struct{ tool, id string }{{"act", "run-a-1"}, {"press", "run-a-1"}, {"read", "run-a-1"}, {"cancel", "run-a"}} {
		with, err := json.Marshal(map[string]any{"id": call.id, "body": body})
		if err != nil {
			t.Fatal(err)
		}
		doc, err := plan.ParsePlan("p.yaml", fmt.Appendf(nil, `{name: p, steps: [{id: s, tool: %s, with: %s}]}`, call.tool, with), s.tools)
		if err != nil {
			t.Fatal(err)
		}
		run := fmt.Sprintf("tool-%d", n)
		if _, err := s.Runs.Submit(t.Context(), run, steps.Submitted{Document: doc.JSON, Input: []byte(`{}`), By: "sue"}); err != nil {
			t.Fatal(err)
		}
		s.state(run, steps.RunWaiting)
		st, err := s.Runs.Load(t.Context(), run)
		if err != nil {
			t.Fatal(err)
		}
		if f := st.Units[0].Fault; f == nil || f.Class != steps.Forbidden || !strings.Contains(f.Message+f.Detail, "tools decide nothing") {
			t.Errorf("%s: %+v", call.tool, f)
		}
	}
	s.state("run-a", steps.RunWaiting)
	b, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/api/v1/escalations/run-a-1/approve", bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	s.state("run-a", steps.RunSucceeded) // the same request, of a person's program
}

// TestTheLocalGate keeps pages of others that the same browser shows out.
func TestTheLocalGate(t *testing.T) {
	t.Parallel()
	s := open(t)
	port := s.url[strings.LastIndexByte(s.url, ':'):]
	for host, want := range map[string]int{"127.0.0.1" + port: 200, "localhost" + port: 200, "[::1]" + port: 200, "evil.example" + port: 421, "127.0.0.1:1": 421, "127.0.0.1": 421, "10.0.0.1" + port: 421, "": 200} {
		if host == "" {
			continue
		}
		if code, _ := s.ask("GET", "/", nil, "Host", host); code != want {
			t.Errorf("as %s: %d; want %d", host, code, want)
		}
	}
	if code, _ := s.ask("POST", "/api/v1/escalations/x-1/skip", nil, "Sec-Fetch-Site", "cross-site"); code != http.StatusForbidden {
		t.Errorf("a post from another site: %d", code)
	}
}

// TestOpenPagesHearOfChanges: of new questions, decisions and ends.
func TestOpenPagesHearOfChanges(t *testing.T) {
	t.Parallel()
	s := open(t)
	c := &pages.Changes{}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { follower{bus: s.Bus, changes: c}.run(ctx); close(ended) }()
	news := c.Subscribe(ctx)
	seen := map[string]bool{}
	for n := 0; !seen["item"] || !seen["run"]; n++ { // changes before the follower has begun are not published
		s.run(fmt.Sprintf("r%d", n))
		for more := true; more; {
			select {
			case ch := <-news:
				seen[string(ch.Kind)] = true
			default:
				more = false
			}
		}
		if n > 5000 {
			t.Fatal("no change is published")
		}
	}
	cancel()
	<-ended
	for range news {
	}
}
