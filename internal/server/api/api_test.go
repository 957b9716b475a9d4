package api

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"belay/internal/approval"
	"belay/internal/bus"
	"belay/internal/bus/bustest"
	"belay/internal/dlq"
	"belay/internal/doctor"
	"belay/internal/gates"
	"belay/internal/handoff"
	"belay/internal/passkey"
	"belay/internal/people"
	"belay/internal/plan"
	"belay/internal/runlog"
	"belay/internal/schedules"
	"belay/internal/steps"
	"belay/internal/steps/view"
)

// office is the API over real streams; nobody executes anything.
type office struct {
	t    *testing.T
	url  string
	runs *runlog.Log
	desk *handoff.Desk
	box  *dlq.Queue
}

func open(t *testing.T) *office {
	t.Helper()
	b := bustest.Start(t, 1)
	signer, err := approval.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	o := &office{t: t, runs: runlog.New(b, plan.NewCache(8)), box: dlq.New(b)}
	o.desk = handoff.NewDesk(o.runs, o.box, handoff.NewClaims(b), signer)
	keys := approval.NewPublished(b)
	if _, err := signer.PublishTo(t.Context(), keys); err != nil {
		t.Fatal(err)
	}
	o.desk.Proofs = keys
	prove := func(run string, e *steps.Submitted) error { return signer.Prove(run, e, time.Now()) }
	redrives := handoff.NewRedrives(b, o.desk)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- redrives.Run(ctx) }()
	t.Cleanup(func() { stop(); <-ended })
	watch := runlog.NewWatch(o.runs)
	t.Cleanup(watch.Close)
	known := plans(t)
	srv := httptest.NewServer(New(Options{Desk: o.desk, Runs: o.runs, Redrives: redrives, Workers: crew, Examine: examine, Gates: doors{gates.Of(b)}, Schedules: almanac{schedules.NewKeeper(b, o.runs, slog.New(slog.DiscardHandler)), b, o.runs}, Score: doors{}, Passkeys: ring{&passkey.Passkey{ID: "ab12", Person: "mia", Origin: "http://localhost:8222", Credential: []byte{1}, Key: []byte{2}}}, Why: foresee, Released: func(_ context.Context, s *steps.State) bool { return s.Labels["released"] != "" }, Watch: watch, Catalog: known, Prove: prove, Who: func(r *http.Request) people.Actor {
		who := r.Header.Get("X-Who")
		if a, ok := programs[who]; ok {
			return a
		}
		return people.Actor{Name: who, Via: "api", Role: role(who)}
	}}))
	t.Cleanup(srv.Close)
	o.url = srv.URL
	return o
}

func examine(context.Context) doctor.Report {
	return doctor.Of("here", doctor.Finding{Check: "workers", State: doctor.Warn, Seen: "none runs", Do: "start one"}, doctor.Finding{Check: "streams", State: doctor.OK, Seen: "all there"})
}

func foresee(_ context.Context, s *steps.State) (view.Why, error) {
	return view.WhyOf(s, view.Foresight{}), nil
}

// crew is one worker.
func crew(context.Context) ([]bus.Worker, error) {
	return []bus.Worker{{Name: "w1", Serves: []string{"pay/primary"}, Concurrency: 4}}, nil
}

func role(who string) people.Role {
	switch who {
	case "eve":
		return people.Viewer
	case "ada":
		return people.Admin
	}
	return people.Approver
}

// held submits a run that waits for approval, and puts its letter as a dispatcher does.
func (o *office) held(run string) {
	o.t.Helper()
	o.heldBy(run, "always")
}

// heldBy is held under another rule.
func (o *office) heldBy(run, rule string) {
	o.t.Helper()
	tools, err := plan.ParseTools("tools.yaml", []byte(`tools: {pay: {approval: `+rule+`, input_schema: {type: object, required: [amount]}, rungs: [{http: {method: POST, url: "http://127.0.0.1:1/pay/${ params.amount }"}}]}}`))
	if err != nil {
		o.t.Fatal(err)
	}
	doc, err := plan.ParsePlan("p.yaml", []byte(`{name: p, steps: [{id: s, tool: pay, with: {amount: 120}}]}`), tools)
	if err != nil {
		o.t.Fatal(err)
	}
	if _, err := o.runs.Submit(o.t.Context(), run, steps.Submitted{Document: doc.JSON, Input: json.RawMessage(`{}`), By: "sue"}); err != nil {
		o.t.Fatal(err)
	}
	s, err := o.runs.Load(o.t.Context(), run)
	if err != nil {
		o.t.Fatal(err)
	}
	done := make(chan error, 1)
	o.box.Put(dlq.Entry{Escalation: view.EscalationOf(s, 0)}, func(err error) { done <- err })
	if err := <-done; err != nil {
		o.t.Fatal(err)
	}
}

