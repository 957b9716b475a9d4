package belay_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"belay"
	"belay/belaytype"
)

// Runs of a plan are started again and again, at the times of a cron expression.
func ExampleClient_AddSchedule() {
	client, tools, done := openShop()
	defer done()
	ctx := context.Background()
	plan := must(belay.ParsePlan("lookup.yaml", []byte(lookupPlan), tools))

	s := must(client.AddSchedule(ctx, plan, belay.Scheduling{Name: "night", Cron: "0 3 * * *", TZ: "Europe/Berlin", Overlap: belaytype.OverlapWait, By: "shop"}))
	fmt.Println(s.Name, s.Plan, s.Overlap, s.CatchUp, s.Next != nil)
	s = must(client.PauseSchedule(ctx, "night", "mia", "new numbers on Monday"))
	fmt.Println("paused by", s.Paused.By, "because of", s.Paused.Reason)
	fired := must(client.FireSchedule(ctx, "night", "mia")) // now, although it is paused
	doc := must(client.Run(fired.Run).Wait(ctx))
	fmt.Println(doc.State, must(belay.Output[string](doc)))
	for s, err := range client.Schedules(ctx) {
		fmt.Println(s.Name, len(s.Firings), err)
	}
	_, err := client.PauseSchedule(ctx, "night", "mia", "")
	fmt.Println(errors.Is(err, belay.ErrNotNow))
	must(client.ResumeSchedule(ctx, "night", "mia", ""))
	must(client.RemoveSchedule(ctx, "night", "mia", "nobody reads it"))
	_, err = client.Schedule(ctx, "night")
	fmt.Println(errors.Is(err, belay.ErrNotFound))
	// Output:
	// night lookup wait last true
	// paused by mia because of new numbers on Monday
	// succeeded A-1 is paid
	// night 1 <nil>
	// true
	// true
}

// A gate holds calls back for the whole cluster, until it is opened.
func ExampleClient_CloseGate() {
	client, tools, done := openShop()
	defer done()
	ctx := context.Background()
	plan := must(belay.ParsePlan("lookup.yaml", []byte(lookupPlan), tools))

	g := must(client.CloseGate(ctx, belay.Gating{ID: "lookups", Covers: belaytype.Covers{Tool: "orders.*"}, Reason: "wrong prices", By: "mia"}))
	fmt.Println(g.ID, g.Covers.Tool, g.Opened == nil)
	run := must(client.Submit(ctx, plan, belay.Submission{ID: "held"}))
	for g, err := range client.Gates(ctx) {
		fmt.Println(g.ID, g.Reason, err)
	}
	must(client.OpenGate(ctx, "lookups", "mia", "mended"))
	fmt.Println(must(run.Wait(ctx)).State, must(client.Gate(ctx, "lookups")).Opened.Reason)
	_, err := client.CloseGate(ctx, belay.Gating{Covers: belaytype.Covers{All: true}})
	fmt.Println(errors.Is(err, belay.ErrInvalid))
	// Output:
	// lookups orders.* true
	// lookups wrong prices <nil>
	// succeeded mended
	// true
}

// Many runs are cancelled or retried alike, those that a search finds.
func ExampleClient_CancelAll() {
	client, tools, done := openShop()
	defer done()
	ctx := context.Background()
	plan := must(belay.ParsePlan("refund.yaml", []byte(refundPlan), tools))
	for i := range 3 {
		must(client.Submit(ctx, plan, belay.Submission{ID: fmt.Sprintf("refund-%d", i), In: time.Hour}))
	}

	all := belay.Many{Where: "refund state:scheduled", By: "mia", Reason: "the prices are wrong", DryRun: true}
	n := 0
	for r, err := range client.CancelAll(ctx, all) {
		n++
		fmt.Println(r.Was, r.Done, r.Code, err)
	}
	all.DryRun = false
	for r, err := range client.CancelAll(ctx, all) {
		fmt.Println(r.Was, r.Done, err)
	}
	for i := range 3 {
		_, _ = client.Run(fmt.Sprintf("refund-%d", i)).Wait(ctx) // an Ended: it was cancelled
	}
	for r, err := range client.RetryAll(ctx, belay.Many{Where: "refund", By: "mia"}) {
		fmt.Println(r.Was, r.Done, err)
		break // and no other one is retried
	}
	// Output:
	// scheduled false dry_run <nil>
	// scheduled false dry_run <nil>
	// scheduled false dry_run <nil>
	// scheduled true <nil>
	// scheduled true <nil>
	// scheduled true <nil>
	// cancelled true <nil>
}

