package belay_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"belay"
	"belay/belaytype"
	"belay/embedded"
)

// must is for examples: whatever goes wrong ends them.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

const shopTools = `
tools:
  orders.lookup:
    effects: none
    rungs:
      - {name: primary, go: {}, retry: {max_attempts: 3, initial: 1ms}}
  payments.refund:
    effects: unsafe
    summary: "Refund ${ params.amount } EUR for ${ params.order }"
    approval: {when: "params.amount > 100"}
    rungs:
      - {name: primary, go: {}}
`

const lookupPlan = `
name: lookup
input: {order: A-1}
steps:
  - {id: lookup, tool: orders.lookup, with: {order: "${ input.order }"}}
output: "${ steps.lookup.output }"
`

const refundPlan = `
name: refund
input: {order: A-1, amount: 20}
steps:
  - {id: refund, tool: payments.refund, with: {order: "${ input.order }", amount: "${ input.amount }"}}
output: "${ steps.refund.output }"
`

type lookupIn struct {
	Order string `json:"order"`
}

type refundIn struct {
	Order  string `json:"order"`
	Amount int    `json:"amount"`
}

// openShop is a whole Belay in this process. Against a server that is there it would be belay.Open.
func openShop() (client *belay.Client, tools *belay.Tools, close func()) {
	dir := must(os.MkdirTemp("", "belay"))
	tools = must(belay.ParseTools("tools.yaml", []byte(shopTools)))
	client = must(embedded.Open(context.Background(), dir, embedded.Options{Tools: tools, Handlers: []belay.Handler{
		belay.Handle("orders.lookup", func(_ context.Context, in lookupIn) (string, error) { return in.Order + " is paid", nil }),
		belay.Handle("payments.refund", func(_ context.Context, in refundIn) (string, error) {
			return fmt.Sprintf("%d EUR refunded", in.Amount), nil
		}),
	}}))
	return client, tools, func() {
		client.Close()
		_ = os.RemoveAll(dir)
	}
}

// A run is submitted and waited for. Submitted once more under the same ID it is the same run.
func ExampleClient_Submit() {
	client, tools, done := openShop()
	defer done()
	ctx := context.Background()
	plan := must(belay.ParsePlan("lookup.yaml", []byte(lookupPlan), tools))

	run := must(client.Submit(ctx, plan, belay.Submission{ID: "lookup-A-1009", Input: lookupIn{"A-1009"}}))
	doc := must(run.Wait(ctx))
	fmt.Println(doc.State, must(belay.Output[string](doc)))

	_, err := client.Submit(ctx, plan, belay.Submission{ID: "lookup-A-1009", Input: lookupIn{"B-7"}})
	fmt.Println(errors.Is(err, belay.ErrConflict))
	// Output:
	// succeeded A-1009 is paid
	// true
}

// Thousands of runs are stored in a few atomic batches. What does not fit is said of each by itself.
func ExampleClient_SubmitMany() {
	client, tools, done := openShop()
	defer done()
	ctx := context.Background()
	plan := must(belay.ParsePlan("lookup.yaml", []byte(lookupPlan), tools))

	all := make([]belay.Submission, 500)
	for i := range all {
		all[i] = belay.Submission{ID: fmt.Sprintf("order-%d", i), Input: lookupIn{fmt.Sprintf("A-%d", i)}}
	}
	all[3].ID = "not a name"
	runs, err := client.SubmitMany(ctx, plan, all)
	if failed, ok := errors.AsType[belay.SubmitErrors](err); ok {
		fmt.Println(len(failed), "failed:", failed[0].Index)
	}
	doc := must(runs[499].Wait(ctx))
	fmt.Println(must(belay.Output[string](doc)))
	// Output:
	// 1 failed: 3
	// A-499 is paid
}

// What happens in a run, from its beginning and then live, until it has ended.
func ExampleRun_Events() {
	client, tools, done := openShop()
	defer done()
	ctx := context.Background()
	plan := must(belay.ParsePlan("refund.yaml", []byte(refundPlan), tools))

	run := must(client.Submit(ctx, plan, belay.Submission{Input: refundIn{"A-1009", 20}, By: "shop"}))
	for e, err := range run.Events(ctx) {
		if err != nil {
			panic(err)
		}
		fmt.Println(e.Type, e.Step, e.State)
	}
	// Output:
	// submitted  running
	// claimed refund running
	// succeeded refund succeeded
	// closed  succeeded
}

