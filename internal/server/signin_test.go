package server

import (
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"belay/internal/access"
	"belay/internal/access/accesstest"
	"belay/internal/people"
	"belay/internal/plan"
	"belay/internal/server/gate"
	"belay/internal/server/pages"
	"belay/internal/steps"
)

// submit submits a run that waits for an approval.
func (s *site) submit(id, document string, e steps.Submitted) {
	s.t.Helper()
	doc, err := plan.ParsePlan("p.yaml", []byte(document), s.tools)
	if err == nil {
		e.Document, e.Input, e.By = doc.JSON, []byte(`{}`), "sue"
		_, err = s.Runs.Submit(s.t.Context(), id, e)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	s.state(id, steps.RunWaiting)
}

const (
	paying     = `{name: p, steps: [{id: s, tool: pay, with: {amount: 120.50}}]}`
	withAgents = `{name: p, steps: [{id: s, tool: pay, with: {amount: 120.50}}, {id: a, agent: {model: read, prompt: hello, tools: [pay]}}]}`
)

// dev is a site behind the door of `dispatcher dev`, with a plain run, one with an agent, one of MCP and a retry of that.
func dev(t *testing.T) (*site, *access.Code, *access.Tokens) {
	t.Helper()
	s := open(t)
	tokens, code := accesstest.Open(t, s.Bus), access.NewCode()
	s.behind(func(host string) Gate {
		return &gate.Local{Name: "mia", Port: host[strings.LastIndexByte(host, ':')+1:], Tokens: tokens, Code: code, Page: pages.NewCodeSignIn(pages.Environment{Name: "dev"})}
	})
	s.submit("plain", paying, steps.Submitted{Via: "api"})
	s.submit("agent", withAgents, steps.Submitted{})
	s.submit("mcp", paying, steps.Submitted{Via: "mcp"})
	s.submit("retry", paying, steps.Submitted{Via: "api", RetryOf: "mcp"})
	return s, code, tokens
}

// say sends a document to the API, and gives the status and the problem's code.
func (s *site) say(path, body string, header ...string) (int, string) {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), "POST", s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	var problem struct{ Code, Type string }
	_ = json.NewDecoder(res.Body).Decode(&problem)
	if problem.Code != "" && problem.Type != "https://belay.dev/problems/"+problem.Code {
		s.t.Errorf("type %q", problem.Type)
	}
	return res.StatusCode, problem.Code
}

// digest is what an approval names.
func (s *site) digest(id string) string {
	s.t.Helper()
	c, err := s.Desk.Card(s.t.Context(), id)
	if err != nil {
		s.t.Fatal(err)
	}
	return c.Dossier.Approval.Digest
}

func (s *site) approval(id string) string { return `{"digest": "` + s.digest(id) + `"}` }

// waits checks that nobody has decided anything about these runs.
func (s *site) waits(runs ...string) {
	s.t.Helper()
	for _, run := range runs {
		st, err := s.Runs.Load(s.t.Context(), run)
		if err != nil {
			s.t.Fatal(err)
		}
		if e := st.Escalations[0]; len(st.Escalations) != 1 || e.State != steps.EscalationOpen || e.Decision != nil {
			s.t.Errorf("%s was decided: %+v", run, e)
		}
	}
}

// TestAnAgentsRunIsNotDecidedWithoutASignIn: whoever only reaches the loopback decides nothing of what an agent does, on no
// way in; a plain run is decided as ever.
func TestAnAgentsRunIsNotDecidedWithoutASignIn(t *testing.T) {
	t.Parallel()
	s, _, _ := dev(t)
	for _, run := range []string{"agent", "mcp", "retry"} {
		id := run + "-1"
		for verb, body := range map[string]string{
			"approve": s.approval(id), "reject": `{"reason": "no"}`, "edit": `{"params": {"amount": 1}}`, "abort": `{"reason": "no"}`, "answer": `{"answer": 1}`, "retry": "{}", "skip": "{}", "extend": "{}", "finish": "{}",
		} {
			if status, code := s.say("/api/v1/escalations/"+id+"/"+verb, body); status != 403 || code != "sign_in" {
				t.Errorf("%s %s: %d %s", verb, id, status, code)
			}
		}
		_, text := s.ask("GET", "/api/v1/escalations/"+id, nil)
		if status, code := s.say("/api/v1/escalations/"+id+"/reject", `{"reason": "no"}`, "If-Match", "*"); status != 403 || code != "sign_in" {
			t.Errorf("If-Match: %d %s\n%s", status, code, text)
		}
		if status, code := s.say("/api/v1/redrives", `{"verb": "reject", "reason": "no", "items": [{"id": "plain-1"}, {"id": "`+id+`"}]}`); status != 403 || code != "sign_in" {
			t.Errorf("redrive: %d %s", status, code)
		}
		revision := regexp.MustCompile(`"revision":(\d+)`).FindStringSubmatch(text)[1]
		if status, page := s.ask("POST", "/redrives", url.Values{"verb": {"reject"}, "reason": {"no"}, "sure": {"yes"}, "id": {id}, "revision": {revision}}); status != 403 || !strings.Contains(page, "Sign in first") {
			t.Errorf("many with the form: %d %s", status, page)
		}
		status, page := s.ask("POST", "/e/"+id+"/approve", url.Values{"revision": {revision}, "digest": {s.digest(id)}, "reason": {"fine"}})
		if status != 403 || !strings.Contains(page, `href="/login?next=%2Fe%2F`+id+`%2Fapprove"`) || !strings.Contains(page, "Nothing was decided") {
			t.Errorf("the form: %d %s", status, page)
		}
		if status, page := s.ask("GET", "/e/"+id+"/approve", nil, "Accept", "text/html"); status != 200 || !strings.Contains(page, "from the terminal of dispatcher dev") {
			t.Errorf("no sign-in page: %d %s", status, page)
		}
		if status, code := s.say("/api/v1/escalations/"+id+"/note", `{"text": "hm"}`); status != 200 {
			t.Errorf("a note: %d %s", status, code)
		}
	}
	s.waits("plain", "agent", "mcp", "retry")
	if status, code := s.say("/api/v1/escalations/plain-1/approve", s.approval("plain-1")); status != 200 {
		t.Errorf("a plain run: %d %s", status, code)
	}
	s.state("plain", steps.RunSucceeded)
}