// Ended runs go into an archive, and out of the log once it is read again.
func ExampleClient_Archive() {
	client, tools, done := openShop()
	defer done()
	ctx := context.Background()
	plan := must(belay.ParsePlan("lookup.yaml", []byte(lookupPlan), tools))
	must(must(client.Submit(ctx, plan, belay.Submission{ID: "old"})).Wait(ctx))

	var file bytes.Buffer // a file that is synced, in a program that keeps it
	end := must(client.Archive(ctx, &file, belay.Archiving{EndedBefore: time.Now().Add(time.Hour)}))
	var runs []belaytype.Archived
	for r, err := range belay.ReadArchive(&file) {
		if err != nil {
			panic(err) // it is not whole: nothing may be removed
		}
		runs = append(runs, r)
	}
	fmt.Println(end.Runs, runs[0].ID, runs[0].State)
	for _, r := range must(client.RemoveArchived(ctx, "mia", "s3://backup/runs", runs)) {
		fmt.Println(r.ID, r.Result)
	}
	_, err := client.Run("old").Show(ctx)
	fmt.Println(errors.Is(err, belay.ErrNoRun))
	// Output:
	// 1 old succeeded
	// old removed
	// true
}

// What a replay would do is asked before it is done.
func ExampleRun_PlanReplay() {
	client, tools, done := openShop()
	defer done()
	ctx := context.Background()
	plan := must(belay.ParsePlan("refund.yaml", []byte(refundPlan), tools))
	run := must(client.Submit(ctx, plan, belay.Submission{ID: "refund", Input: refundIn{"A-1009", 20}}))
	must(run.Wait(ctx))

	replay := must(run.PlanReplay(ctx, belay.Replaying{From: []string{"refund"}}))
	for _, s := range replay.Steps {
		fmt.Println(s.Step, s.Fate, len(s.Calls), replay.Unconfirmed)
	}
	// Output:
	// refund again 1 [refund]
}

// A run that waits on a plan with a mistake goes on under another one, once it is asked whether what is done fits.
func ExampleRun_Migrate() {
	client, tools, done := openShop()
	defer done()
	ctx := context.Background()
	plan := must(belay.ParsePlan("refund.yaml", []byte(refundPlan), tools))
	run := must(client.Submit(ctx, plan, belay.Submission{ID: "refund", Input: refundIn{"A-1009", 2000}}))
	fmt.Println(must(run.Rest(ctx)).State)

	other := must(belay.ParsePlan("refund.yaml", []byte(cappedPlan), tools))
	proof := must(run.PlanMigration(ctx, belay.Migrating{Plan: other}))
	for _, s := range proof.Steps {
		fmt.Println(s.Step, s.Fate, s.Why)
	}
	next := must(run.Migrate(ctx, belay.Migrating{Plan: other, By: "mia", Reason: "the amount was in cents"}))
	doc := must(run.Wait(ctx)) // for the run that it goes on as
	fmt.Println(next.ID(), doc.ID, doc.State, must(belay.Output[string](doc)))
	// Output:
	// waiting
	// refund next it is held
	// lookup new it is new
	// refund-m1 refund-m1 succeeded 20 EUR refunded
}

const cappedPlan = `
name: refund
input: {order: A-1, amount: 20}
steps:
  - {id: refund, tool: payments.refund, with: {order: "${ input.order }", amount: "${ input.amount / 100 }"}}
  - {id: lookup, tool: orders.lookup, with: {order: "${ input.order }"}}
output: "${ steps.refund.output }"
`

// How it goes, what calls fail with, who waits for a limit, and who has a passkey.
func ExampleClient_HowItGoes() {
	client, _, done := openShop()
	defer done()
	ctx := context.Background()

	how := must(client.HowItGoes(ctx, 24*time.Hour))
	for _, t := range how.Tools {
		fmt.Println(t.Tool, t.Results, t.Failed)
	}
	for c, err := range client.Causes(ctx, belaytype.CauseFilter{New: true}) {
		fmt.Println(c.Tool, c.Class, c.Sample, err)
	}
	for l, err := range client.Limits(ctx) {
		fmt.Println(l.Covers, l.Waiting, err)
	}
	for k, err := range client.Passkeys(ctx) {
		fmt.Println(k.Person, k.Origin, err)
	}
	fmt.Println(how.Window)
	// Output:
	// 24h0m0s
}
