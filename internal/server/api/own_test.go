package api

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"belay/internal/people"
	"belay/internal/steps"
)

// programs are the submitters of the tests, by the name that a request shows. shop-2 is another token of shop.
var programs = map[string]people.Actor{
	"shop":   program("shop", "0001", people.Limits{Plans: []string{"refund", "mail-*"}, Unsafe: true}),
	"shop-2": program("shop", "0002", people.Limits{Plans: []string{"mail-*"}, Unsafe: true}),
	"crm":    program("crm", "0003", people.Limits{Plans: []string{"*"}}),
	"agent":  program("agent", "0004", people.Limits{Tools: []string{"lo*"}, WholePlans: true}),
	"tia":    {Name: "tia", Via: "api", Role: people.Operator, Token: "0006"},
	"caller": program("caller", "0005", people.Limits{Tools: []string{"pay"}, Unsafe: true}),
}

func program(name, token string, limits people.Limits) people.Actor {
	return people.Actor{Name: name, Via: "api", Role: people.Submitter, Token: token, Limits: limits}
}

// TestASubmitterSeesOnlyItsOwn: everything that a path can name is the same to it, whether it is somebody else's or not
// there at all, and what is everybody's is refused.
func TestASubmitterSeesOnlyItsOwn(t *testing.T) {
	t.Parallel()
	o := open(t)
	o.held("theirs")
	for who, id := range map[string]string{"shop": "mine", "crm": "other"} {
		if a := o.ask("POST", runsPath, `{"id":"`+id+`","plan":"mail-1"}`, "X-Who", who); a.StatusCode != http.StatusCreated {
			t.Fatal(a.text)
		}
	}
	// Somebody with a connection to NATS names shop, and shows nothing.
	if _, err := o.runs.Submit(t.Context(), "claimed", steps.Submitted{Document: o.document("theirs"), Input: json.RawMessage(`{}`), By: "shop"}); err != nil {
		t.Fatal(err)
	}
	for _, method := range []string{"GET ", "GET /why", "GET /events", "GET ?wait=1s", "POST /cancel", "POST /steer", "POST /retry", "POST /migrate"} {
		verb, rest, _ := strings.Cut(method, " ")
		gone := o.ask(verb, runsPath+"/nobody"+rest, "", "X-Who", "shop")
		o.refused(gone, http.StatusNotFound, "no_run")
		for _, id := range []string{"theirs", "other", "claimed"} {
			a := o.ask(verb, runsPath+"/"+id+rest, "", "X-Who", "shop")
			o.refused(a, http.StatusNotFound, "no_run")
			if want := strings.ReplaceAll(gone.text, "nobody", id); a.text != want {
				t.Errorf("%s %s: %s, want %s", method, id, a.text, want)
			}
		}
		stream := o.ask(verb, runsPath+"/other"+rest, "", "X-Who", "shop", "Accept", "text/event-stream")
		o.refused(stream, http.StatusNotFound, "no_run")
	}
	for _, id := range []string{"theirs", "other", "claimed"} {
		if run := o.ask("GET", runsPath+"/"+id, ""); run.body["state"] == "cancelled" {
			t.Errorf("%s was cancelled", id)
		}
	}
	for _, path := range []string{
		"GET /escalations", "GET /escalations/theirs-1", "GET /escalations/nobody-1", "POST /escalations/theirs-1/reject", "POST /escalations/theirs-1/claim",
		"POST /redrives", "GET /workers", "GET /doctor", "GET /breakers", "GET /limits", "GET /limits/x", "GET /slo", "GET /causes", "GET /gates", "POST /gates", "GET /gates/x", "POST /gates/x/open",
	} {
		verb, rest, _ := strings.Cut(path, " ")
		a := o.ask(verb, "/api/v1"+rest, "", "X-Who", "shop")
		o.refused(a, http.StatusForbidden, "forbidden")
		if !strings.Contains(a.text, "shop is submitter, which starts runs and sees, cancels and retries its own; to look at runs, escalations and workers takes viewer") {
			t.Error(a.text)
		}
	}
	for _, path := range []string{"GET /redrives/x", "POST /redrives/x/stop", "POST /redrives/x/resume"} {
		verb, rest, _ := strings.Cut(path, " ")
		o.refused(o.ask(verb, "/api/v1"+rest, "", "X-Who", "shop"), http.StatusNotFound, "no_redrive")
	}
	gone := o.ask("GET", runsPath+"?after=nobody", "", "X-Who", "shop")
	o.refused(gone, http.StatusNotFound, "no_run")
	for _, id := range []string{"theirs", "other", "claimed"} { // a place in the list
		if a := o.ask("GET", runsPath+"?after="+id, "", "X-Who", "shop"); a.text != strings.ReplaceAll(gone.text, "nobody", id) {
			t.Errorf("after %s: %s", id, a.text)
		}
	}
	if a := o.ask("GET", runsPath+"?after=mine", "", "X-Who", "shop"); a.StatusCode != http.StatusOK || a.body["total"] != 1.0 {
		t.Error(a.text)
	}
	for who, want := range map[string]string{"shop": "mine", "shop-2": "mine", "crm": "other", "agent": ""} {
		list := o.ask("GET", runsPath, "", "X-Who", who)
		ids := []string{}
		for _, it := range list.body["items"].([]any) {
			ids = append(ids, it.(map[string]any)["id"].(string))
		}
		if strings.Join(ids, " ") != want {
			t.Errorf("%s sees %v, want %s", who, ids, want)
		}
	}
}

