package pagestest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"belay/internal/bus"
	"belay/internal/handoff"
	"belay/internal/server/pages"
	"belay/internal/steps"
	"belay/internal/steps/view"
)

// The ids of the escalations of [Morning].
const (
	Refund     = "01936f2a-7c1e-7b3a-9d40-5e0192f3a7b1-1" // 120 EUR, held for approval
	Charge     = "01936f29-11aa-7c02-8a77-90cc41d2e8f4-1" // a payment that may or may not have happened
	Invoice    = "01936f28-5b0c-7f11-b2a9-2f6d0e7c55aa-1" // "Which invoice?"
	Shipment   = "01936f27-0d44-7a90-9c3e-7718bb20c9d3-2" // a wrong zip code, after two rungs
	DeadLetter = "01936f20-aa01-7d55-8e1f-c0ffee00d00d-dl7"
)

// Storm returns the id of one of the hundred payments that failed with 503.
func Storm(n int) string { return fmt.Sprintf("01936f2b-%04x-7e21-a5c4-3b9f00d1c%03x-1", 0x1000+n, n) }

// Morning is a world with realistic escalations: an approval, an unknown outcome, a question, a failure of two rungs, a
// hundred alike failures, and a dead letter.
func Morning(now func() time.Time) *World {
	w := Empty(now)
	t := now()
	w.Put(refund(t))
	w.Put(charge(t))
	w.Put(invoice(t))
	w.Put(shipment(t))
	w.Put(deadLetter(t))
	for n := range 100 {
		w.Put(StormCard(n, t.Add(-time.Duration(n)*time.Second)))
	}
	for _, d := range runDocuments(t) {
		w.PutRun(d)
	}
	w.tools, w.workers = served(t), crew(t)
	return w
}

// Empty is a world in which nothing happened.
func Empty(now func() time.Time) *World {
	return &World{Now: now, cards: map[string]handoff.Card{}, runs: map[string]view.Document{}, overruled: map[string][]handoff.TakenOver{}}
}

func raw(s string) json.RawMessage { return json.RawMessage(s) }

func in(t time.Time, d time.Duration) *time.Time {
	at := t.Add(d)
	return &at
}

// card makes the card of a dossier, with its summary in the item.
func card(d view.Dossier, fingerprint string) handoff.Card {
	d.State = steps.EscalationOpen
	for _, o := range d.Offers {
		d.Allowed = append(d.Allowed, o.Verb)
	}
	if d.Failing != nil && d.Facts == nil {
		d.Facts = factsIn(d.Failing.Params)
	}
	if d.Summary == "" {
		d.Summary = summaryIn(d.Facts)
	}
	return handoff.Card{Item: handoff.Item{Escalation: d.Escalation, Fingerprint: fingerprint}, Dossier: d}
}

// factsIn returns the parameters that lists show.
func factsIn(params json.RawMessage) (list []view.Fact) {
	d := json.NewDecoder(bytes.NewReader(params))
	d.UseNumber()
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil
	}
	for d.More() {
		name, _ := d.Token()
		var value any
		if d.Decode(&value) != nil {
			return list
		}
		switch value.(type) {
		case string, json.Number, bool:
			list = append(list, view.Fact{Name: fmt.Sprint(name), Value: fmt.Sprint(value)})
		}
	}
	return list
}

// summaryIn is the summary of a call of a tool without one.
func summaryIn(facts []view.Fact) string {
	parts := make([]string, len(facts))
	for i, f := range facts {
		parts[i] = f.Name + " " + f.Value
	}
	return strings.Join(parts, ", ")
}

const refundSchema = `{"type":"object","required":["order","amount"],"properties":{
	"order":{"type":"string","description":"The order as the shop numbers it."},
	"amount":{"type":"number","maximum":500,"description":"In euros, at most what was paid."},
	"currency":{"enum":["EUR","CHF","USD"]},"notify":{"type":"boolean"},"note":{"type":"string"}}}`