// TestASignInDecidesWhatAgentsDo: with the code, with the cookie that it gives a browser, or with a token.
func TestASignInDecidesWhatAgentsDo(t *testing.T) {
	t.Parallel()
	s, code, tokens := dev(t)
	if status, problem := s.say("/api/v1/escalations/mcp-1/approve", s.approval("mcp-1"), "Authorization", "Bearer "+code.Text()); status != 200 {
		t.Errorf("with the code: %d %s", status, problem)
	}
	s.state("mcp", steps.RunSucceeded)
	bo := s.token(tokens, access.Token{Name: "bo", Role: people.Approver})
	if status, problem := s.say("/api/v1/escalations/retry-1/approve", s.approval("retry-1"), "Authorization", "Bearer "+bo); status != 200 {
		t.Errorf("with a token: %d %s", status, problem)
	}
	still := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := still.PostForm(s.url+"/login", url.Values{"token": {" " + code.Text() + "\n"}, "next": {"/e/agent-1/approve"}})
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	cookie := res.Cookies()[0]
	if res.StatusCode != http.StatusSeeOther || res.Header.Get("Location") != "/e/agent-1/approve" || !cookie.HttpOnly || cookie.SameSite != http.SameSiteStrictMode || cookie.Value == code.Text() {
		t.Errorf("%d %v", res.StatusCode, cookie)
	}
	_, page := s.ask("GET", "/e/agent-1/approve", nil, "Cookie", cookie.Name+"="+cookie.Value)
	revision := regexp.MustCompile(`name="revision" value="(\d+)"`).FindStringSubmatch(page)
	if revision == nil {
		t.Fatal(page)
	}
	s.ask("POST", "/e/agent-1/approve", url.Values{"revision": {revision[1]}, "digest": {s.digest("agent-1")}}, "Cookie", cookie.Name+"="+cookie.Value)
	for _, run := range []string{"agent", "retry"} {
		st, err := s.Runs.Load(t.Context(), run)
		if err != nil {
			t.Fatal(err)
		}
		if d := st.Escalations[0].Decision; d == nil || d.Grant == nil {
			t.Errorf("%s: %+v", run, d)
		}
	}
}

// TestWrongSignInCodesAreBounded, in the header and in the form together, and nothing tells the code.
func TestWrongSignInCodesAreBounded(t *testing.T) {
	t.Parallel()
	s, code, _ := dev(t)
	got := map[int]int{}
	for n := range 100 {
		wrong := access.NewCode().Text()
		var status int
		if n%2 == 0 {
			status, _ = s.say("/api/v1/escalations/agent-1/reject", `{"reason": "no"}`, "Authorization", "Bearer "+wrong)
		} else {
			status, _ = s.ask("POST", "/login", url.Values{"token": {wrong}})
		}
		got[status]++
	}
	if got[401] != 10 || got[429] != 90 {
		t.Errorf("%v", got)
	}
	s.waits("agent")
	for _, path := range []string{"/", "/login", "/e/agent-1", "/runs/agent", "/api/v1/escalations/agent-1", "/api/v1/runs/agent/events", "/openapi.json"} {
		if _, text := s.ask("GET", path, nil); strings.Contains(text, code.Text()) || strings.Contains(text, code.Session()) {
			t.Errorf("%s tells the code", path)
		}
	}
	if status, problem := s.say("/api/v1/escalations/agent-1/reject", `{"reason": "no"}`, "Authorization", "Bearer "+code.Text()); status != 200 {
		t.Errorf("the person is locked out: %d %s", status, problem)
	}
}
