package pagestest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"belay/internal/handoff"
	"belay/internal/runlog"
	"belay/internal/steps"
	"belay/internal/steps/view"
)

// The ids of the escalations that [PutAgents] adds.
const (
	Payout = "01936f26-3a01-7c44-8d11-4e9b20aa71c5-2" // a call that an agent has proposed, held for approval
	Limit  = "01936f25-77f0-7b0a-9b6e-1d02c3e4f5a6-1" // an agent that has had its turns
)

// PutAgents adds an agent whose call is to be approved, with its run, and one that has reached a limit.
func PutAgents(w *World) {
	now := w.Now()
	w.Put(payout(now))
	w.Put(limit(now))
	w.PutRun(supportRun(now))
}

// Agent is an agent that settles a ticket: a call that does not fit, one that came by another rung, one that was rejected, one
// that a person has changed, and a text that must not be taken for anything else.
func Agent(step string) view.Agent {
	call := func(n, tool, args string, state steps.StepState, result string) view.AgentCall {
		return view.AgentCall{Step: step + "~t" + n, Tool: tool, Arguments: raw(args), State: state, Rung: "primary", Result: result, Failed: state == steps.StepFailed, Took: steps.Duration(180 * time.Millisecond)}
	}
	turn := func(n int, number, said string, calls ...view.AgentCall) view.AgentTurn {
		return view.AgentTurn{Step: step + "~t" + number, Number: n, State: steps.StepSucceeded, Rung: "large", Said: said, Calls: calls, Took: steps.Duration(1900 * time.Millisecond), Tokens: 2840, Cost: steps.Dollars(0.0071)}
	}
	decided := func(n string, v steps.Verb, by, why string) []view.Asked {
		return []view.Asked{{ID: n, Kind: steps.KindApproval, State: steps.EscalationDecided, Verb: v, By: by, Reason: why, Approvals: []string{by}}}
	}
	cached := call("1.1", "orders.lookup", `{"order":"A-1009"}`, steps.StepSucceeded, `{"order":"A-1009","paid":true,"total":120.00,"items":[{"sku":"LAMP-BLUE","price":120.00,"name":"Blue lamp with a very long name that nobody reads to its end, because it does not end"}]}`)
	cached.Degraded, cached.Rung = "timeout: no answer within 10s", "cached"
	misfit := call("1.2", "payments.refund", `{"amount":"all of it"}`, steps.StepFailed, "invalid_input: the arguments do not fit: amount: got string, want number")
	rejected := call("2.1", "payments.refund", `{"amount":500,"order":"A-1009"}`, steps.StepFailed, "rejected by bo: that is more than was paid. Do not propose the same again")
	rejected.People = decided("x-1", steps.VerbReject, "bo", "that is more than was paid")
	changed := call("3.1", "messages.send", `{"to":"ann@example.com","text":"We are on it"}`, steps.StepSucceeded, `{"sent":true}`)
	changed.Changed, changed.People = raw(`{"to":"ann@example.com","text":"We are looking into it, dear Ann."}`), decided("x-2", steps.VerbEdit, "mia", "")
	second := turn(2, "2", "The customer wants <b>everything</b> back, see https://evil.example/pay. I refund \u202e005 EUR.", rejected)
	second.Degraded, second.Rung = "rate_limited: 429 from model-a", "small"
	return view.Agent{
		Step: step, Model: "models.support", State: steps.StepRunning, Instructions: "You settle tickets of customers. Refund at most what was paid.",
		Prompt: "Ticket 4711 of ann@example.com:\nThe blue lamp arrived broken. I want my 120 euros back, please.",
		Turns:  []view.AgentTurn{turn(1, "1", "I look the order up, and pay it back.", cached, misfit), second, turn(3, "3", "", changed)},
		Summaries: []view.AgentSummary{
			{Step: step + "~s1", Number: 1, State: steps.StepSucceeded, Rung: "tiny", After: 2, First: 1, Upto: 1, Text: "Order A-1009 is <i>paid</i>, 120.00; see https://evil.example/now.", Read: true, Degraded: "timeout: no answer within 10s", Took: steps.Duration(400 * time.Millisecond), Tokens: 410, Cost: steps.Dollars(0.0002)},
			{Step: step + "~s2", Number: 2, State: steps.StepFailed, Rung: "tiny", After: 3, First: 2, Upto: 2, Class: steps.RateLimited, Message: "429 from model-b"},
		},
		Limits: steps.AgentLimits{Turns: 20, Calls: 40, USD: steps.Dollars(2), Repeats: 3, Refusals: 3},
		Used:   steps.AgentLimits{Turns: 3, Calls: 4, Tokens: 8520, USD: steps.Dollars(0.0213), Refusals: 1},
	}
}