// A tool needs approval. Rest comes back when only a person can move the run on, and a person decides what was shown.
func ExampleClient_Decide() {
	client, tools, done := openShop()
	defer done()
	ctx := context.Background()
	plan := must(belay.ParsePlan("refund.yaml", []byte(refundPlan), tools))

	run := must(client.Submit(ctx, plan, belay.Submission{ID: "refund-A-1009", Input: refundIn{"A-1009", 120}}))
	doc := must(run.Rest(ctx))
	question := must(client.Escalation(ctx, doc.Escalations[0]))
	fmt.Println(doc.State, question.Kind, question.Summary)

	approve := belaytype.Decision{Verb: belaytype.Approve, By: "mia", Digest: question.Approval.Digest}
	if err := client.Decide(ctx, question.ID, approve); err != nil {
		panic(err)
	}
	doc = must(run.Wait(ctx))
	fmt.Println(doc.State, must(belay.Output[string](doc)))

	err := client.Decide(ctx, question.ID, belaytype.Decision{Verb: belaytype.Reject, By: "bo", Reason: "too much"})
	if first, ok := errors.AsType[*belay.AlreadyDecided](err); ok {
		fmt.Println("first was", first.Decision.By)
	}
	// Output:
	// waiting approval Refund 120 EUR for A-1009
	// succeeded 120 EUR refunded
	// first was mia
}

// How a handler fails says what happens next.
func ExampleHandle() {
	handler := belay.Handle("orders.lookup", func(ctx context.Context, in lookupIn) (string, error) {
		belay.Progress(ctx, "looking for %s", in.Order)
		switch belay.Info(ctx).Try {
		case 1:
			return "", belay.TryAgain(errors.New("503 of the shop")) // retried as the rung says
		case 2:
			return "", belay.RetryAfter(time.Second, errors.New("429 of the shop")) // retried, not sooner
		case 3:
			return "", belay.Permanent(errors.New("400 of the shop")) // the next rung
		case 4:
			return "", belay.NeedHuman(errors.New("two orders have this number")) // a person
		}
		return in.Order, nil
	})
	for try := range 5 {
		out, err := handler.Call(context.Background(), belay.Call{Attempt: belay.Attempt{Try: try + 1}, Params: []byte(`{"order": "A-1009"}`)})
		fmt.Println(string(out), err)
	}
	// Output:
	//  unavailable: 503 of the shop
	//  rate_limited: 429 of the shop
	//  tool_error: 400 of the shop
	//  needs_human: two orders have this number
	// "A-1009" <nil>
}

// Do retries in this process, without a server: here the shop is down, and the result of the copy is labelled.
func ExampleDo() {
	shop := func(context.Context) (int, error) { return 0, belay.TryAgain(errors.New("503")) }
	saved := func(context.Context) (int, error) { return 42, nil }

	policy := belay.Policy{Timeout: time.Second, Budget: 10 * time.Second, Retry: belay.Retry{MaxAttempts: 2, Initial: time.Millisecond}}
	out, err := belay.Do(context.Background(), policy, belay.Try("shop", shop), belay.Try("copy", saved))
	fmt.Println(out.Value, out.Rung, out.Degraded, out.Cause, len(out.Attempts), err)
	// Output:
	// 42 copy true unavailable: 503 3 <nil>
}

// What may have happened is neither retried nor replaced: somebody has to look.
func ExampleDo_unsafe() {
	pay := belay.Try("pay", func(context.Context) (string, error) { return "", errors.New("connection reset") }).Unsafe()
	other := belay.Try("other bank", func(context.Context) (string, error) { return "paid", nil }).Unsafe()

	_, err := belay.Do(context.Background(), belay.Policy{}, pay, other)
	fmt.Println(errors.Is(err, belay.ErrUnknown))
	fmt.Println(err)
	// Output:
	// true
	// pay failed after 1 try: unknown: connection reset
}