// TestASubmitterDoesTheSameToManyOfItsOwn, as over NATS: what it has not started is not found, and left as it is where it is named. How it goes
// is shown to whoever has ordered it, who may stop it too.
func TestASubmitterDoesTheSameToManyOfItsOwn(t *testing.T) {
	t.Parallel()
	o := open(t)
	o.held("theirs")
	for who, ids := range map[string][]string{"shop": {"one", "two"}, "crm": {"other"}} {
		for _, id := range ids {
			if a := o.ask("POST", runsPath, `{"id":"`+id+`","plan":"mail-1"}`, "X-Who", who); a.StatusCode != http.StatusCreated {
				t.Fatal(a.text)
			}
		}
	}
	if a := o.ask("POST", runsPath+"/cancel", `{"where":"since:7d","dry_run":true}`, "X-Who", "shop"); a.body["total"] != 2.0 || strings.Contains(a.text, "other") || strings.Contains(a.text, "theirs") {
		t.Errorf("%d %s", a.StatusCode, a.text)
	}
	did := func(who, path, order string) (results map[string]string, id string) {
		t.Helper()
		a := o.ask("POST", runsPath+path, order, "X-Who", who)
		if a.StatusCode != http.StatusAccepted {
			t.Fatal(a.text)
		}
		id = fmt.Sprint(a.body["id"])
		for a.body["state"] == "running" {
			if a = o.ask("GET", "/api/v1/redrives/"+id, "", "X-Who", who); a.StatusCode != http.StatusOK {
				t.Fatal(a.text)
			}
		}
		results = map[string]string{}
		for _, it := range a.body["items"].([]any) {
			it := it.(map[string]any)
			results[fmt.Sprint(it["id"])] = fmt.Sprintf("%v %v %v", it["result"], it["code"], it["detail"])
		}
		return results, id
	}
	got, id := did("shop", "/cancel", `{"items":[{"id":"one"},{"id":"other"},{"id":"theirs"},{"id":"nobody"}],"rate":1000}`)
	for _, run := range []string{"other", "theirs", "nobody"} {
		if want := "refused forbidden you have started no run " + run; got[run] != want {
			t.Errorf("%s: %s, want %s", run, got[run], want)
		}
	}
	if !strings.HasPrefix(got["one"], "done ") {
		t.Error(got["one"])
	}
	if got, _ = did("shop", "/cancel", `{"where":"since:7d","rate":1000}`); len(got) != 2 || got["one"] == "" || !strings.HasPrefix(got["two"], "done ") {
		t.Error(got)
	}
	for _, run := range []string{"other", "theirs"} {
		if a := o.ask("GET", runsPath+"/"+run, ""); a.body["state"] == "cancelled" || strings.Contains(a.text, "cancelling") {
			t.Error(a.text)
		}
	}
	if got, _ := did("shop-2", "/retry", `{"items":[{"id":"one"},{"id":"other"}],"rate":1000}`); got["other"] != "refused forbidden you have started no run other" || strings.Contains(got["one"], "forbidden") {
		t.Error(got)
	}
	for _, act := range []string{"", "/stop", "/resume"} { // somebody else's is not there to it
		verb := "POST"
		if act == "" {
			verb = "GET"
		}
		o.refused(o.ask(verb, "/api/v1/redrives/"+id+act, "", "X-Who", "crm"), http.StatusNotFound, "no_redrive")
		if a := o.ask(verb, "/api/v1/redrives/"+id+act, "", "X-Who", "shop"); a.StatusCode != http.StatusOK {
			t.Errorf("%s: %d %s", act, a.StatusCode, a.text)
		}
	}
	o.refused(o.ask("POST", runsPath+"/cancel", `{"where":"since:7d"}`, "X-Who", "eve"), http.StatusForbidden, "forbidden")
}

