package rights_test

import (
	"errors"
	"path/filepath"
	"testing"

	"belay/internal/access/accesstest"
	"belay/internal/people"
	"belay/internal/plan"
	"belay/internal/runlog"
	"belay/internal/steps"
)

// TestWhoMigratesOverNATSNeedsTheRights to end the run and to start the plan, and who is proven is who has asked. What goes on from a
// submitter's run is that one's too.
func TestWhoMigratesOverNATSNeedsTheRights(t *testing.T) {
	t.Parallel()
	tools, err := plan.ParseTools(filepath.Join(t.TempDir(), "tools.yaml"), []byte(`tools:
  ask: {effects: none, approval: {}, rungs: [{command: {argv: [cat]}}]}
  pay: {effects: unsafe, approval: {}, rungs: [{command: {argv: [cat]}}]}
`))
	if err != nil {
		t.Fatal(err)
	}
	parse := func(tool string) *plan.Document {
		doc, err := plan.ParsePlan("plan.yaml", []byte("name: "+tool+"\nsteps: [{id: a, tool: "+tool+"}]\n"), tools)
		if err != nil {
			t.Fatal(err)
		}
		return doc
	}
	ask, pay := parse("ask"), parse("pay")
	o := open(t, func(doc []byte) (string, bool) { return "ask", string(doc) == string(ask.JSON) })
	ben, mia := o.as(o.token("ben", people.Submitter, people.Limits{Plans: []string{"ask"}})), o.as(o.token("mia", people.Submitter, people.Limits{Plans: []string{"ask"}}))
	viewer, operator, nobody := o.as(o.token("vic", people.Viewer, people.Limits{})), o.as(o.token("ola", people.Operator, people.Limits{})), o.as("")
	for run, l := range map[string]*runlog.Log{"ben-1": ben, "mia-1": mia} {
		if _, err := l.Submit(t.Context(), run, steps.Submitted{Document: ask.JSON, Input: []byte(`{}`)}); err != nil {
			t.Fatal(err)
		}
	}
	migrate := func(l *runlog.Log, run string, to *plan.Document) error {
		m, err := l.Migrate(t.Context(), run, "", runlog.Migrating{Plan: to}, runlog.Retried{By: "ada", Via: "cli", Reason: "why not"})
		if err == nil && m.To != run+"-m1" {
			t.Errorf("%s goes on as %s", run, m.To)
		}
		return err
	}
	for _, x := range []struct {
		what string
		got  error
		want error
	}{
		{"nobody", migrate(nobody, "ben-1", ask), people.ErrForbidden},
		{"a viewer", migrate(viewer, "ben-1", ask), people.ErrForbidden},
		{"a submitter, somebody else's run", migrate(mia, "ben-1", ask), runlog.ErrNoRun},
		{"a submitter, to another plan than the token's", migrate(ben, "ben-1", pay), people.ErrForbidden},
		{"an operator, to one of their own", migrate(operator, "ben-1", pay), people.ErrForbidden},
		{"one's own", migrate(ben, "ben-1", ask), nil},
		{"twice", migrate(ben, "ben-1", ask), runlog.ErrNoMigration},
		{"an operator, somebody else's", migrate(operator, "mia-1", ask), nil},
	} {
		if !errors.Is(x.got, x.want) {
			t.Errorf("%s: %v", x.what, x.got)
		}
	}
	for run, by := range map[string]string{"ben-1": "ben", "mia-1": "ola"} {
		s, err := o.admin.Runs.Load(t.Context(), run)
		if err != nil || s.MigratedBy() == nil || s.MigratedBy().By != by || s.MigratedBy().Reason != "why not" {
			t.Errorf("%s is migrated by %+v, %v", run, s.MigratedBy(), err)
		}
		var next *steps.Submitted
		accesstest.Eventually(t, "a dispatcher submits "+run+"-m1", func() bool {
			next, err = o.admin.Runs.Submitted(t.Context(), run+"-m1")
			return err == nil && next != nil
		})
		if next.By != by || next.Token == "" || next.Proof == nil {
			t.Errorf("%s-m1 is submitted by %+v", run, next)
		}
	}
	for _, x := range []struct {
		what string
		by   *runlog.Log
		want error
	}{{"somebody else's", ben, runlog.ErrNoRun}, {"what goes on from one's own", mia, nil}} {
		if _, err := x.by.Cancel(t.Context(), "mia-1-m1", steps.Cancelled{Reason: "enough"}); !errors.Is(err, x.want) {
			t.Errorf("%s: %v", x.what, err)
		}
	}
}
