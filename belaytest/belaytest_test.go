package belaytest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"belay"
	"belay/belaytest"
	"belay/belaytype"
)

const tools = `
tools:
  orders.lookup:
    effects: none
    rungs:
      - {name: primary, http: {url: "http://shop.invalid/orders/${ params.order }"}, retry: {max_attempts: 3, initial: 30s}}
      - {name: replica, command: {argv: [replica, "${ params.order }"]}}
      - {name: fixed, static: {output: {paid: false}}}
  payments.refund:
    effects: unsafe
    approval: {when: "params.amount > 100", approvers: 1}
    verify: {http: {url: "http://pay.invalid/refunds/${ params.order }"}, happened: output.found}
    rungs:
      - {name: primary, http: {method: POST, url: "http://pay.invalid/refunds"}}
  notes.add:
    effects: idempotent
    rungs:
      - {name: primary, go: {}}
`

const refund = `
name: refund
input: {order: A-1, amount: 20}
steps:
  - {id: lookup, tool: orders.lookup, with: {order: "${ input.order }"}}
  - {id: refund, tool: payments.refund, with: {order: "${ input.order }", amount: "${ input.amount }"}}
output: "${ steps.refund.output }"
`

var errBusy = errors.New("busy")

type paid struct {
	Paid bool `json:"paid"`
}

type refunded struct {
	ID string `json:"id"`
}

// A tool fails twice and is retried; a person approves what is expensive; the payment is made once.
func TestARefundThatNeedsApproval(t *testing.T) {
	t.Parallel()
	b := belaytest.Start(t, belaytest.Options{Text: tools})
	b.Tool("orders.lookup").Fail(belay.TryAgain(errBusy), belay.RetryAfter(60e9, errBusy)).Return(paid{true})
	pay := b.Tool("payments.refund").Return(refunded{"R-1"})

	run := b.RunText(refund, map[string]any{"amount": 120})
	run.Is(belaytype.Waiting)
	if d := run.Asks(); d.Kind != belaytype.KindApproval || d.Tool != "payments.refund" || len(pay.Calls()) != 0 {
		t.Errorf("%s of %s, %d calls", d.Kind, d.Tool, len(pay.Calls()))
	}
	var out refunded
	run.Decide(belaytype.Decision{Verb: belaytype.Approve, By: "mia"}).Is(belaytype.Succeeded).Output(&out)
	if n := len(run.Step("lookup").Attempts); n != 3 || out.ID != "R-1" || len(pay.Calls()) != 1 {
		t.Errorf("%d attempts, %+v, %d payments", n, out, len(pay.Calls()))
	}
}

// The service is down for good, so the replica answers, and the run says so.
func TestAFallbackIsLabelled(t *testing.T) {
	t.Parallel()
	b := belaytest.Start(t, belaytest.Options{Text: tools})
	b.Tool("orders.lookup").Rung("primary").Fail(belaytest.Timeout())
	b.Tool("orders.lookup").Rung("replica").Return(paid{true})
	b.Tool("payments.refund").Return(refunded{"R-2"})
	b.RunText(refund, nil).Is(belaytype.Degraded).DegradedBy("lookup", "replica")
}

// Rungs that act on nothing are the real ones.
func TestFixedValuesNeedNoScript(t *testing.T) {
	t.Parallel()
	b := belaytest.Start(t, belaytest.Options{Text: tools})
	b.Tool("orders.lookup").Fail(belaytype.Fault{Class: belaytype.NotFound, Acted: belaytype.ActedNo, Message: "no such order"})
	b.Tool("payments.refund").Return(refunded{"R-3"})
	run := b.RunText(refund, nil).DegradedBy("lookup", "fixed")
	if c := run.Step("lookup").Attempts[0].Class; c != belaytype.NotFound {
		t.Errorf("class %s", c)
	}
}

// A payment times out: nobody knows, so the probe looks, and finds it.
func TestAnUnknownOutcomeIsVerified(t *testing.T) {
	t.Parallel()
	b := belaytest.Start(t, belaytest.Options{Text: tools})
	b.Tool("orders.lookup").Return(paid{true})
	pay := b.Tool("payments.refund").Rung("primary").Fail(belaytest.Timeout())
	b.Tool("payments.refund").Rung("verify").Return(map[string]any{"found": true, "id": "R-4"})
	b.RunText(refund, nil).Is(belaytype.Succeeded)
	if len(pay.Calls()) != 1 {
		t.Errorf("%d payments", len(pay.Calls()))
	}
}

