package rights_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"belay/internal/dispatch"
	"belay/internal/engine"
	"belay/internal/plan"
	"belay/internal/rights"
	"belay/internal/steps"
	"belay/internal/wire"
	"belay/internal/worker"
)

const twoTools = `tools:
  pay: {effects: unsafe, rungs: [{name: primary, command: {argv: [cat]}}]}
  look.up: {effects: none, rungs: [{name: primary, command: {argv: [cat]}}]}
`

const lookTools = `tools:
  look.up: {effects: none, rungs: [{name: primary, command: {argv: [cat]}}]}
`

const twoPlan = `name: two
steps:
  - {id: a, tool: pay, with: {n: 1}}
  - {id: b, tool: look.up, with: {n: 2}, needs: []}
`

// grouped has workers in two groups, each of one tool.
var grouped = rights.Layout{Names: wire.Default, Partitions: 1, Workers: []rights.Group{
	{Name: "payers", Rungs: []rights.Rung{{Tool: "pay", Name: "primary"}}},
	{Name: "lookers", Rungs: []rights.Rung{{Tool: "look.up", Name: "primary"}}},
}}

// junkBodies cannot be read, or not by this version: they stop no run, not even one that has a step of the attacker's own tool.
var junkBodies = []string{"", "\x00\xff", "{", "null", `{"v":1,"type":"failed","step":["b"]}`, `{"v":1,"type":"decided","escalation":"r1-1","verb":"abort"}`,
	`{"v":1,"type":"exploded"}`, `{"v":2,"type":"succeeded"}`}

// TestWorkersReportOfTheirOwnTools: a worker of some tools has nobody believe a result or a claim of another one, and its own count. What it
// says keeps nobody from their work.
func TestWorkersReportOfTheirOwnTools(t *testing.T) {
	t.Parallel()
	for form, start := range map[string]func(testing.TB, rights.Layout) place{"file": startLayout, "JWTs": startJWTs} {
		t.Run(form, func(t *testing.T) {
			t.Parallel()
			reportsOfOwnTools(t, start(t, grouped))
		})
	}
}