func refund(now time.Time) handoff.Card {
	d := view.Dossier{
		Escalation: view.Escalation{
			ID: Refund, Kind: steps.KindApproval, Run: Refund[:len(Refund)-2], Workflow: "refund", Step: "refund", Tool: "payments.refund", Rung: "primary",
			Summary: "Refund 120.00 EUR for order A-1009", Message: "params.amount > 100: a person approves refunds over 100", Opened: now.Add(-11 * time.Minute), Deadline: in(now, 4*time.Minute+12*time.Second), OnExpiry: steps.ExpiryEscalate,
		},
		Revision: 41, By: "support-bot", Digest: "sha256:9b1c", Labels: map[string]string{"team": "payments", "channel": "mail"},
		Input: raw(`{"order":"A-1009","customer":"ann@example.com","request":"The blue lamp arrived broken. I want my 120 euros back, please."}`),
		Plan: []view.PlanLine{
			{Step: "lookup", Tool: "orders.lookup", State: steps.StepSucceeded}, {Step: "draft_reply", Tool: "model.chat", State: steps.StepSucceeded},
			{Step: "refund", Tool: "payments.refund", State: steps.StepHeld}, {Step: "notify", Tool: "messages.send", State: steps.StepPending},
		},
		Done: []view.DoneLine{
			{Step: "lookup", Tool: "orders.lookup", Rung: "primary", SideEffect: steps.EffectsNone, Key: "01936f2a-7c1e-7b3a-9d40-5e0192f3a7b1/lookup/0", Output: raw(`{"order":"A-1009","paid":true,"total":120.00,"items":[{"sku":"LAMP-BLUE","price":120.00}]}`)},
			{Step: "draft_reply", Tool: "model.chat", Rung: "backup", SideEffect: steps.EffectsNone, Key: "01936f2a-7c1e-7b3a-9d40-5e0192f3a7b1/draft_reply/0", Output: raw(`{"text":"Dear Ann, we are sorry about the lamp. Your 120 euros are on their way."}`), Degraded: &steps.Degraded{Step: "draft_reply", Rung: "backup", Cause: "rate_limited: 429 from model-a"}},
		},
		Failing: &view.Failing{Step: "refund", Tool: "payments.refund", Rung: "primary", Target: "POST https://pay.example.com/refunds", Effects: steps.EffectsUnsafe, Key: "01936f2a-7c1e-7b3a-9d40-5e0192f3a7b1/refund/0",
			Params: raw(`{"order":"A-1009","amount":120.00,"currency":"EUR","notify":true}`)},
		Approval: &view.Approval{Digest: "sha256:4f2ad9c0b7e1558e", Needed: 1, NotSubmitter: true},
		Offers: []view.Offer{
			{Verb: steps.VerbApprove, Effect: "Runs payments.refund now, with exactly these parameters."},
			{Verb: steps.VerbEdit, Effect: "Changes the parameters, which then ask for approval anew.", Schema: raw(refundSchema)},
			{Verb: steps.VerbReject, Effect: "payments.refund does not run; the run goes on with steps.refund.rejection.", NeedsReason: true},
			{Verb: steps.VerbAbort, Effect: "Ends the run. Nothing was done yet that must be undone.", Grave: true},
		},
		Suggestion: &view.Suggestion{Verb: steps.VerbApprove, Ground: "The order is paid and 120.00 is its whole total."},
	}
	c := card(d, "")
	c.Item.Notes = []handoff.Note{{By: "bo", At: now.Add(-6 * time.Minute), Text: "Called Ann: she has sent the photo of the lamp."}}
	return c
}