// The test's person is asked whenever something opens, also by runs that the code under test submits.
func TestThePersonDecidesWhenAsked(t *testing.T) {
	t.Parallel()
	notes := belay.Handle("notes.add", func(_ context.Context, in map[string]any) (any, error) {
		if in["text"] == "" {
			return nil, belay.NeedHuman(errors.New("an empty note"))
		}
		return in["text"], nil
	})
	b := belaytest.Start(t, belaytest.Options{Text: tools, Handlers: []belay.Handler{notes}})
	b.Person(func(d *belaytype.Dossier) *belaytype.Decision {
		if d.Kind != belaytype.KindQuestion {
			return nil
		}
		return &belaytype.Decision{Verb: belaytype.Edit, By: "bo", Params: map[string]any{"text": "better"}}
	})
	plan, err := belay.ParsePlan("note.yaml", []byte("name: note\nsteps: [{id: add, tool: notes.add, with: {text: \"\"}}]\noutput: \"${ steps.add.output }\""), b.Tools)
	if err != nil {
		t.Fatal(err)
	}
	id := codeUnderTest(t, b.Client, plan)
	var out string
	if b.Follow(id).Is(belaytype.Succeeded).Output(&out); out != "better" {
		t.Error(out)
	}
}

func codeUnderTest(t *testing.T, c *belay.Client, p *belay.Plan) string {
	t.Helper()
	run, err := c.Submit(t.Context(), p, belay.Submission{})
	if err != nil {
		t.Fatal(err)
	}
	return run.ID()
}

// failing is a test that notes how it failed.
type failing struct {
	testing.TB
	text     string
	cleanups []func()
}

func (f *failing) Helper()              {}
func (f *failing) Cleanup(clean func()) { f.cleanups = append(f.cleanups, clean) }
func (f *failing) Errorf(format string, args ...any) {
	f.text += fmt.Sprintf(format, args...)
}

func (f *failing) Fatalf(format string, args ...any) {
	f.Errorf(format, args...)
	panic(f)
}

// run is the test that failed; it ends at its first Fatalf.
func (f *failing) run(test func(testing.TB)) (text string) {
	defer func() {
		if p := recover(); p != nil && p != any(f) {
			panic(p)
		}
		for _, clean := range f.cleanups {
			clean()
		}
		text = f.text
	}()
	test(f)
	return f.text
}

// TestWhatGoesWrongIsSaid: a test that does not hold says what the run did.
func TestWhatGoesWrongIsSaid(t *testing.T) {
	t.Parallel()
	for want, test := range map[string]func(b *belaytest.Belay){
		"primary try 2 failed unavailable: busy": func(b *belaytest.Belay) {
			b.Tool("orders.lookup").Rung("primary").Fail(belay.TryAgain(errBusy))
			b.Tool("orders.lookup").Rung("replica").Fail(belay.NeedHuman(errBusy))
			b.RunText(refund, nil).Is(belaytype.Succeeded)
		},
		"the test does not say what it does": func(b *belaytest.Belay) {
			b.Tool("orders.lookup").Return(paid{true})
			b.RunText(refund, nil)
		},
		`no tool "orders.look"`: func(b *belaytest.Belay) { b.Tool("orders.look") },
		"0 questions are open": func(b *belaytest.Belay) {
			b.Tool("notes.add").Do(func(_ context.Context, params json.RawMessage) (any, error) { return params, nil })
			b.RunText("name: note\nsteps: [{id: add, tool: notes.add}]", nil).Asks()
		},
		"is not degraded by": func(b *belaytest.Belay) {
			b.Tool("notes.add").Return(1)
			b.RunText("name: note\nsteps: [{id: add, tool: notes.add}]", nil).DegradedBy("add", "second")
		},
		"unknown tool": func(b *belaytest.Belay) { b.RunText("name: note\nsteps: [{id: add, tool: notes.ad}]", nil) },
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			f := &failing{TB: t}
			text := f.run(func(tb testing.TB) { test(belaytest.Start(tb, belaytest.Options{Text: tools})) })
			if !strings.Contains(text, want) {
				t.Errorf("it says:\n%s", text)
			}
		})
	}
}