func reportsOfOwnTools(t *testing.T, s place) {
	t.Helper()
	log := &complaints{}
	start := func(o engine.Options, user string) *engine.Engine {
		t.Helper()
		o.Connect = as(s, user, log)
		o.Logger = o.Connect.Logger
		e, err := engine.Start(t.Context(), o)
		if err != nil {
			t.Fatalf("%s: %v\n%v", user, err, log.list())
		}
		t.Cleanup(e.Stop)
		return e
	}
	tools := func(text string) *plan.Tools {
		t.Helper()
		all, err := plan.ParseTools(filepath.Join(t.TempDir(), "tools.yaml"), []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	dispatcher := start(engine.Options{Setup: true, Partitions: 1, Dispatch: &dispatch.Options{Name: "d1"}}, "dispatcher")
	doc, err := plan.ParsePlan("plan.yaml", []byte(twoPlan), tools(twoTools))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	if _, err := dispatcher.Runs.Submit(ctx, "r1", steps.Submitted{Document: doc.JSON, Input: []byte(`{}`)}); err != nil {
		t.Fatal(err)
	}

	evil := dial(t, s, "lookers")
	says := func(subject, step string) {
		t.Helper()
		body := `{"v":1,"type":"succeeded","step":"` + step + `","round":0,"rung":0,"try":1,"worker":"evil","output":"forged"}`
		if err := evil.PublishMsg(&nats.Msg{Subject: subject, Data: []byte(body), Header: nats.Header{wire.HeaderRun: {"r1"}}}); err != nil {
			t.Fatal(err)
		}
	}
	n, first := wire.Default, steps.Attempt{Step: "a", Try: 1}
	claims := func(subject, worker string) {
		t.Helper()
		body := `{"v":1,"type":"claimed","step":"a","round":0,"rung":0,"try":1` + worker + `}`
		if err := evil.PublishMsg(&nats.Msg{Subject: subject, Data: []byte(body), Header: nats.Header{wire.HeaderRun: {"r1"}}}); err != nil {
			t.Fatal(err)
		}
	}
	for _, worker := range []string{"", `,"worker":"evil"`} { // nobody is to execute it, or the attacker does
		claims(n.Claim(0, "r1", first), worker)
		claims(n.ToolClaim(0, "r1", "pay", first), worker)
		claims(n.ToolClaim(0, "r1", "look.up", first), worker)
	}
	junk := func(subjects ...string) {
		t.Helper()
		for _, subject := range subjects {
			for _, body := range junkBodies {
				if err := evil.PublishMsg(&nats.Msg{Subject: subject, Data: []byte(body), Header: nats.Header{wire.HeaderRun: {"r1"}}}); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	second := steps.Attempt{Step: "b", Try: 1}
	junk(n.Outcome(0, "r1", "look.up"), n.ToolClaim(0, "r1", "look.up", second), n.ToolClaim(0, "r1", "look.up", steps.Attempt{Step: "zz", Try: 9}))
	for _, subject := range []string{n.Outcome(0, "r1", "look.up"), n.ToolClaim(0, "r1", "look.up", first)} {
		if err := evil.PublishMsg(&nats.Msg{Subject: subject, Data: []byte(`{"v":1,"type":"exploded","step":"a","round":0,"rung":0,"try":1}`)}); err != nil {
			t.Fatal(err)
		}
	}
	says(n.Log(0, "r1", wire.KindOutcome), "a")
	says(n.Outcome(0, "r1", "pay"), "a")
	says(n.Outcome(0, "r1", "look.up")+".pay", "a")
	says(n.Outcome(0, "r1", "look.up"), "a")
	says(n.Outcome(0, "r1", "look.up"), "b") // it may say that, and it comes last: once it counts, the others were read
	var a *steps.Unit
	err = dispatcher.Runs.Follow(ctx, "r1", func(s *steps.State, _ steps.Record, _ []int) bool {
		a = &s.Units[s.Unit("a")]
		return s.Units[s.Unit("b")].Phase() != steps.PhaseSucceeded
	})
	if err != nil {
		t.Fatalf("its own result did not count: %v\n%v", err, log.list())
	}
	if a.Phase() != steps.PhaseQueued || a.Current().Note == "" {
		t.Errorf("a is %s, note %q", a.Phase(), a.Current().Note)
	}
	for subject, want := range map[string]bool{n.Claim(0, "r1", first): false, n.ToolClaim(0, "r1", "pay", first): false, n.ToolClaim(0, "r1", "look.up", first): true} {
		if _, stored, err := dispatcher.Bus.Last(ctx, n.RunsStream(0), subject); err != nil || stored != want {
			t.Errorf("a claim of lookers on %s: stored %t, %v", subject, stored, err)
		}
	}

	// The tool's own worker is not kept from its work by what somebody else has said, and so it is for the other one in another run.
	pay := `tools:
  pay: {effects: unsafe, rungs: [{name: primary, command: {argv: [cat]}}]}
`
	start(engine.Options{Worker: &engine.WorkerOptions{Options: worker.Options{Name: "w1", AckWait: 2 * time.Second}, Tools: tools(pay)}}, "payers")
	start(engine.Options{Worker: &engine.WorkerOptions{Options: worker.Options{Name: "w2", AckWait: 2 * time.Second}, Tools: tools(lookTools)}}, "lookers")
	if _, err := dispatcher.Runs.Submit(ctx, "r2", steps.Submitted{Document: doc.JSON, Input: []byte(`{}`)}); err != nil {
		t.Fatal(err)
	}
	for _, run := range []string{"r1", "r2"} {
		var last *steps.State
		if err := dispatcher.Runs.Follow(ctx, run, func(s *steps.State, _ steps.Record, _ []int) bool { last = s; return !s.Status().Ended() }); err != nil {
			t.Fatalf("%s: %v\n%v", run, err, log.list())
		}
		if last.Status() != steps.RunSucceeded || string(last.Units[last.Unit("a")].Output) == `"forged"` {
			t.Errorf("%s %s, a made %s", run, last.Status(), last.Units[last.Unit("a")].Output)
		}
		if _, stored, err := dispatcher.Bus.Last(ctx, n.RunsStream(0), n.ToolClaim(0, run, "pay", first)); err != nil || !stored {
			t.Errorf("%s: its own worker has claimed nothing: %v", run, err)
		}
	}
	for _, text := range log.list() {
		t.Error(text)
	}
}

// TestAWorkerFreezesNoRun: what a worker says of its own tool and nobody knows, as a later version might, ends the attempt that it is about and
// stops nothing else; and of what must not happen twice, people are asked.
func TestAWorkerFreezesNoRun(t *testing.T) {
	t.Parallel()
	s := startLayout(t, grouped)
	log := &complaints{}
	o := engine.Options{Setup: true, Partitions: 1, Dispatch: &dispatch.Options{Name: "d1"}, Connect: as(s, "dispatcher", log)}
	o.Logger = o.Connect.Logger
	dispatcher, err := engine.Start(t.Context(), o)
	if err != nil {
		t.Fatalf("%v\n%v", err, log.list())
	}
	t.Cleanup(dispatcher.Stop)
	all, err := plan.ParseTools(filepath.Join(t.TempDir(), "tools.yaml"), []byte(twoTools))
	if err != nil {
		t.Fatal(err)
	}
	doc, err := plan.ParsePlan("plan.yaml", []byte(twoPlan), all)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	if _, err := dispatcher.Runs.Submit(ctx, "r1", steps.Submitted{Document: doc.JSON, Input: []byte(`{}`)}); err != nil {
		t.Fatal(err)
	}
	for user, about := range map[string][2]string{"lookers": {"look.up", "b"}, "payers": {"pay", "a"}} {
		body := `{"v":1,"type":"exploded","step":"` + about[1] + `","round":0,"rung":0,"try":1}`
		msg := &nats.Msg{Subject: wire.Default.Outcome(0, "r1", about[0]), Data: []byte(body), Header: nats.Header{wire.HeaderRun: {"r1"}}}
		if err := dial(t, s, user).PublishMsg(msg); err != nil {
			t.Fatal(err)
		}
	}
	var last *steps.State
	unit := func(id string) *steps.Unit { return &last.Units[last.Unit(id)] }
	err = dispatcher.Runs.Follow(ctx, "r1", func(now *steps.State, _ steps.Record, _ []int) bool {
		last = now
		return unit("a").State() != steps.StepUnknown || unit("b").Try != 2
	})
	if err != nil {
		t.Fatalf("%v\n%v", err, log.list())
	}
	if f := unit("b").Attempts[0].Fault; f == nil || f.Class != steps.InvalidOutput {
		t.Errorf("the first try of b: %+v", f)
	}
	if len(last.Escalations) != 1 || last.Escalations[0].Kind != steps.KindUnknown || len(unit("a").Attempts) != 1 {
		t.Errorf("of the payment people are asked %+v, tried %d times", last.Escalations, len(unit("a").Attempts))
	}
	if _, err := dispatcher.Runs.Cancel(ctx, "r1", steps.Cancelled{By: "mia"}); err != nil {
		t.Fatal(err)
	}
	if err := dispatcher.Runs.Follow(ctx, "r1", func(now *steps.State, _ steps.Record, _ []int) bool { last = now; return !now.Status().Ended() }); err != nil {
		t.Fatalf("it cannot be cancelled: %v\n%v", err, log.list())
	}
	if last.Status() != steps.RunCancelled {
		t.Errorf("the run is %s", last.Status())
	}
	for _, text := range log.list() {
		t.Error(text)
	}
}