// asking is the agent of [Payout], with all its turns.
func asking() view.Agent {
	a := Agent("resolve")
	a.Turns = append(a.Turns, view.AgentTurn{Step: "resolve~t4", Number: 4, State: steps.StepSucceeded, Rung: "large", Said: "Then I refund what was paid.", Took: steps.Duration(2 * time.Second), Tokens: 3100, Cost: steps.Dollars(0.008),
		Calls: []view.AgentCall{{Step: "resolve~t4.1", Tool: "payments.refund", Arguments: raw(`{"order":"A-1009","amount":120.00}`), State: steps.StepHeld, People: []view.Asked{{ID: Payout, Kind: steps.KindApproval, State: steps.EscalationOpen, Step: "resolve~t4.1"}}}}})
	a.Used.Turns, a.Used.Calls, a.Used.Tokens, a.Used.USD = 4, 5, 11620, steps.Dollars(0.0293)
	return a
}

func payout(now time.Time) handoff.Card {
	a := asking()
	a.Turns, a.Earlier = a.Turns[1:], 1
	run := Payout[:len(Payout)-2]
	d := view.Dossier{
		Escalation: view.Escalation{
			ID: Payout, Kind: steps.KindApproval, Run: run, Workflow: "support", Step: "resolve~t4.1", Tool: "payments.refund",
			Summary: "Refund 120.00 for order A-1009", Message: "payments.refund acts only with a person's approval", Opened: now.Add(-4 * time.Minute),
		},
		Revision: 52, By: "helpdesk", Digest: "sha256:77ab", Input: raw(`{"ticket":4711}`), Agent: &a,
		Plan: []view.PlanLine{{Step: "resolve", Tool: "models.support", State: steps.StepRunning}, {Step: "close", Tool: "tickets.close", State: steps.StepPending}, {Step: "resolve~t1", Tool: "models.support", State: steps.StepSucceeded}, {Step: "resolve~t4.1", Tool: "payments.refund", State: steps.StepHeld}},
		Done: []view.DoneLine{
			{Step: "resolve~t1", Tool: "models.support", Rung: "large", SideEffect: steps.EffectsNone, Key: run + "/resolve~t1/0", Output: raw(`{"text":"I look the order up, and pay it back."}`)},
			{Step: "resolve~t3.1", Tool: "messages.send", Rung: "primary", SideEffect: steps.EffectsUnsafe, Key: run + "/resolve~5bd0.0/1", Output: raw(`{"sent":true}`)},
		},
		Failing:  &view.Failing{Step: "resolve~t4.1", Tool: "payments.refund", Target: "POST https://pay.example.com/refunds", Effects: steps.EffectsUnsafe, Key: run + "/resolve~6a2f.0/0", Params: raw(`{"order":"A-1009","amount":120.00}`)},
		Approval: &view.Approval{Digest: "sha256:1c9e55", Needed: 1},
		Offers: []view.Offer{
			{Verb: steps.VerbApprove, Effect: "runs payments.refund now, once, with exactly these parameters"},
			{Verb: steps.VerbReject, Effect: "not executed; the agent is told so, with your reason, and may not propose exactly this again", NeedsReason: true, Scopes: []steps.DenialScope{steps.ScopeTool, steps.ScopeTarget}},
			{Verb: steps.VerbEdit, Effect: "runs payments.refund with the parameters that you give, under a new idempotency key", Schema: raw(refundSchema)},
			{Verb: steps.VerbAbort, Effect: "ends the run; nothing is undone", Grave: true},
		},
	}
	return card(d, "")
}

// moreSchema is what the agent of [Limit] may be given.
const moreSchema = `{"type":"object","properties":{"turns":{"type":"integer","minimum":0,"default":3,"description":"times that the model is asked"},"calls":{"type":"integer","minimum":0,"default":40,"description":"calls that it proposes"},"usd":{"type":"number","minimum":0,"default":2,"description":"US dollars for the model"},"repeats":{"type":"integer","minimum":0,"default":3,"description":"turns that propose the same"}},"additionalProperties":false}`

func limit(now time.Time) handoff.Card {
	a := Agent("resolve")
	a.State, a.Limits.Turns = steps.StepEscalated, 3
	a.People = []view.Asked{{ID: Limit, Kind: steps.KindLimit, State: steps.EscalationOpen, Step: "resolve"}}
	d := view.Dossier{
		Escalation: view.Escalation{
			ID: Limit, Kind: steps.KindLimit, Run: Limit[:len(Limit)-2], Workflow: "support", Step: "resolve", Tool: "models.support", Class: steps.BudgetExceeded,
			Message: "the agent has had its 3 turns", Opened: now.Add(-2 * time.Minute),
		},
		Revision: 38, By: "helpdesk", Input: raw(`{"ticket":4711}`), Agent: &a,
		Plan:      []view.PlanLine{{Step: "resolve", Tool: "models.support", State: steps.StepEscalated}, {Step: "close", Tool: "tickets.close", State: steps.StepPending}},
		Failing:   &view.Failing{Step: "resolve", Tool: "models.support", Effects: steps.EffectsNone, Params: raw(`null`)},
		LastError: &steps.Fault{Class: steps.BudgetExceeded, Acted: steps.ActedNo, Message: "the agent has had its 3 turns"},
		Offers: []view.Offer{
			{Verb: steps.VerbExtend, Effect: "gives the agent as much again of everything that the plan gives it, or what you say, and it goes on", Schema: raw(moreSchema)},
			{Verb: steps.VerbFinish, Effect: "asks the agent once more, without its tools, to answer with what it knows"},
			{Verb: steps.VerbAnswer, Effect: "what you give becomes resolve's output, marked as yours; the agent is asked no more"},
			{Verb: steps.VerbAbort, Effect: "ends the run; nothing is undone", Grave: true},
		},
	}
	return card(d, "")
}