type answered struct {
	*http.Response
	body map[string]any
	text string
}

func (o *office) ask(method, path, body string, header ...string) answered {
	o.t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), method, o.url+path, strings.NewReader(body))
	if err != nil {
		o.t.Fatal(err)
	}
	r.Header.Set("X-Who", "mia")
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	res, err := (&http.Client{Transport: validating{o.t}}).Do(r)
	if err != nil {
		o.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		o.t.Fatal(err)
	}
	a := answered{Response: res, text: string(text)}
	if err := json.NewDecoder(strings.NewReader(a.text)).Decode(&a.body); err != nil { // a log has more than one
		o.t.Fatalf("%s %s gives %s: %v", method, path, text, err)
	}
	return a
}

// refused checks a problem document.
func (o *office) refused(a answered, status int, code string) {
	o.t.Helper()
	if a.StatusCode != status || a.body["code"] != code || a.body["status"] != float64(status) || a.Header.Get("Content-Type") != "application/problem+json" ||
		!strings.HasSuffix(fmt.Sprint(a.body["type"]), "/"+code) || a.body["title"] == "" {
		o.t.Errorf("%d %s; want %d %s", a.StatusCode, a.text, status, code)
	}
}

func TestADecisionOverHTTP(t *testing.T) {
	t.Parallel()
	o := open(t)
	o.held("run")
	card := o.ask("GET", "/api/v1/escalations/run-1", "")
	etag := card.Header.Get("ETag")
	digest := card.body["dossier"].(map[string]any)["approval"].(map[string]any)["digest"].(string)
	if card.StatusCode != 200 || etag == "" || digest == "" || card.Header.Get("Cache-Control") != "no-store" {
		t.Fatalf("%d %s", card.StatusCode, card.text)
	}
	const path = "/api/v1/escalations/run-1/"
	o.refused(o.ask("GET", "/api/v1/escalations/run-2", ""), 404, "no_escalation")
	o.refused(o.ask("POST", "/api/v1/escalations/nobody-1/skip", ""), 404, "no_escalation")
	o.refused(o.ask("POST", path+"approve", `{}`), 422, "invalid")
	o.refused(o.ask("POST", path+"approve", `{"digest":"x"}`), 412, "changed")
	o.refused(o.ask("POST", path+"approve", "\ufeff"+`{"digest":"x"}`), 412, "changed") // it was read, whatever is before it
	o.refused(o.ask("POST", path+"reject", `{}`), 422, "invalid")
	o.refused(o.ask("POST", path+"skip", ``), 409, "not_allowed")
	o.refused(o.ask("POST", path+"dance", ``), 409, "not_allowed")
	o.refused(o.ask("POST", path+"edit", `{"params":{}}`), 422, "invalid")
	o.refused(o.ask("POST", path+"claim", ``, "X-Who", "eve"), 403, "forbidden")
	o.refused(o.ask("POST", path+"claim", ``, "X-Who", ""), 403, "forbidden")
	o.refused(o.ask("POST", path+"reject", `{"reasons":"x"}`), 400, "invalid")
	for _, levels := range []int{201, 20_000} {
		deep := strings.Repeat("[", levels) + strings.Repeat("]", levels)
		a := o.ask("POST", path+"edit", `{"params":{"amount":`+deep+`}}`)
		o.refused(a, 422, "invalid")
		if !strings.Contains(a.text, "at most 200 are possible") {
			t.Errorf("%d levels: %s", levels, a.text)
		}
	}
	o.refused(o.ask("POST", path+"reject", `{"reason":"x"} {}`), 400, "invalid")
	o.refused(o.ask("POST", path+"reject", `reason=x`, "Content-Type", "application/x-www-form-urlencoded"), 415, "invalid")
	o.refused(o.ask("POST", path+"note", `{"text":"`+strings.Repeat("x", maxBody)+`"}`), 413, "invalid")
	o.refused(o.ask("POST", path+"reject", `{"reason":"x"}`, "If-Match", `"0-0-open"`), 412, "changed")

	if a := o.ask("POST", path+"claim", ``); a.StatusCode != 200 || a.body["by"] != "mia" {
		t.Errorf("%d %s", a.StatusCode, a.text)
	}
	o.refused(o.ask("POST", path+"claim", ``, "X-Who", "bo"), 409, "claimed")
	a := o.ask("POST", path+"approve", `{"digest":"`+digest+`","reason":"agreed"}`, "If-Match", etag)
	if a.StatusCode != 200 || a.body["action"] != "approve" || a.body["effect"] == "" {
		t.Fatalf("%d %s", a.StatusCode, a.text)
	}
	late := o.ask("POST", path+"reject", `{"reason":"no"}`, "X-Who", "bo", "If-Match", etag)
	o.refused(late, 412, "decided")
	if !strings.Contains(late.text, "mia chose approve") {
		t.Errorf("the loser is told %s", late.text)
	}
	o.refused(o.ask("POST", path+"reject", `{"reason":"no"}`, "X-Who", "bo"), 412, "decided")
}

