package engine

import (
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"belay/internal/bus/embedded"
	"belay/internal/people"
	"belay/internal/plan"
	"belay/internal/runlog"
	"belay/internal/steps"
)

const migrateTools = `
tools:
  pay: {effects: unsafe, rungs: [{name: primary, http: {method: POST, url: "URL/pay"}}]}
  ship: {effects: idempotent, approval: {}, rungs: [{name: primary, http: {method: POST, url: "URL/ship"}}]}
  look: {effects: none, rungs: [{name: primary, http: {url: "URL/look"}}]}
`

// migrating is an engine that is stopped and started again, and the two plans of a run.
type migrating struct {
	*restored
	old, other *plan.Document
}

func newMigrating(t *testing.T) *migrating {
	t.Helper()
	r := &migrating{restored: &restored{dir: t.TempDir(), shop: &shop{}}}
	srv := httptest.NewServer(r.shop)
	t.Cleanup(srv.Close)
	var err error
	if r.tools, err = plan.ParseTools("tools.yaml", []byte(strings.ReplaceAll(migrateTools, "URL", srv.URL))); err != nil {
		t.Fatal(err)
	}
	parse := func(text string) *plan.Document {
		doc, err := plan.ParsePlan("plan.yaml", []byte(text), r.tools)
		if err != nil {
			t.Fatal(err)
		}
		return doc
	}
	r.old = parse("name: p\nsteps: [{id: pay, tool: pay}, {id: ship, tool: ship, with: {to: nowhere}}, {id: end, tool: look}]\n")
	r.other = parse("name: p\nsteps: [{id: pay, tool: pay}, {id: ship, tool: ship, with: {to: home}}, {id: end, tool: look}, {id: tell, tool: look}]\n")
	return r
}

// stored is the store without a dispatcher.
func (r *migrating) stored(t *testing.T) *Engine {
	t.Helper()
	e, err := Start(t.Context(), Options{Embedded: &embedded.Options{StoreDir: filepath.Join(r.dir, "store"), Durability: embedded.Interval}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Stop)
	return e
}

func approve(t *testing.T, e *Engine, q *steps.Escalation) {
	t.Helper()
	if _, err := e.Desk.Act(t.Context(), people.Trusted("ann", "cli"), q.ID, people.Act{Verb: people.Approve, Digest: q.Digest}); err != nil {
		t.Fatal(err)
	}
}

// TestARunGoesOnUnderAnotherPlan although no dispatcher is there when that is decided: the one that starts then submits the run that it
// goes on as, which pays nothing once more, asks for its approval and ends under the new plan.
func TestARunGoesOnUnderAnotherPlan(t *testing.T) {
	t.Parallel()
	r := newMigrating(t)
	e := r.start(t, true)
	if _, err := e.Runs.Submit(t.Context(), "r", steps.Submitted{Document: r.old.JSON, Input: []byte(`{}`)}); err != nil {
		t.Fatal(err)
	}
	question := asked(t, e, "r")
	e.Stop()

	e = r.stored(t)
	m, err := e.Runs.Migrate(t.Context(), "r", "", runlog.Migrating{Plan: r.other}, runlog.Retried{By: "mia", Via: "cli", Reason: "the address was wrong"})
	if err != nil || m.To != "r-m1" {
		t.Fatalf("%+v, %v", m, err)
	}
	if sub, err := e.Runs.Submitted(t.Context(), m.To); sub != nil || err != nil {
		t.Fatalf("it is submitted before a dispatcher was there: %+v, %v", sub, err)
	}
	if _, err := e.Runs.Migrate(t.Context(), "r", "", runlog.Migrating{Plan: r.other}, runlog.Retried{By: "mia"}); err == nil {
		t.Error("it was migrated twice")
	}
	e.Stop()

	e = r.start(t, true)
	ended(t, e, "r")
	again := asked(t, e, m.To)
	if _, err := e.Desk.Act(t.Context(), people.Trusted("ann", "cli"), question.ID, people.Act{Verb: people.Approve}); err == nil {
		t.Error("the question of the old run can still be decided")
	}
	approve(t, e, again)
	ended(t, e, m.To)
	s, err := e.Runs.Load(t.Context(), m.To)
	if err != nil {
		t.Fatal(err)
	}
	if s.Status() != steps.RunSucceeded || len(s.Program.Plan.Steps) != 4 || string(s.Units[1].Params) != `{"to":"home"}` {
		t.Errorf("it is %s: %s, and shipped with %s", s.Status(), s.Reason, s.Units[1].Params)
	}
	if paid := r.shop.paid.Load(); paid != 1 {
		t.Errorf("paid %d times", paid)
	}
	if s, err = e.Runs.Load(t.Context(), "r"); err != nil || s.GoesOnAs() != m.To || s.Status() != steps.RunMigrated {
		t.Errorf("the old run is %s and goes on as %q, %v", s.Status(), s.GoesOnAs(), err)
	}
}