// A list has pages: the newest runs first, filtered by what they were submitted with.
func ExampleClient_ListPage() {
	client, tools, done := openShop()
	defer done()
	ctx := context.Background()
	plan := must(belay.ParsePlan("lookup.yaml", []byte(lookupPlan), tools))
	for i := range 5 {
		run := must(client.Submit(ctx, plan, belay.Submission{
			ID: fmt.Sprintf("lookup-%d", i), Input: lookupIn{fmt.Sprintf("A-%d", i)}, Labels: map[string]string{"team": "support"},
		}))
		must(run.Wait(ctx))
	}

	filter := belaytype.Filter{State: belaytype.Succeeded, Labels: map[string]string{"team": "support"}, Limit: 2}
	for {
		page := must(client.ListPage(ctx, filter))
		for _, r := range page.Items {
			fmt.Print(r.ID, " ")
		}
		fmt.Println("of", page.Total)
		if filter.After = page.Next; page.Next == "" {
			break
		}
	}
	one := must(client.List(ctx, belaytype.Filter{Input: map[string]string{"order": "A-3"}}))
	fmt.Println(one[0].ID)
	// Output:
	// lookup-4 lookup-3 of 5
	// lookup-2 lookup-1 of 5
	// lookup-0 of 5
	// lookup-3
}

// A run that waits for a person is cancelled. It ends once nothing of it is under way, and says why.
func ExampleRun_Cancel() {
	client, tools, done := openShop()
	defer done()
	ctx := context.Background()
	plan := must(belay.ParsePlan("refund.yaml", []byte(refundPlan), tools))

	run := must(client.Submit(ctx, plan, belay.Submission{ID: "refund-7", Input: refundIn{"A-1009", 120}}))
	must(run.Rest(ctx))
	if err := run.Cancel(ctx, "mia", "the customer keeps it"); err != nil {
		panic(err)
	}
	doc, err := run.Wait(ctx)
	if ended, ok := errors.AsType[*belay.Ended](err); ok {
		fmt.Println(doc.State, ended)
	}
	fmt.Println(errors.Is(run.Cancel(ctx, "bo", ""), belay.ErrEnded))
	// Output:
	// cancelled run refund-7 cancelled: cancelled by mia: the customer keeps it
	// true
}

// All mistakes of a plan at once, each with its place and what to do.
func ExampleParsePlan() {
	tools := must(belay.ParseTools("tools.yaml", []byte(shopTools)))
	_, err := belay.ParsePlan("lookup.yaml", []byte("name: lookup\nsteps:\n  - {id: lookup, tool: orders.lokup}\n  - {id: again, tool: orders.lookup, needs: [lokup]}\n"), tools)
	if problems, ok := errors.AsType[belay.Problems](err); ok {
		for _, p := range problems {
			fmt.Printf("%s:%d:%d: %s (%s)\n", p.File, p.Line, p.Col, p.Message, p.Hint)
		}
	}
	// Output:
	// lookup.yaml:3:24: unknown tool "orders.lokup": it is not in tools.yaml (did you mean "orders.lookup"?)
	// lookup.yaml:4:46: unknown step "lokup" (did you mean "lookup"?)
}

// A warning of `dispatcher prove` is an error for a program that wants it so, until the plan waives it.
func ExamplePlan_Strict() {
	tools := must(belay.ParseTools("tools.yaml", []byte("tools: {mail.send: {approval: {deadline: 1h, on_deadline: fail}, rungs: [{go: {}}]}}")))
	const text = "name: mail\nsteps: [{id: send, tool: mail.send}]\n"
	plan := must(belay.ParsePlan("mail.yaml", []byte(text), tools))
	if problems, ok := errors.AsType[belay.Problems](plan.Strict()); ok {
		fmt.Println(problems[0].Line, problems[0].Message)
	}
	plan = must(belay.ParsePlan("mail.yaml", []byte(text+"waivers: [{code: BLY015, reason: two mails do no harm, until: 9999-12-30}]\n"), tools))
	fmt.Println(plan.Strict())
	// Output:
	// 1 BLY015: mail.send is unsafe (effects are unsafe unless the tools file says otherwise) and has no probe: what a call did that was cut off only a person can say
	// <nil>
}

// What only a person can decide is an error with all that was tried, and nothing goes on by itself.
func ExampleDo_person() {
	shop := belay.Try("shop", func(context.Context) (int, error) {
		return 0, belay.NeedHuman(errors.New("two orders have this number"))
	})
	_, err := belay.Do(context.Background(), belay.Policy{Timeout: time.Second}, shop)
	if person, ok := errors.AsType[*belay.NeedHumanError](err); ok {
		fmt.Println("ask somebody:", person)
	}
	// Output:
	// ask somebody: a person is needed: shop failed after 1 try: needs_human: two orders have this number
}