// Approval is one of many alike approvals: refunds of different amounts to different people.
func Approval(n int, now time.Time) handoff.Card {
	c := refund(now)
	d := c.Dossier
	d.Run = fmt.Sprintf("01936f2c-%04x-7e21-a5c4-3b9f00d1c%03x", 0x2000+n, n)
	d.ID, d.Deadline, d.Facts, d.Allowed = d.Run+"-1", in(now, time.Duration(20+n)*time.Minute), nil, nil
	d.Summary = fmt.Sprintf("Refund %d.00 EUR to customer-%d", 12+n*17, n)
	d.Failing = &view.Failing{Step: "refund", Tool: "payments.refund", Rung: "primary", Target: d.Failing.Target, Effects: steps.EffectsUnsafe, Key: d.Run + "/refund/0",
		Params: raw(fmt.Sprintf(`{"order":"A-1009","amount":%d.00,"currency":"EUR","customer":"customer-%d"}`, 12+n*17, n))}
	return card(d, "approval payments.refund")
}

func charge(now time.Time) handoff.Card {
	fault := &steps.Fault{Class: steps.Unknown, Acted: steps.ActedMaybe, Message: "the connection broke after the request was sent", Detail: "read tcp 10.0.3.7:52114->10.0.9.2:443: read: connection reset by peer"}
	run := Charge[:len(Charge)-2]
	d := view.Dossier{
		Escalation: view.Escalation{
			ID: Charge, Kind: steps.KindUnknown, Run: run, Workflow: "checkout", Step: "charge", Tool: "payments.charge", Rung: "primary", Class: steps.Unknown,
			Message: fault.Message, Opened: now.Add(-26 * time.Minute), Deadline: in(now, 9*time.Minute), OnExpiry: steps.ExpiryPark,
		},
		Revision: 77, By: "shop", Input: raw(`{"order":"A-1043","customer":"C-77","amount":89.90}`), Labels: map[string]string{"team": "payments"},
		Plan: []view.PlanLine{
			{Step: "reserve", Tool: "stock.reserve", State: steps.StepSucceeded}, {Step: "charge", Tool: "payments.charge", State: steps.StepUnknown}, {Step: "ship", Tool: "parcels.ship", State: steps.StepPending},
		},
		Done:       []view.DoneLine{{Step: "reserve", Tool: "stock.reserve", Rung: "primary", SideEffect: steps.EffectsIdempotent, Key: run + "/reserve/0", Output: raw(`{"reservation":"R-5512"}`)}},
		Failing:    &view.Failing{Step: "charge", Tool: "payments.charge", Rung: "primary", Target: "POST https://pay.example.com/charges", Effects: steps.EffectsUnsafe, Key: run + "/charge/0", Params: raw(`{"order":"A-1043","amount":89.90,"card":"tok_9f2"}`)},
		Attempts:   []view.Attempt{{Rung: "primary", Try: 1, State: steps.AttemptUnknown, Class: steps.Unknown, Message: fault.Message, Detail: fault.Detail, Worker: "worker-3", Queued: now.Add(-27 * time.Minute), Took: steps.Duration(2300 * time.Millisecond)}},
		FirstError: fault, LastError: fault,
		Offers: []view.Offer{
			{Verb: steps.VerbVerify, Effect: "Asks the payment service whether it happened, and goes on by its answer."},
			{Verb: steps.VerbAnswer, Effect: "It did happen: what you answer is its output, and the run goes on.", NeedsReason: true, Schema: raw(`{"type":"object","required":["id"],"properties":{"id":{"type":"string","description":"The payment's id, as the payment service shows it."}}}`)},
			{Verb: steps.VerbRetry, Effect: "It did not happen: runs payments.charge again, with the same idempotency key.", Grave: true, NeedsReason: true},
			{Verb: steps.VerbSkip, Effect: "skips charge; ship gets its output as null"},
			{Verb: steps.VerbAbort, Effect: "ends the run and runs 1 compensation", Grave: true},
		},
		Suggestion: &view.Suggestion{Verb: steps.VerbVerify, Ground: "payments.charge has a probe that can tell."},
	}
	c := card(d, "unknown-charge")
	c.Item.Claim = &handoff.Claim{By: "bo", Until: now.Add(7 * time.Minute)}
	c.Trail = []handoff.TrailLine{{At: now.Add(-3 * time.Minute), By: "bo", Via: "cli", Action: "claim"}}
	return c
}

