package plan

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"belay/internal/steps"
	"belay/internal/steps/view"
)

const targetTools = `
tools:
  web:
    rungs: [{http: {method: POST, url: "https://user:hunter2@pay.internal/charge/${ params.k }?key=hunter2&page=${ params.page }"}}]
  shell:
    rungs: [{command: {argv: [ship, "--zip=${ params.k }", "${ params.page }", --token, "${ params.k }"]}}]
  bus:
    rungs: [{nats: {subject: "orders.${ params.k }.ship"}}]
  pay:
    verify: {http: {url: "https://pay.internal/paid/${ params.k }"}, happened: output.found}
    rungs: [{http: {method: POST, url: "https://pay.internal/pay"}}]
  fixed:
    rungs: [{http: {url: "https://pay.internal/all"}}]
`

// asked runs a plan of one step until its only attempt is refused, and gives what people are shown.
func asked(t *testing.T, tool, params string) view.Dossier {
	t.Helper()
	return view.DossierOf(failed(t, tool, params, steps.Fault{Class: steps.InvalidInput, Acted: steps.ActedNo, Message: "422"}), 0)
}

// failed runs a plan of one step until its first attempt has failed.
func failed(t *testing.T, tool, params string, f steps.Fault) *steps.State {
	t.Helper()
	tools, err := ParseTools("tools.yaml", []byte(targetTools))
	if err != nil {
		t.Fatal(err)
	}
	doc, err := ParsePlan("plan.yaml", []byte(`{name: p, steps: [{id: a, tool: `+tool+`, with: `+params+`}]}`), tools)
	if err != nil {
		t.Fatal(err)
	}
	program, err := Compile(doc.JSON)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	s, touched := steps.Apply(nil, steps.Record{Seq: 1, Time: now, Run: "r", Event: steps.Submitted{Document: doc.JSON, Input: json.RawMessage("{}"), Program: program}})
	s, _ = steps.Apply(s, steps.Record{Seq: 2, Time: now, Run: "r", Event: steps.Failed{Attempt: steps.Wants(s, touched).Steps[0].Attempt, Fault: f}})
	return s
}

// TestAProbeIsShownAsItIsCalled: while it looks, it is what the step talks to.
func TestAProbeIsShownAsItIsCalled(t *testing.T) {
	t.Parallel()
	s := failed(t, "pay", `{k: A/7}`, steps.Fault{Class: steps.Timeout, Acted: steps.ActedMaybe, Message: "no answer"})
	probe := steps.Wants(s, nil).Steps[0].Attempt
	s, _ = steps.Apply(s, steps.Record{Seq: 3, Time: s.Now, Run: "r", Event: steps.Failed{Attempt: probe, Fault: steps.Fault{Class: steps.NotFound, Acted: steps.ActedNo, Message: "404"}}})
	if got := view.EscalationOf(s, 0).Target; got != "POST https://pay.internal/pay" {
		t.Errorf("once it has failed: %s", got)
	}
	s, _ = steps.Apply(s, steps.Record{Seq: 4, Time: s.Now, Run: "r", Event: steps.Decided{Escalation: "r-1", Verb: steps.VerbVerify, By: "mia"}})
	if got := view.EscalationOf(s, 0).Target; got != "GET https://pay.internal/paid/A%2F7" {
		t.Errorf("while it looks: %s", got)
	}
}

// TestTargetsAreShownAsTheyAreCalled: with the values, encoded the way the executor does it, and never with a secret.
func TestTargetsAreShownAsTheyAreCalled(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ tool, params, want string }{
		{"web", `{k: "a/b ?", page: 2.0}`, "POST https://***@pay.internal/charge/a%2Fb%20%3F?key=***&page=2.0"},
		{"web", `{k: "x"}`, "POST https://***@pay.internal/charge/${ params.k }?key=***&page=${ params.page } (not filled in)"},
		{"web", `{k: "..", page: 1}`, "POST https://***@pay.internal/charge/${ params.k }?key=***&page=${ params.page } (not filled in)"},
		{"shell", `{k: "1 0", page: "it's"}`, `ship '--zip=1 0' 'it'\''s' --token ***`},
		{"shell", `{k: x, page: "--password=hunter2"}`, `ship '--zip=x' '--password=***' --token ***`},
		{"bus", `{k: A7}`, "subject orders.A7.ship"},
		{"bus", `{k: "A.7"}`, "subject orders.${ params.k }.ship (not filled in)"},
		{"fixed", `{k: 1}`, "GET https://pay.internal/all"},
	} {
		d := asked(t, c.tool, c.params)
		if d.Target != c.want || d.Failing.Target != c.want {
			t.Errorf("%s %s shows %s and %s, want %s", c.tool, c.params, d.Target, d.Failing.Target, c.want)
		}
	}
}

// TestAlikeIsByTheTemplate: what differs only by parameters stays one group, and the same one as before targets were
// filled in.
func TestAlikeIsByTheTemplate(t *testing.T) {
	t.Parallel()
	a, b := asked(t, "bus", `{k: A7}`), asked(t, "bus", `{k: B8}`)
	before := a.Escalation
	before.Target, before.Pattern = "subject orders.${ params.k }.ship", ""
	if a.Fingerprint() != b.Fingerprint() || a.Fingerprint() != before.Fingerprint() {
		t.Errorf("%s, %s, before %s", a.Fingerprint(), b.Fingerprint(), before.Fingerprint())
	}
	if other := asked(t, "fixed", `{}`); other.Fingerprint() == a.Fingerprint() {
		t.Error("another target is alike")
	}
}

// TestALongTargetIsCutInTheMiddle: both of its ends say what is called.
func TestALongTargetIsCutInTheMiddle(t *testing.T) {
	t.Parallel()
	got := asked(t, "bus", `{k: "`+strings.Repeat("x", 100_000)+`"}`).Target
	if len(got) > 600 || !strings.HasPrefix(got, "subject orders.xx") || !strings.HasSuffix(got, "xx.ship") || !strings.Contains(got, "…") {
		t.Errorf("%d bytes: %.700s", len(got), got)
	}
}

// TestABrokenTargetStaysAsItIs: documents come from the log, and a target is for people only.
func TestABrokenTargetStaysAsItIs(t *testing.T) {
	t.Parallel()
	rungs := []steps.Rung{{Executor: "http", Target: "GET http://h/${ params.a"}, {Executor: "http", Target: "GET http://h/${ steps.a }"}}
	if got := compileTargets(rungs); got != nil {
		t.Errorf("%v", got)
	}
}
