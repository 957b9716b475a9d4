package api

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"belay/internal/runlog"
	"belay/internal/steps"
)

// goesOn does what a dispatcher does once a run is migrated.
func (o *office) goesOn(ctx context.Context, run string) {
	watch := runlog.NewWatch(o.runs)
	defer watch.Close()
	err := watch.Follow(ctx, run, nil, func(s *steps.State) bool { return s.MigratedBy() == nil })
	s, failed := o.runs.Load(ctx, run)
	if err != nil || failed != nil {
		o.t.Error(err, failed)
		return
	}
	if _, err := o.runs.GoOn(ctx, *s.MigratedBy()); err != nil {
		o.t.Error(err)
	}
	if _, err := o.runs.Append(ctx, run, steps.Closed{State: steps.RunMigrated}); err != nil {
		o.t.Error(err)
	}
}

// goesOnBy lets somebody migrate a run to the plan refund.
func (o *office) goesOnBy(who, run string) {
	o.t.Helper()
	gone := make(chan struct{})
	go func() { defer close(gone); o.goesOn(o.t.Context(), run) }()
	a := o.ask("POST", runsPath+"/"+run+"/migrate", `{"plan":"refund"}`, "X-Who", who)
	<-gone
	if a.StatusCode != 201 || a.body["id"] != run+"-m1" {
		o.t.Fatalf("%d %s", a.StatusCode, a.text)
	}
}

const longer = `{"name":"refund","steps":[{"id":"s","tool":"pay","with":{"amount":9}},{"id":"t","tool":"look"}]}`

// TestMigrateOverHTTP: a run goes on under another plan, once for a key; a refusal says what is in the way of which step, in the words
// of the command.
func TestMigrateOverHTTP(t *testing.T) {
	t.Parallel()
	o := open(t)
	o.held("my-1")
	const path = runsPath + "/my-1/migrate"
	o.refused(o.ask("POST", runsPath+"/nobody/migrate", `{"plan":"look"}`), 404, "no_run")
	o.refused(o.ask("POST", path, `{}`), 422, "invalid")
	o.refused(o.ask("POST", path, `{"plan":"none"}`), 422, "unknown_plan")
	o.refused(o.ask("POST", path, `{"plan":"look"}`, "X-Who", "eve"), 403, "forbidden")
	o.refused(o.ask("POST", path, `{"plan":`+longer+`}`), 403, "forbidden")
	refused := o.ask("POST", path, `{"plan":"refund","drop":["s"],"reason":"x"}`)
	o.refused(refused, 409, "not_migratable")
	if !strings.Contains(refused.text, "nothing was changed: run my-1 cannot go on under this plan as it stands") ||
		!strings.Contains(refused.text, `{"message":"s: it is to be dropped, and the new plan has it; leave it out of the plan, or leave out --drop"}`) {
		t.Error(refused.text)
	}
	would := o.ask("POST", path, `{"plan":`+longer+`,"dry_run":true}`, "X-Who", "ada")
	if would.StatusCode != 200 || would.body["to"] != "my-1-m1" || !strings.Contains(would.text, `{"step":"t","tool":"look","fate":"new","why":"it is new"}`) {
		t.Errorf("%d %s", would.StatusCode, would.text)
	}
	refusal := o.ask("POST", path, `{"plan":"refund","drop":["s"],"dry_run":true}`)
	if refusal.StatusCode != 200 || !strings.Contains(refusal.text, `"refused":[{"step":"s"`) {
		t.Errorf("%d %s", refusal.StatusCode, refusal.text)
	}

	gone := make(chan struct{})
	go func() { defer close(gone); o.goesOn(t.Context(), "my-1") }()
	order := `{"plan":` + longer + `,"reason":"the amount"}`
	first := o.ask("POST", path, order, "Idempotency-Key", "1", "X-Who", "ada")
	<-gone
	if first.StatusCode != 201 || !strings.HasPrefix(fmt.Sprint(first.body["id"]), "k-") || fmt.Sprint(first.body["migrates"].(map[string]any)["run"]) != "my-1" {
		t.Fatalf("%d %s", first.StatusCode, first.text)
	}
	if first.Header.Get("Location") != runsPath+"/"+fmt.Sprint(first.body["id"]) {
		t.Error(first.Header)
	}
	repeated := o.ask("POST", path, order, "Idempotency-Key", "1", "X-Who", "ada")
	if repeated.StatusCode != 200 || repeated.body["id"] != first.body["id"] || repeated.Header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("%d %s", repeated.StatusCode, repeated.text)
	}
	o.refused(o.ask("POST", path, `{"plan":`+longer+`}`, "Idempotency-Key", "1", "X-Who", "ada"), 409, "conflict")
	again := o.ask("POST", path, order, "X-Who", "ada")
	o.refused(again, 409, "not_migratable")
	if !strings.Contains(again.text, "goes on as "+fmt.Sprint(first.body["id"])+"; migrate that one") {
		t.Error(again.text)
	}
	s, err := o.runs.Load(t.Context(), "my-1")
	if err != nil || s.MigratedBy().By != "ada" || s.MigratedBy().Via != "api" || s.MigratedBy().Reason != "the amount" {
		t.Errorf("%+v, %v", s.MigratedBy(), err)
	}
}

// TestASubmitterMigratesItsOwnRuns, to plans that its token names, and no others: of those it is told that there are none.
func TestASubmitterMigratesItsOwnRuns(t *testing.T) {
	t.Parallel()
	o := open(t)
	o.held("theirs")
	o.refused(o.ask("POST", runsPath+"/theirs/migrate", `{"plan":"refund"}`, "X-Who", "shop"), 404, "no_run")
	if mine := o.ask("POST", runsPath, `{"id":"mine","plan":"refund"}`, "X-Who", "shop"); mine.StatusCode != 201 {
		t.Fatal(mine.text)
	}
	const path = runsPath + "/mine/migrate"
	o.refused(o.ask("POST", path, `{"plan":"refund"}`, "X-Who", "crm"), 404, "no_run")
	o.refused(o.ask("POST", path, `{"plan":"mail-1"}`, "X-Who", "shop-2"), 403, "forbidden") // what the run is of is beyond that token
	o.refused(o.ask("POST", path, `{"plan":"look"}`, "X-Who", "shop"), 403, "forbidden")
	o.refused(o.ask("POST", path, `{"plan":{"name":"own","steps":[{"id":"s","tool":"look"}]}}`, "X-Who", "shop"), 403, "forbidden")
	if would := o.ask("POST", path, `{"plan":"refund","dry_run":true}`, "X-Who", "shop"); would.StatusCode != 200 || would.body["refused"] != nil {
		t.Errorf("%d %s", would.StatusCode, would.text)
	}
	o.goesOnBy("shop", "mine")
	if a := o.ask("GET", runsPath+"/mine-m1", "", "X-Who", "shop"); a.StatusCode != 200 {
		t.Error(a.text)
	}
	o.goesOnBy("mia", "mine-m1")
	if a := o.ask("GET", runsPath+"/mine-m1-m1", "", "X-Who", "shop"); a.StatusCode != 200 || a.body["state"] != "waiting" {
		t.Errorf("what somebody else lets its run go on as is hidden from it: %s", a.text)
	}
	o.refused(o.ask("GET", runsPath+"/mine-m1-m1", "", "X-Who", "crm"), 404, "no_run")
	if a := o.ask("GET", runsPath+"/mine/events", "", "X-Who", "shop"); a.StatusCode != 200 || !strings.Contains(a.text, `"type":"migrated"`) || strings.Contains(a.text, "tools.yaml") {
		t.Error(a.text)
	}
}
