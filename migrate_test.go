package belay_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"belay"
	"belay/belaytype"
)

// TestARunGoesOnUnderAnotherPlan: whoever waits for it waits for the run that it goes on as, also from before that; what does not fit is
// refused, and the run stays as it is.
func TestARunGoesOnUnderAnotherPlan(t *testing.T) {
	t.Parallel()
	b := open(t, belay.Handle("pay", func(context.Context, params) (int, error) { return 1, nil }))
	plan := func(text string) *belay.Plan {
		p, err := belay.ParsePlan("plan.yaml", []byte(text), b.tools)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	b.tools = must(belay.ParseTools("tools.yaml", []byte(`
tools:
  fixed: {effects: none, rungs: [{name: primary, static: {output: 7}}]}
  pay: {approval: always, rungs: [{name: primary, go: {}}]}
`)))
	run, err := b.Submit(t.Context(), plan("name: p\nsteps: [{id: look, tool: fixed}, {id: pay, tool: pay}]\n"), belay.Submission{ID: "first"})
	if err != nil {
		t.Fatal(err)
	}
	if doc, err := run.Rest(t.Context()); err != nil || doc.State != belaytype.Waiting {
		t.Fatalf("%+v, %v", doc, err)
	}
	worse := belay.Migrating{Plan: plan("name: p\nsteps: [{id: pay, tool: pay}]\n")}
	proof, err := run.PlanMigration(t.Context(), worse)
	if err != nil || len(proof.Refused) != 1 || proof.Refused[0].Step != "look" {
		t.Errorf("%+v, %v", proof, err)
	}
	if _, err := run.Migrate(t.Context(), worse); !errors.Is(err, belay.ErrNoMigration) || !strings.Contains(err.Error(), "--drop look") {
		t.Errorf("it was not refused: %v", err)
	}
	waited := make(chan *belaytype.Document, 1)
	go func() {
		doc, err := run.Wait(t.Context())
		if err != nil {
			t.Error(err)
		}
		waited <- doc
	}()
	worse.Drop = []string{"look"}
	worse.Plan = plan("name: p\nsteps: [{id: again, tool: fixed}]\noutput: \"${ steps.again.output }\"\n")
	next, err := run.Migrate(t.Context(), belay.Migrating{Plan: worse.Plan, Drop: worse.Drop, ID: "second", By: "mia", Reason: "nobody pays"})
	if err != nil || next.ID() != "second" {
		t.Fatalf("%+v, %v", next, err)
	}
	if doc := <-waited; doc == nil || doc.ID != "second" || doc.State != belaytype.Succeeded || doc.Migrates == nil || doc.Migrates.Run != "first" {
		t.Errorf("%+v", doc)
	}
	old, err := run.Show(t.Context())
	if err != nil || old.State != belaytype.Migrated || old.GoesOnAs != "second" || !strings.Contains(old.Reason, "as mia said: nobody pays") {
		t.Errorf("%+v, %v", old, err)
	}
	if _, err := run.Migrate(t.Context(), belay.Migrating{Plan: worse.Plan}); !errors.Is(err, belay.ErrNoMigration) || !strings.Contains(err.Error(), "goes on as second; migrate that one") {
		t.Errorf("twice: %v", err)
	}
}