// supportRun is the run of [Payout].
func supportRun(now time.Time) view.Document {
	start := now.Add(-5 * time.Minute)
	a := asking()
	return view.Document{
		ID: Payout[:len(Payout)-2], Workflow: "support", State: steps.RunWaiting, Labels: map[string]string{}, Started: start, Input: raw(`{"ticket":4711}`), Output: raw(`null`),
		Escalations: []string{Payout}, Agents: []view.Agent{a}, Steps: []view.Step{{ID: "resolve", Tool: "models.support", State: steps.StepRunning}},
		Asked: []view.Asked{{ID: Payout, Kind: steps.KindApproval, State: steps.EscalationOpen, Step: "resolve~t4.1", Opened: now.Add(-4 * time.Minute)}},
	}
}

// Messages returns what was written to agents, in order.
func (w *World) Messages() []steps.Steered {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.messages)
}

// Steer implements [pages.Runs].
func (w *World) Steer(_ context.Context, run string, e steps.Steered) (view.Reply, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := errors.Join(w.broken, w.refusal); err != nil {
		return view.Reply{}, err
	}
	d, ok := w.runs[run]
	i := slices.IndexFunc(d.Agents, func(a view.Agent) bool { return a.Step == e.Step })
	n := slices.IndexFunc(w.messages, func(m steps.Steered) bool { return m.ID == e.ID && m.Step == e.Step })
	no := func(o view.Outcome, text string, why error) (view.Reply, error) {
		return view.Reply{Outcome: o, Text: text}, fmt.Errorf("write to run %s: %w: %s", run, why, text)
	}
	switch {
	case !ok:
		return no(view.OutcomeNoQuestion, "there is no such run", runlog.ErrNoRun)
	case i < 0:
		return no(view.OutcomeNoQuestion, "the run has no step "+e.Step, runlog.ErrNoAgent)
	case n >= 0 && w.messages[n] != e:
		return no(view.OutcomeSameID, "another message has this id; give this one an id of its own", runlog.ErrNoAgent)
	case n >= 0:
		return view.Reply{Outcome: view.OutcomeRepeated, Text: "this message has been written before, and stands once"}, nil
	case d.State.Ended():
		return no(view.OutcomeRunOver, "it is "+string(d.State), runlog.ErrEnded)
	case d.Agents[i].MayNotSteer != "":
		return no(view.OutcomeNotAllowed, d.Agents[i].MayNotSteer, runlog.ErrNoAgent)
	case e.TakeBack > len(d.Agents[i].Turns):
		return no(view.OutcomeNoTurn, fmt.Sprintf("turn %d of %s has not begun: it is at turn %d", e.TakeBack, e.Step, len(d.Agents[i].Turns)), runlog.ErrNoTurn)
	}
	w.messages = append(w.messages, e)
	d.Agents = slices.Clone(d.Agents)
	turns := slices.Clone(d.Agents[i].Turns)
	turns[len(turns)-1].Notes = append(slices.Clone(turns[len(turns)-1].Notes), view.AgentNote{By: e.By, Text: e.Text, TakesBack: e.TakeBack, Unread: true})
	d.Agents[i].Turns = turns
	w.runs[run] = d
	if e.TakeBack > 0 {
		takeBack(turns[e.TakeBack-1:], e, w.Now())
		return view.Reply{Outcome: view.OutcomeCounts, Text: fmt.Sprintf("turns %d to %d of %s are taken back; its model is asked again once all of it is over", e.TakeBack, len(turns), e.Step)}, nil
	}
	return view.Reply{Outcome: view.OutcomeCounts, Text: fmt.Sprintf("%s reads it before its next turn, when its calls are over", e.Step)}, nil
}

// takeBack marks turns as taken back by e: what was done stays done, and what waits for approval is not done.
func takeBack(turns []view.AgentTurn, e steps.Steered, now time.Time) {
	for k := range turns {
		turns[k].Back = &view.TakenBack{By: e.By, Reason: e.Text, At: now}
		turns[k].Calls = slices.Clone(turns[k].Calls)
		for n := range turns[k].Calls {
			c := &turns[k].Calls[n]
			c.Stays = c.State == steps.StepSucceeded && c.Tool != "orders.lookup"
			if c.State == steps.StepHeld {
				c.State, c.Failed, c.People, c.Result = steps.StepFailed, true, nil, "policy_denied: not done: its turn was taken back by "+e.By
			}
		}
	}
}
