package rights_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"belay/internal/approval"
	"belay/internal/audit"
	"belay/internal/dispatch"
	"belay/internal/engine"
	"belay/internal/people"
	"belay/internal/plan"
	"belay/internal/rights"
	"belay/internal/runlog"
	"belay/internal/steps"
	"belay/internal/tally"
	"belay/internal/wire"
	"belay/internal/worker"
)

const wholeTools = `tools:
  look: {effects: none, rungs: [{name: primary, command: {argv: [cat]}, retry: {max_attempts: 2, initial: 1s}}, {name: cached, cache: {max_age: 1h}}]}
  pay: {effects: unsafe, approval: {}, rungs: [{command: {argv: [cat]}}]}
  fails: {effects: none, rungs: [{command: {argv: ["false"]}, retry: {max_attempts: 2, initial: 1s}}]}
`

const wholePlan = `name: whole
steps:
  - {id: a, tool: look, with: {n: 1}}
  - {id: b, tool: pay, with: {n: 2}}
  - {id: c, tool: fails, with: {n: 3}}
`

// TestTheWholeEngineUnderPermissions: each program connects as its own user, and the server refuses nothing to anybody.
func TestTheWholeEngineUnderPermissions(t *testing.T) {
	t.Parallel()
	for form, start := range map[string]func(testing.TB, rights.Layout) place{"file": startLayout, "JWTs": startJWTs} {
		t.Run(form, func(t *testing.T) {
			t.Parallel()
			wholeEngine(t, start(t, layout))
		})
	}
}

func wholeEngine(t *testing.T, s place) {
	t.Helper()
	log := &complaints{}
	tools, err := plan.ParseTools(filepath.Join(t.TempDir(), "tools.yaml"), []byte(wholeTools))
	if err != nil {
		t.Fatal(err)
	}
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
	letIn := func(_ context.Context, _ wire.Shown, name string) (people.Actor, error) {
		return people.Actor{Name: name, Role: people.Admin}, nil
	}
	start(engine.Options{Setup: true, Partitions: layout.Partitions, Dispatch: &dispatch.Options{Name: "d1"},
		People: &engine.PeopleOptions{Keys: t.TempDir(), LetIn: letIn}}, "dispatcher")
	start(engine.Options{Worker: &engine.WorkerOptions{Options: worker.Options{Name: "w1", AckWait: 2 * time.Second}, Tools: tools}}, "worker")
	submitter, desk, reader := start(engine.Options{}, "submitter"), start(engine.Options{}, "desk"), start(engine.Options{}, "reader")

	doc, err := plan.ParsePlan("plan.yaml", []byte(wholePlan), tools)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := submitter.Runs.Submit(t.Context(), "r1", steps.Submitted{Document: doc.JSON, Input: []byte(`{}`)}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	decided := map[string]bool{}
	waits := func() (open steps.Escalation) {
		t.Helper()
		err := reader.Runs.Follow(ctx, "r1", func(s *steps.State, _ steps.Record, _ []int) bool {
			open = steps.Escalation{}
			for _, e := range s.Escalations {
				if e.State == steps.EscalationOpen && !decided[e.ID] {
					open = e
				}
			}
			return open.ID == "" && !s.Status().Ended()
		})
		if err != nil || open.ID == "" {
			t.Fatalf("nothing waits: %v\n%v", err, log.list())
		}
		return open
	}
	for _, verb := range []steps.Verb{steps.VerbApprove, steps.VerbSkip} {
		e := waits()
		decided[e.ID] = true
		if _, err := desk.People.Act(ctx, people.Actor{Name: "zoe", Via: "cli"}, e.ID, people.Act{Verb: people.Action(verb), Reason: "x", Digest: e.Digest}); err != nil {
			t.Fatalf("%s: %v\n%v", verb, err, log.list())
		}
	}
	err = submitter.Runs.Follow(ctx, "r1", func(s *steps.State, _ steps.Record, _ []int) bool { return !s.Status().Ended() })
	if err != nil {
		t.Fatal(err)
	}
	looks(t, ctx, reader)
	cancels(t, ctx, submitter, doc.JSON)
	for _, text := range log.list() {
		t.Error(text)
	}
}

// looks reads what a reader may read beside runs.
func looks(t *testing.T, ctx context.Context, e *engine.Engine) {
	t.Helper()
	workers, err := e.Bus.Workers(ctx)
	if err != nil || len(workers) != 1 {
		t.Errorf("%d workers, %v", len(workers), err)
	}
	dispatchers, err := e.Bus.Dispatchers(ctx)
	if err != nil || len(dispatchers) != 1 {
		t.Errorf("%d dispatchers, %v", len(dispatchers), err)
	}
	page, err := e.Runs.List(ctx, runlog.Filter{})
	if err != nil || len(page.Items) != 1 {
		t.Errorf("%d runs, %v", len(page.Items), err)
	}
	report, err := tally.Check(ctx, e.Bus, "", func(int) {})
	if err != nil || len(report.Found) > 0 {
		t.Errorf("%v, %v", report.Found, err)
	}
	keys, err := approval.NewPublished(e.Bus).List(ctx)
	if err != nil || len(keys) != 1 {
		t.Errorf("%d keys, %v", len(keys), err)
	}
	trail, err := audit.New(e.Bus).Read(ctx)
	if err != nil || len(trail.Records) == 0 {
		t.Errorf("%d records, %v", len(trail.Records), err)
	}
}

// cancels starts a run and cancels it.
func cancels(t *testing.T, ctx context.Context, e *engine.Engine, document []byte) {
	t.Helper()
	if _, err := e.Runs.Submit(ctx, "r2", steps.Submitted{Document: document, Input: []byte(`{}`)}); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Runs.Cancel(ctx, "r2", steps.Cancelled{By: "zoe"}); err != nil {
		t.Error(err)
	}
}