// document is what the log of a run begins with.
func (o *office) document(run string) json.RawMessage {
	o.t.Helper()
	s, err := o.runs.Submitted(o.t.Context(), run)
	if err != nil {
		o.t.Fatal(err)
	}
	return s.Document
}

// TestASubmittersOwnRun is shown, followed, cancelled and retried, and nothing says where the server keeps its tools file.
func TestASubmittersOwnRun(t *testing.T) {
	t.Parallel()
	o := open(t)
	as := []string{"X-Who", "shop"}
	if a := o.ask("POST", runsPath+"?wait=30s", `{"id":"mine","plan":"refund"}`, as...); a.StatusCode != http.StatusCreated || a.body["state"] != "waiting" {
		t.Fatal(a.text)
	}
	for _, path := range []string{"", "/why", "/events", "?wait=30s"} {
		if a := o.ask("GET", runsPath+"/mine"+path, "", as...); a.StatusCode != http.StatusOK || strings.Contains(a.text, "tools.yaml") || strings.Contains(a.text, "tools_file") {
			t.Errorf("%s: %d %s", path, a.StatusCode, a.text)
		}
	}
	if a := o.ask("GET", runsPath+"/mine/events", ""); !strings.Contains(a.text, "tools_file") {
		t.Errorf("nobody is shown it: %s", a.text)
	}
	if a := o.ask("POST", runsPath+"/mine/cancel", `{"reason":"a mistake"}`, as...); a.StatusCode != http.StatusOK || a.body["by"] != "shop" {
		t.Error(a.text)
	}
	if events := o.events("mine", "shop"); strings.Contains(events, "tools_file") || !strings.Contains(events, "event: cancelled") || !strings.Contains(events, `"type":"submitted"`) {
		t.Error(events)
	}
	if list := o.ask("GET", runsPath+"?workflow=refund", "", as...); list.body["total"] != 1.0 {
		t.Error(list.text)
	}
	again := o.ask("POST", runsPath+"/mine/retry", "", as...)
	if again.StatusCode != http.StatusCreated || again.body["retry_of"] != "mine" {
		t.Error(again.text)
	}
	if a := o.ask("GET", again.Header.Get("Location"), "", as...); a.StatusCode != http.StatusOK {
		t.Error(a.text)
	}
	o.refused(o.ask("GET", again.Header.Get("Location"), "", "X-Who", "crm"), http.StatusNotFound, "no_run")
	o.refused(o.ask("POST", runsPath+"/mine/retry", "", "X-Who", "shop-2"), http.StatusForbidden, "forbidden")
}

// events is the log of a cancelled run as server-sent events.
func (o *office) events(run, who string) string {
	o.t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, o.url+runsPath+"/"+run+"/events", nil)
	if err != nil {
		o.t.Fatal(err)
	}
	r.Header.Set("X-Who", who)
	r.Header.Set("Accept", "text/event-stream")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		o.t.Fatal(err)
	}
	defer res.Body.Close()
	var text strings.Builder
	for lines := bufio.NewScanner(res.Body); lines.Scan() && !strings.Contains(text.String(), `"type":"cancelled"`); {
		text.WriteString(lines.Text() + "\n")
	}
	return text.String()
}