func invoice(now time.Time) handoff.Card {
	d := view.Dossier{
		Escalation: view.Escalation{
			ID: Invoice, Kind: steps.KindQuestion, Run: Invoice[:len(Invoice)-2], Workflow: "dunning", Step: "which", Tool: "ask.accounting", Rung: "human", Class: steps.NeedsHuman,
			Message: "Which invoice is meant? The customer has two open ones over 240.00.", Opened: now.Add(-9 * time.Minute), Deadline: in(now, 65*time.Minute), OnExpiry: steps.ExpiryEscalate,
		},
		Revision: 12, By: "dunning-agent", Input: raw(`{"customer":"C-12","mail":"I have paid your invoice over 240 last week, please check."}`),
		Plan:     []view.PlanLine{{Step: "read", Tool: "mail.read", State: steps.StepSucceeded}, {Step: "which", Tool: "ask.accounting", State: steps.StepEscalated}, {Step: "book", Tool: "ledger.book", State: steps.StepPending}},
		Done:     []view.DoneLine{{Step: "read", Tool: "mail.read", Rung: "primary", SideEffect: steps.EffectsNone, Key: Invoice + "/read/0", Output: raw(`{"amount":240.00,"reference":null}`)}},
		Failing:  &view.Failing{Step: "which", Tool: "ask.accounting", Rung: "human", Effects: steps.EffectsNone, Key: Invoice + "/which/0", Params: raw(`{"customer":"C-12","amount":240.00}`)},
		Question: &view.Question{Text: "Which invoice is meant? The customer has two open ones over 240.00.", Options: []string{"INV-2201 of 3 September", "INV-2265 of 1 October", "None of them"}},
		Offers: []view.Offer{
			{Verb: steps.VerbAnswer, Effect: "The run goes on with your answer."},
			{Verb: steps.VerbSkip, Effect: "skips which; book gets its output as null"},
			{Verb: steps.VerbAbort, Effect: "Ends the run.", Grave: true},
		},
	}
	return card(d, "")
}

func shipment(now time.Time) handoff.Card {
	refused := steps.Fault{Class: steps.InvalidInput, Acted: steps.ActedNo, Status: 422, Message: "POST https://courier.example.com/parcels: 422 Unprocessable Entity", Detail: `{"error":{"code":"invalid","field":"to.zip","message":"zip \"1011\" must have five digits"}}`}
	busy := steps.Fault{Class: steps.Unavailable, Status: 503, Message: "503 from parcels.example.com"}
	run := Shipment[:len(Shipment)-2]
	try := func(rung string, n int, f steps.Fault, tk time.Duration) view.Attempt {
		return view.Attempt{Rung: rung, Try: n, State: steps.AttemptFailed, Class: f.Class, Status: f.Status, Message: f.Message, Detail: f.Detail, Worker: "worker-1", Queued: now.Add(-50 * time.Minute), Took: steps.Duration(tk), Wait: steps.Duration(time.Duration(n-1) * 900 * time.Millisecond)}
	}
	d := view.Dossier{
		Escalation: view.Escalation{
			ID: Shipment, Kind: steps.KindFailure, Run: run, Workflow: "handoff", Step: "ship", Tool: "parcels.ship", Rung: "courier", Class: steps.InvalidInput, Target: "POST https://courier.example.com/parcels",
			Message: refused.Message, Opened: now.Add(-48 * time.Minute),
		},
		Revision: 30, By: "shop", Input: raw(`{"order":"A-1009","zip":"1011"}`),
		Plan: []view.PlanLine{{Step: "lookup", Tool: "orders.lookup", State: steps.StepSucceeded}, {Step: "ship", Tool: "parcels.ship", State: steps.StepEscalated}, {Step: "tell", Tool: "messages.send", State: steps.StepPending}},
		Done: []view.DoneLine{{Step: "lookup", Tool: "orders.lookup", Rung: "primary", SideEffect: steps.EffectsNone, Key: run + "/lookup/0", Output: raw(`{"customer":"ann@example.com"}`)}},
		Failing: &view.Failing{Step: "ship", Tool: "parcels.ship", Rung: "courier", Target: "POST https://courier.example.com/parcels", Effects: steps.EffectsUnsafe, Key: run + "/ship/0",
			Params: raw(`{"order":"A-1009","to":{"name":"Ann Example","street":"Rosenweg 3","zip":"1011","city":"Berlin"},"weight":1.50,"zip":"1011"}`)},
		Attempts:   []view.Attempt{try("primary", 1, busy, 1200*time.Millisecond), try("primary", 2, busy, 900*time.Millisecond), try("primary", 3, busy, 1100*time.Millisecond), try("courier", 1, refused, 210*time.Millisecond)},
		FirstError: &busy, LastError: &refused,
		Offers: []view.Offer{
			{Verb: steps.VerbEdit, Effect: "Runs parcels.ship with your parameters, from the first rung, under a new idempotency key.", Schema: raw(`{"type":"object","required":["order","zip"],"properties":{"order":{"type":"string"},"zip":{"type":"string","pattern":"^[0-9]{5}$","description":"Five digits."},"weight":{"type":"number"}}}`)},
			{Verb: steps.VerbRetry, Effect: "Runs it again with the same parameters, from the first rung."},
			{Verb: steps.VerbAnswer, Effect: "What you answer is its output, and the run goes on.", Schema: raw(`{"type":"object"}`)},
			{Verb: steps.VerbSkip, Effect: "skips ship; tell gets its output as null"},
			{Verb: steps.VerbAbort, Effect: "Ends the run.", Grave: true},
		},
		Suggestion: &view.Suggestion{Verb: steps.VerbEdit, Ground: "422 is permanent: a retry will fail again."},
	}
	return card(d, "ship-invalid")
}