func TestListsOverHTTP(t *testing.T) {
	t.Parallel()
	o := open(t)
	for n := range 5 {
		o.held(fmt.Sprintf("run%d", n))
	}
	seen := map[string]bool{}
	after := ""
	for range 3 {
		page := o.ask("GET", "/api/v1/escalations?limit=2&kind=approval&tool=pay&after="+after, "")
		if page.body["total"] != float64(5) {
			t.Fatal(page.text)
		}
		for _, it := range page.body["items"].([]any) {
			seen[it.(map[string]any)["id"].(string)] = true
		}
		after, _ = page.body["next"].(string)
	}
	if len(seen) != 5 || after != "" {
		t.Errorf("%v, then %q", seen, after)
	}
	if none := o.ask("GET", "/api/v1/escalations?tool=other", ""); none.body["total"] != float64(0) || fmt.Sprint(none.body["items"]) != "[]" {
		t.Error(none.text)
	}
	for _, bad := range []string{"/api/v1/escalations?limit=0", "/api/v1/escalations?limit=x", "/api/v1/runs?limit=1001", "/api/v1/runs?since=yesterday", "/api/v1/runs?until=1h",
		"/api/v1/runs?state=sleeping", "/api/v1/runs?label=team", "/api/v1/runs?input=%3D4"} {
		o.refused(o.ask("GET", bad, ""), 400, "invalid")
	}
	if runs := o.ask("GET", "/api/v1/runs?state=waiting&limit=3", ""); len(runs.body["items"].([]any)) != 3 {
		t.Error(runs.text)
	}
	var all []string
	for path := "/api/v1/runs?limit=2&until=2099-01-01T00:00:00Z"; path != ""; {
		page := o.ask("GET", path, "")
		if page.body["total"] != float64(5) {
			t.Fatal(page.text)
		}
		for _, it := range page.body["items"].([]any) {
			all = append(all, it.(map[string]any)["id"].(string))
		}
		path, _ = page.body["next"].(string)
		if path != "" {
			path = "/api/v1/runs?limit=2&after=" + path
		}
	}
	if fmt.Sprint(all) != "[run4 run3 run2 run1 run0]" {
		t.Errorf("all pages have %v", all)
	}
	o.refused(o.ask("GET", "/api/v1/runs?after=nobody", ""), 400, "no_place")
	for query, want := range map[string]float64{"label=team%3Dpay": 0, "input=amount%3D7": 0, "workflow=nobody": 0, "state=waiting": 5} {
		if runs := o.ask("GET", "/api/v1/runs?"+query, ""); float64(len(runs.body["items"].([]any))) != want {
			t.Errorf("%s: %s", query, runs.text)
		}
	}
	run := o.ask("GET", "/api/v1/runs/run0", "")
	if run.body["state"] != "waiting" || run.Header.Get("ETag") == "" {
		t.Error(run.text)
	}
	o.refused(o.ask("GET", "/api/v1/runs/nobody", ""), 404, "no_run")
	o.refused(o.ask("GET", "/api/v1/runs/nobody/events", ""), 404, "no_run")
	if log := o.ask("GET", "/api/v1/runs/run0/events", ""); log.body["event"].(map[string]any)["type"] != "submitted" {
		t.Error(log.text)
	}
	o.refused(o.ask("GET", "/api/v1/runs/a.b", ""), 400, "invalid")
	o.refused(o.ask("POST", "/api/v1/runs/run0/cancel", `{}`, "X-Who", "eve"), 403, "forbidden")
	o.refused(o.ask("POST", "/api/v1/runs/run0/steer", `{"text":"x"}`, "X-Who", "eve"), 403, "forbidden")
	o.refused(o.ask("POST", "/api/v1/runs/run0/steer", `{"text":"x"}`), 409, "no_agent")
	o.refused(o.ask("POST", "/api/v1/runs/run0/steer", `{"text":""}`), 422, "invalid")
	o.refused(o.ask("POST", "/api/v1/runs/run0/steer", `{"take_back":1}`), 409, "no_agent")
	o.refused(o.ask("POST", "/api/v1/runs/run0/steer", `{"take_back":-1}`), 422, "invalid")
	o.refused(o.ask("POST", "/api/v1/runs/run0/steer", `{"take_back":1}`, "X-Who", "eve"), 403, "forbidden")
	o.refused(o.ask("POST", "/api/v1/runs/nobody/steer", `{"text":"x"}`), 404, "no_run")
	if a := o.ask("POST", "/api/v1/runs/run0/cancel", `{"reason":"enough"}`); a.StatusCode != 200 {
		t.Error(a.text)
	}
	if run := o.ask("GET", "/api/v1/runs/run0", ""); run.body["state"] != "cancelled" || run.body["reason"] != "cancelled by mia: enough" {
		t.Error(run.text)
	}
	o.refused(o.ask("GET", "/api/v2/runs", ""), 404, "not_found")
	if workers := o.ask("GET", "/api/v1/workers", ""); workers.body["total"] != float64(1) || !strings.Contains(workers.text, `"serves":["pay/primary"]`) {
		t.Error(workers.text)
	}
	if found := o.ask("GET", "/api/v1/doctor", ""); found.StatusCode != 200 || found.body["state"] != "warn" || !strings.Contains(found.text, `{"check":"workers","state":"warn","seen":"none runs","do":"start one"}`) {
		t.Error(found.text)
	}
}