// TestASubmittersLimits: a plan and a tool that its token does not name, whole plans and unsafe effects where it does not
// say so. It is not told what else there is.
func TestASubmittersLimits(t *testing.T) {
	t.Parallel()
	o := open(t)
	whole := func(tool string) string {
		return `{"plan":{"name":"own","steps":[{"id":"s","tool":"` + tool + `","with":{"amount":1}}]}}`
	}
	const calls = "/api/v1/calls"
	for _, c := range []struct {
		who, path, body string
		status          int
		code, says      string
	}{
		{"shop", runsPath, `{"plan":"mail-1"}`, 201, "", ""},
		{"shop", runsPath, `{"plan":"look"}`, 403, "forbidden", `the token of shop does not start the plan \"look\" (--plan of`},
		{"shop", runsPath, `{"plan":"nothing"}`, 403, "forbidden", `does not start the plan \"nothing\"`},
		{"shop", runsPath, `{"plan":"mail-2"}`, 422, "unknown_plan", `"the server has no plan \"mail-2\""`},
		{"shop", runsPath, whole("look"), 403, "forbidden", "takes admin, or --whole-plans of `dispatcher token create`"},
		{"shop", calls, `{"tool":"look"}`, 403, "forbidden", "takes admin, or --tool of `dispatcher token create`"},
		{"crm", runsPath, `{"plan":"refund"}`, 403, "forbidden", `the effects of the tool \"pay\" are unsafe, and the token of crm starts nothing that is (--unsafe of`},
		{"agent", runsPath, whole("look"), 201, "", ""},
		{"agent", runsPath, whole("pay"), 403, "forbidden", `the token of agent does not use the tool \"pay\"`},
		{"agent", runsPath, whole("lok"), 422, "invalid_plan", `it is not in the server's tools file"}`},
		{"agent", runsPath, `{"plan":"look"}`, 403, "forbidden", `does not start the plan \"look\"`},
		{"agent", calls, `{"tool":"look"}`, 201, "", ""},
		{"agent", calls, `{"tool":"pay","params":{"amount":1}}`, 403, "forbidden", `does not use the tool \"pay\"`},
		{"agent", calls, `{"tool":"loop"}`, 422, "unknown_tool", `"the server has no tool \"loop\""`},
		{"caller", calls, `{"tool":"pay","params":{"amount":1}}`, 201, "", ""},
		{"caller", calls, `{"tool":"pay","params":{}}`, 422, "invalid_input", ""},
		{"caller", runsPath, whole("pay"), 403, "forbidden", "--whole-plans"},
	} {
		a := o.ask("POST", c.path, c.body, "X-Who", c.who)
		if a.StatusCode != c.status || c.code != "" && a.body["code"] != c.code || !strings.Contains(a.text, c.says) {
			t.Errorf("%s %s: %d %s; want %d %s", c.who, c.body, a.StatusCode, a.text, c.status, c.says)
		}
		if c.status/100 != 2 && (strings.Contains(a.text, "/tools.yaml") || a.Header.Get("Location") != "") {
			t.Errorf("%s is told %s", c.who, a.text)
		}
	}
	if runs := o.ask("GET", runsPath, ""); runs.body["total"] != 4.0 {
		t.Errorf("what was refused has started: %s", runs.text)
	}
}

// TestAKeyOfSomebodyElse is a key like any other: the answers to it differ in nothing but the id.
func TestAKeyOfSomebodyElse(t *testing.T) {
	t.Parallel()
	o := open(t)
	order := func(who, key string) answered {
		return o.ask("POST", runsPath, `{"plan":"mail-1"}`, "X-Who", who, "Idempotency-Key", key)
	}
	theirs := order("crm", "used")
	used, fresh := order("shop", "used"), order("shop", "fresh")
	plain := func(a answered) string {
		return fmt.Sprint(a.StatusCode, a.Header.Get("Idempotency-Replayed"), strings.ReplaceAll(a.text[:strings.Index(a.text, `"started"`)], fmt.Sprint(a.body["id"]), "ID"))
	}
	if theirs.StatusCode != 201 || plain(used) != plain(fresh) || used.body["id"] == theirs.body["id"] {
		t.Errorf("%s\n%s\n%s", theirs.text, used.text, fresh.text)
	}
	if again := order("shop-2", "used"); again.StatusCode != 200 || again.body["id"] != used.body["id"] {
		t.Errorf("another token of the same person: %d %s", again.StatusCode, again.text)
	}
}