// StormCard is one of the payments that failed with 503.
func StormCard(n int, opened time.Time) handoff.Card {
	f := &steps.Fault{Class: steps.Timeout, Acted: steps.ActedNo, Status: 503, Message: "503 Service Unavailable from pay.example.com, 3 tries"}
	id := Storm(n)
	run := id[:len(id)-2]
	d := view.Dossier{
		Escalation: view.Escalation{
			ID: id, Kind: steps.KindFailure, Run: run, Workflow: "refund", Step: "refund", Tool: "payments.refund", Rung: "primary", Class: steps.Timeout,
			Message: f.Message, Opened: opened.Add(-2 * time.Minute), Deadline: in(opened, 28*time.Minute), OnExpiry: steps.ExpiryEscalate, Target: "POST https://pay.example.com/refunds",
		},
		Revision: uint64(100 + n), By: "support-bot", Input: raw(fmt.Sprintf(`{"order":"A-%d"}`, 2000+n)),
		Plan:      []view.PlanLine{{Step: "refund", Tool: "payments.refund", State: steps.StepEscalated}},
		Failing:   &view.Failing{Step: "refund", Tool: "payments.refund", Rung: "primary", Target: "POST https://pay.example.com/refunds", Effects: steps.EffectsIdempotent, Key: run + "/refund/0", Params: raw(fmt.Sprintf(`{"order":"A-%d","amount":%d.00}`, 2000+n, 20+n))},
		LastError: f, FirstError: f,
		Offers: []view.Offer{
			{Verb: steps.VerbRetry, Effect: "Runs it again with the same parameters, from the first rung."},
			{Verb: steps.VerbSkip, Effect: "skips refund; the run goes on with its output as null"},
			{Verb: steps.VerbAbort, Effect: "Ends the run.", Grave: true},
		},
	}
	return card(d, "payments.refund primary timeout pay.example.com")
}