func TestARedriveOverHTTP(t *testing.T) {
	t.Parallel()
	o := open(t)
	var items []string
	for n := range 3 {
		o.held(fmt.Sprintf("run%d", n))
		items = append(items, fmt.Sprintf(`{"id":"run%d-1"}`, n))
	}
	order := func(verb, more string) string {
		return fmt.Sprintf(`{"verb":%q,"items":[%s]%s}`, verb, strings.Join(items, ","), more)
	}
	const path = "/api/v1/redrives"
	o.refused(o.ask("POST", path, order("approve", "")), 409, "not_allowed")
	o.refused(o.ask("POST", path, order("reject", ""), "X-Who", "eve"), 403, "forbidden")
	o.refused(o.ask("POST", path, `{"verb":"retry","items":[]}`), 422, "invalid")
	o.refused(o.ask("GET", path+"/x", ""), 404, "no_redrive")
	o.refused(o.ask("POST", path+"/x/stop", ""), 404, "no_redrive")

	items = append(items, `{"id":"run9-1"}`)
	dry := o.ask("POST", path, order("reject", `,"dry_run":true`))
	for n, want := range []string{"it needs a reason", "it needs a reason", "it needs a reason", "No such escalation"} {
		if it := dry.body["items"].([]any)[n].(map[string]any); it["refused"] != want {
			t.Errorf("%d: %v, want %s", n, it, want)
		}
	}
	if it := o.ask("POST", path, order("retry", `,"dry_run":true`)).body["items"].([]any)[0].(map[string]any); it["refused"] != "retry is not possible here" {
		t.Error(it)
	}
	if open := o.ask("GET", "/api/v1/escalations?workflow=p", ""); open.body["total"] != float64(3) {
		t.Errorf("looking did something: %s", open.text)
	}

	began := o.ask("POST", path, order("reject", `,"reason":"a mistake"`))
	where := began.Header.Get("Location")
	if began.StatusCode != 202 || began.body["state"] != "running" || where != path+"/"+fmt.Sprint(began.body["id"]) {
		t.Fatalf("%d %s %s", began.StatusCode, where, began.text)
	}
	var s answered
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); {
		if s = o.ask("GET", where, ""); s.body["state"] != "running" {
			break
		}
	}
	results := []string{}
	for _, it := range s.body["items"].([]any) {
		results = append(results, it.(map[string]any)["result"].(string))
	}
	if s.body["state"] != "done" || strings.Join(results, " ") != "done done done refused" {
		t.Errorf("%s %v", s.body["state"], results)
	}
	if want := "3 rejected; 1 not there any more"; !strings.HasPrefix(fmt.Sprint(s.body["summary"]), want) {
		t.Errorf("%s, want %s", s.body["summary"], want)
	}
	if run := o.ask("GET", "/api/v1/runs/run1", ""); run.body["state"] != "failed" {
		t.Error(run.text)
	}
	if again := o.ask("POST", where+"/stop", ""); again.StatusCode != 200 || again.body["state"] != "done" {
		t.Errorf("%d %s", again.StatusCode, again.text)
	}
}