// submitted is what a card says of who submitted a run; a dispatcher has not put its question into the list yet.
func (o *office) submitted(run string) (proven bool, says string) {
	o.t.Helper()
	d := o.ask("GET", "/api/v1/escalations/"+run+"-1", "").body["dossier"].(map[string]any)
	return d["submitter_proven"].(bool), d["submitted"].(string)
}

// TestWhoSubmittedIsWhoShowedTheToken: of a submission, a call and a retry, however its document was spaced. Who was let in
// without a token is proven by nobody, and a retry is by who asked for it.
func TestWhoSubmittedIsWhoShowedTheToken(t *testing.T) {
	t.Parallel()
	o := open(t)
	o.held("theirs")
	var spaced bytes.Buffer
	if err := json.Indent(&spaced, o.document("theirs"), "", "  "); err != nil {
		t.Fatal(err)
	}
	if _, err := o.runs.Submit(t.Context(), "spaced", steps.Submitted{Document: spaced.Bytes(), Input: json.RawMessage(`{ }`), By: "ann"}); err != nil {
		t.Fatal(err)
	}
	post := func(who, path, body string) string {
		t.Helper()
		a := o.ask("POST", path, body, "X-Who", who)
		if a.StatusCode/100 != 2 {
			t.Fatal(a.text)
		}
		return strings.TrimPrefix(a.Header.Get("Location"), runsPath+"/")
	}
	cancelled := func(run string) string {
		post("mia", runsPath+"/"+run+"/cancel", "")
		return run
	}
	const shown = "submitted by shop, shown by its token"
	for _, c := range []struct {
		run, says string
	}{
		{post("shop", runsPath, `{"plan":"refund","id":"mine","labels":{"a":"<&> "}}`), shown},
		{post("shop", runsPath+"/"+cancelled("mine")+"/retry", `{"reason":"again"}`), shown},
		{post("shop", runsPath+"/mine/retry", `{"reason":"again","id":"named"}`), shown},
		{post("caller", "/api/v1/calls", `{"tool":"pay","params":{"amount":1}}`), "submitted by caller, shown by its token"},
		{post("mia", runsPath, `{"plan":"refund","id":"local"}`), "says it was submitted by mia; nobody checked that"},
		{post("mia", runsPath+"/mine/retry", `{"reason":"as mia"}`), "says it was submitted by mia; nobody checked that"},
		{post("tia", runsPath+"/"+cancelled("spaced")+"/retry", ""), "submitted by tia, shown by its token"},
		{"theirs", "says it was submitted by sue; nobody checked that"},
	} {
		if proven, says := o.submitted(c.run); says != c.says || proven != strings.Contains(c.says, "shown") {
			t.Errorf("%s: %v %q, want %q", c.run, proven, says, c.says)
		}
	}
}

// TestNoRouteIsForgotten: whatever openapi.json describes is closed to a submitter, or says that there is no such run, but
// for those that narrow themselves to its own.
func TestNoRouteIsForgotten(t *testing.T) {
	t.Parallel()
	o := open(t)
	o.held("theirs")
	open := []string{"GET /openapi.json", "GET /api/v1/runs", "POST /api/v1/runs", "POST /api/v1/calls", "POST /api/v1/runs/cancel", "POST /api/v1/runs/retry"}
	for path, methods := range o.ask("GET", "/openapi.json", "").body["paths"].(map[string]any) {
		for method := range methods.(map[string]any) {
			method = strings.ToUpper(method)
			for _, id := range []string{"theirs", "theirs-1"} {
				a := o.ask(method, strings.NewReplacer("{id}", id, "{verb}", "skip").Replace(path), "", "X-Who", "shop")
				if !slices.Contains(open, method+" "+path) && a.StatusCode != http.StatusForbidden && a.StatusCode != http.StatusNotFound {
					t.Errorf("%s %s is open to a submitter: %d %s", method, path, a.StatusCode, a.text)
				}
			}
		}
	}
}