func deadLetter(now time.Time) handoff.Card {
	f := &steps.Fault{Message: "an outcome of schema version 9; this program reads 1", Detail: "00000000  7b 22 76 22 3a 39 2c 22  6b 69 6e 64 22 3a 22 73  |{\"v\":9,\"kind\":\"s|\n00000010  75 63 63 65 65 64 65 64  22 7d                    |ucceeded\"}|"}
	d := view.Dossier{
		Escalation: view.Escalation{ID: DeadLetter, Kind: steps.KindDeadLetter, Run: DeadLetter[:len(DeadLetter)-4], Workflow: "checkout", Message: f.Message, Opened: now.Add(-3 * time.Hour)},
		Input:      raw(`null`), LastError: f,
		Offers: []view.Offer{
			{Verb: steps.VerbRetry, Effect: "Reads it again, with a version that can."},
			{Verb: steps.VerbSkip, Effect: "Leaves it out of the run's history for good; the run goes on without it.", Grave: true},
		},
	}
	return card(d, "")
}

func runDocuments(now time.Time) []view.Document {
	return []view.Document{shippingRun(now), doneRun(now), brokenRun(now)}
}

func shippingRun(now time.Time) view.Document {
	start := now.Add(-95 * time.Second)
	failed := func(rung string, n int, q, b, e time.Duration, class steps.Class, msg string, status int) view.Attempt {
		return view.Attempt{Rung: rung, Try: n, State: steps.AttemptFailed, Class: class, Message: msg, Status: status, Queued: start.Add(q), Started: in(start, b), Ended: in(start, e), Took: steps.Duration(e - b), Worker: "worker-1"}
	}
	ok := func(rung string, q, b, e time.Duration) view.Attempt {
		return view.Attempt{Rung: rung, Try: 1, State: steps.AttemptSucceeded, Queued: start.Add(q), Started: in(start, b), Ended: in(start, e), Took: steps.Duration(e - b), Worker: "worker-2"}
	}
	const s = time.Second
	return view.Document{
		ID: Shipment[:len(Shipment)-2], Workflow: "handoff", State: steps.RunWaiting, Labels: map[string]string{"team": "logistics"}, Started: start, Input: raw(`{"order":"A-1009","zip":"1011"}`), Output: raw(`null`), Escalations: []string{Shipment},
		Steps: []view.Step{
			{ID: "lookup", Tool: "orders.lookup", State: steps.StepSucceeded, Rung: "primary", Attempts: []view.Attempt{ok("primary", 0, s/10, s/5)}},
			{ID: "recommend", Tool: "recommend", State: steps.StepSucceeded, Rung: "cached", Attempts: []view.Attempt{failed("primary", 1, s/5, s/2, 10*s, steps.Timeout, "no answer within 10s", 0), failed("primary", 2, 10*s, 14*s, 24*s, steps.Timeout, "no answer within 10s", 0), ok("cached", 24*s, 24*s, 24*s+s/20)}},
			{ID: "ship", Tool: "parcels.ship", State: steps.StepEscalated, Rung: "courier", Attempts: []view.Attempt{
				failed("primary", 1, s/5, s, 2200*time.Millisecond, steps.Unavailable, "503 from parcels.example.com", 503), failed("primary", 2, 3*s, 22*s, 23*s, steps.Unavailable, "503 from parcels.example.com", 503),
				failed("primary", 3, 23*s, 60*s, 61*s, steps.Unavailable, "503 from parcels.example.com", 503), failed("courier", 1, 61*s, 62*s, 62*s+s/5, steps.InvalidInput, "422 from courier.example.com: zip must have five digits", 422)}},
			{ID: "tell", Tool: "messages.send", State: steps.StepPending},
		},
		Asked: []view.Asked{
			{ID: Shipment[:len(Shipment)-1] + "1", Kind: steps.KindFailure, State: steps.EscalationExpired, Step: "recommend", Rung: "primary", Opened: start.Add(24 * s), Ended: in(start, 40*s), Deadline: in(start, 40*s)},
			{ID: Shipment, Kind: steps.KindFailure, State: steps.EscalationOpen, Step: "ship", Rung: "courier", Opened: start.Add(62*s + s/5), Deadline: in(start, 50*time.Minute)},
		},
	}
}