// TestWhy: what a run waits for, as the command prints it.
func TestWhy(t *testing.T) {
	t.Parallel()
	o := open(t)
	o.held("r1")
	a := o.ask("GET", "/api/v1/runs/r1/why", "")
	if a.StatusCode != 200 || a.body["state"] != "waiting" || len(a.body["then"].([]any)) == 0 {
		t.Fatalf("%d %s", a.StatusCode, a.text)
	}
	wait := a.body["waits"].([]any)[0].(map[string]any)
	if wait["for"] != "person" || wait["escalation"] != "r1-1" || wait["since"] == nil || wait["text"] != "a person's approval" {
		t.Errorf("%s", a.text)
	}
	if a := o.ask("GET", "/api/v1/runs/nobody/why", ""); a.StatusCode != http.StatusNotFound {
		t.Errorf("%d %s", a.StatusCode, a.text)
	}
}

// TestTheDocumentHasEveryRoute: what it describes is there, under the same methods.
func TestTheDocumentHasEveryRoute(t *testing.T) {
	t.Parallel()
	o := open(t)
	doc := o.ask("GET", "/openapi.json", "")
	paths := doc.body["paths"].(map[string]any)
	if len(paths) != 39 {
		t.Errorf("%d paths are described", len(paths))
	}
	for path, methods := range paths {
		for method := range methods.(map[string]any) {
			real := strings.NewReplacer("{id}", "nobody-1", "{name}", "nobody", "{verb}", "skip").Replace(path)
			if a := o.ask(strings.ToUpper(method), real, ""); a.body["code"] == "not_found" || a.StatusCode == http.StatusMethodNotAllowed {
				t.Errorf("%s %s is not there: %s", method, path, a.text)
			}
		}
	}
}

// TestASettledEscalationIsAsItWas: what was in question when it was decided, the target as it was called then, and what
// followed.
func TestASettledEscalationIsAsItWas(t *testing.T) {
	t.Parallel()
	o := open(t)
	o.held("run1")
	if a := o.ask("POST", "/api/v1/escalations/run1-1/edit", `{"params":{"amount":7}}`); a.StatusCode != 200 {
		t.Fatal(a.text)
	}
	d := o.ask("GET", "/api/v1/escalations/run1-1", "").body["dossier"].(map[string]any)
	failing := d["failing"].(map[string]any)
	if d["state"] != "decided" || fmt.Sprint(failing["params"]) != "map[amount:120]" || failing["target"] != "POST http://127.0.0.1:1/pay/120" || d["target"] != failing["target"] {
		t.Errorf("%v", d)
	}
	if followed := d["followed"].(map[string]any); followed["fate"] != "under_way" || followed["text"] != "s is at work on try 1; the run goes on" {
		t.Errorf("%v", followed)
	}
}