func doneRun(now time.Time) view.Document {
	start := now.Add(-2 * time.Hour)
	return view.Document{ID: "01936f10-0000-7000-8000-00000000d0d0", Workflow: "refund", State: steps.RunDegraded, Labels: map[string]string{"team": "payments"}, Started: start, Ended: in(start, 40*time.Minute+2*time.Second),
		Input: raw(`{"order":"A-1001"}`), Output: raw(`{"refund":"RF-88"}`), Degraded: []steps.Degraded{{Step: "recommend", Rung: "cached", Cause: "timeout: no answer within 10s", Age: steps.Duration(3 * time.Hour)}},
		Steps: []view.Step{{ID: "refund", Tool: "payments.refund", State: steps.StepSucceeded, Rung: "primary", Attempts: []view.Attempt{{Rung: "primary", Try: 1, State: steps.AttemptSucceeded, Queued: start.Add(40 * time.Minute), Started: in(start, 40*time.Minute+time.Second), Ended: in(start, 40*time.Minute+2*time.Second), Took: steps.Duration(time.Second)}}}},
		Asked: []view.Asked{{ID: "01936f10-0000-7000-8000-00000000d0d0-1", Kind: steps.KindApproval, State: steps.EscalationDecided, Step: "refund", Opened: start.Add(50 * time.Millisecond), Ended: in(start, 40*time.Minute), Needed: 2, Approvals: []string{"mia", "bo"}, Verb: steps.VerbApprove, By: "bo", Reason: "the lamp is back"}},
	}
}

func brokenRun(now time.Time) view.Document {
	start := now.Add(-5 * time.Hour)
	return view.Document{ID: "01936f01-0000-7000-8000-0000000000fa", Workflow: "checkout", State: steps.RunFailed, Reason: "charge: forbidden: the card was refused", Labels: map[string]string{}, Started: start, Ended: in(start, 400*time.Millisecond), Input: raw(`{}`), Output: raw(`null`),
		Steps: []view.Step{{ID: "charge", Tool: "payments.charge", State: steps.StepFailed, Rung: "primary"}}}
}

func crew(now time.Time) []bus.Worker {
	all := []string{"orders.lookup/primary", "parcels.ship/primary", "parcels.ship/courier", "payments.refund/primary"}
	return []bus.Worker{
		{Name: "pay-1-2211", Host: "pay-1", PID: 2211, Version: "1.4.0", Started: now.Add(-50 * time.Hour), Serves: all, Concurrency: 32, Executing: 8, InHand: 20},
		{Name: "pay-2-907", Host: "pay-2", PID: 907, Version: "1.4.0", Started: now.Add(-50 * time.Hour), Serves: all[3:], Concurrency: 4, Executing: 4, InHand: 12},
		{Name: "pay-3-18", Host: "pay-3", PID: 18, Version: "1.3.2", Started: now.Add(-9 * 24 * time.Hour), Serves: all, Concurrency: 32, Executing: 1, InHand: 1, Draining: true},
	}
}

func served(now time.Time) []pages.ToolHealth {
	return []pages.ToolHealth{
		{Tool: "orders.lookup", Served: true, Rungs: []pages.RungHealth{{Rung: "primary", Waiting: 4, InFlight: 2}}},
		{Tool: "parcels.ship", Served: true, Parked: 1, Rungs: []pages.RungHealth{{Rung: "primary", Waiting: 2}, {Rung: "courier", Waiting: 2}}},
		{Tool: "payments.refund", Served: true, Parked: 101, Rungs: []pages.RungHealth{{Rung: "primary", Waiting: 4, Queued: 12, InFlight: 8, Oldest: now.Add(-40 * time.Second)}}},
		{Tool: "reports.render", Served: false, Rungs: []pages.RungHealth{{Rung: "primary", Queued: 3, Oldest: now.Add(-17 * time.Minute)}, {Rung: "plain"}}},
	}
}
