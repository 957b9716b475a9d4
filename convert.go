package belay

import (
	"encoding/json"
	"fmt"

	"belay/belaytype"
	"belay/internal/runlog"
	"belay/internal/steps"
	"belay/internal/steps/view"
	"belay/internal/yamldoc"
)

// Programs get the types of package belaytype, which have the same fields as internal ones. Only this file converts
// between them, and a test keeps the fields the same.

// each converts a list; nil stays nil.
func each[A, B any](list []A, f func(A) B) []B {
	if list == nil {
		return nil
	}
	out := make([]B, len(list))
	for i := range list {
		out[i] = f(list[i])
	}
	return out
}

// maybe converts a pointer; nil stays nil.
func maybe[A, B any](v *A, f func(A) B) *B {
	if v == nil {
		return nil
	}
	out := f(*v)
	return &out
}

// as converts what is asked for seldom, and is large, by the JSON that both have.
func as[B any](v any) (out B, err error) {
	body, err := json.Marshal(v)
	if err == nil {
		err = json.Unmarshal(body, &out)
	}
	if err != nil {
		return out, fmt.Errorf("%T: %w", out, err)
	}
	return out, nil
}

func document(d view.Document) belaytype.Document {
	return belaytype.Document{
		ID: d.ID, Workflow: d.Workflow, State: belaytype.RunState(d.State), Ending: belaytype.RunState(d.Ending), Reason: d.Reason, Labels: d.Labels,
		RetryOf: d.RetryOf, Replay: maybe(d.Replay, replayOf), Migrates: maybe(d.Migrates, migrationOf), GoesOnAs: d.GoesOnAs, Started: d.Started, Ended: d.Ended, Input: d.Input, Degraded: each(d.Degraded, degraded), Steps: each(d.Steps, step),
		Output: d.Output, Escalations: d.Escalations, Asked: each(d.Asked, question), Stricter: each(d.Stricter, stricter),
		Spent:  maybe(d.Spent, spent),
		Agents: each(d.Agents, agent), ScheduledFor: d.ScheduledFor,
	}
}

func replayOf(r steps.ReplayOf) belaytype.ReplayOf { return belaytype.ReplayOf(r) }

func migrationOf(m steps.MigrationOf) belaytype.MigrationOf {
	return belaytype.MigrationOf{Run: m.Run, Submitters: m.Submitters, Spent: belaytype.Duration(m.Spent), More: belaytype.Duration(m.More), Dropped: m.Dropped}
}

func degraded(d steps.Degraded) belaytype.DegradedStep {
	return belaytype.DegradedStep{Step: d.Step, Rung: d.Rung, Cause: d.Cause, Age: belaytype.Duration(d.Age)}
}

func step(v view.Step) belaytype.Step {
	return belaytype.Step{
		ID: v.ID, Tool: v.Tool, State: belaytype.StepState(v.State), Rung: v.Rung, Round: v.Round, Class: belaytype.Class(v.Class), Message: v.Message,
		AnswerBy: v.AnswerBy, ResultOf: v.ResultOf, TakenOver: v.TakenOver, Held: maybe(v.Held, holdOf), Output: v.Output, Attempts: each(v.Attempts, attempt),
	}
}

func holdOf(h view.Held) belaytype.Held {
	return belaytype.Held{Why: string(h.Why), Gate: h.Gate, Covers: h.Covers, By: h.By, Reason: h.Reason, Since: h.Since, Until: h.Until, From: h.From}
}

func attempt(v view.Attempt) belaytype.Attempt {
	return belaytype.Attempt{
		Round: v.Round, Rung: v.Rung, Try: v.Try, State: belaytype.AttemptState(v.State), Class: belaytype.Class(v.Class), Message: v.Message,
		Detail: v.Detail, Status: v.Status, Worker: v.Worker, Queued: v.Queued, Started: v.Started, Ended: v.Ended, Took: belaytype.Duration(v.Took),
		Wait: belaytype.Duration(v.Wait), Crashes: v.Crashes, Lost: each(v.Lost, lost), Note: v.Note, Continues: v.Continues, Left: v.Left, Injected: v.Injected,
		Reason: belaytype.Reason(v.Reason), Usage: maybe(v.Usage, usage), Cost: belaytype.Money(v.Cost),
	}
}

func agent(a view.Agent) belaytype.Agent {
	return belaytype.Agent{
		Step: a.Step, Model: a.Model, State: belaytype.StepState(a.State), Instructions: a.Instructions, Prompt: a.Prompt, Earlier: a.Earlier,
		Turns: each(a.Turns, agentTurn), Limits: agentLimits(a.Limits), Used: agentLimits(a.Used), Last: a.Last, People: each(a.People, question),
		Summaries: each(a.Summaries, agentSummary),
	}
}

func agentLimits(l steps.AgentLimits) belaytype.AgentLimits {
	return belaytype.AgentLimits{
		Turns: l.Turns, Calls: l.Calls, Tokens: l.Tokens, USD: belaytype.Money(l.USD), Time: belaytype.Duration(l.Time), Repeats: l.Repeats, Refusals: l.Refusals,
	}
}

func agentTurn(t view.AgentTurn) belaytype.AgentTurn {
	return belaytype.AgentTurn{
		Step: t.Step, Number: t.Number, State: belaytype.StepState(t.State), Rung: t.Rung, Said: t.Said, Wrong: t.Wrong, Calls: each(t.Calls, agentCall),
		Notes:    each(t.Notes, func(n view.AgentNote) belaytype.AgentNote { return belaytype.AgentNote(n) }),
		Back:     maybe(t.Back, func(b view.TakenBack) belaytype.TakenBack { return belaytype.TakenBack(b) }),
		Degraded: t.Degraded, AnswerBy: t.AnswerBy, Class: belaytype.Class(t.Class), Message: t.Message, People: each(t.People, question),
		Took: belaytype.Duration(t.Took), Tokens: t.Tokens, Cost: belaytype.Money(t.Cost),
	}
}

func agentSummary(m view.AgentSummary) belaytype.AgentSummary {
	return belaytype.AgentSummary{
		Step: m.Step, Number: m.Number, State: belaytype.StepState(m.State), Rung: m.Rung, After: m.After, First: m.First, Upto: m.Upto, Missing: m.Missing,
		Text: m.Text, Read: m.Read, Degraded: m.Degraded, AnswerBy: m.AnswerBy, Class: belaytype.Class(m.Class), Message: m.Message, People: each(m.People, question),
		Took: belaytype.Duration(m.Took), Tokens: m.Tokens, Cost: belaytype.Money(m.Cost),
	}
}

func agentCall(c view.AgentCall) belaytype.AgentCall {
	return belaytype.AgentCall{
		Step: c.Step, Tool: c.Tool, Arguments: c.Arguments, Changed: c.Changed, State: belaytype.StepState(c.State), Rung: c.Rung, Result: c.Result,
		Failed: c.Failed, Stays: c.Stays, ResultOf: c.ResultOf, Degraded: c.Degraded, AnswerBy: c.AnswerBy, People: each(c.People, question), Took: belaytype.Duration(c.Took),
	}
}

func usage(u steps.Usage) belaytype.Usage { return belaytype.Usage(u) }

func spent(s view.Spent) belaytype.Spent {
	return belaytype.Spent{Input: s.Input, Output: s.Output, Cached: s.Cached, USD: belaytype.Money(s.USD)}
}

func lost(v view.Lost) belaytype.Lost {
	return belaytype.Lost{Worker: v.Worker, Started: v.Started, Found: v.Found}
}

func question(v view.Asked) belaytype.Question {
	return belaytype.Question{
		ID: v.ID, Kind: belaytype.Kind(v.Kind), State: belaytype.EscalationState(v.State), Step: v.Step, Rung: v.Rung, Message: v.Message, Opened: v.Opened,
		Ended: v.Ended, Deadline: v.Deadline, Needed: v.Needed, Approvals: v.Approvals, Verb: belaytype.Verb(v.Verb), By: v.By, Via: v.Via, Reason: v.Reason,
	}
}

func stricter(d steps.PolicyDifference) belaytype.StricterDifference {
	return belaytype.StricterDifference{Tool: d.Tool, Worker: d.Worker, Changes: d.Changes}
}

func verb(v steps.Verb) belaytype.Verb { return belaytype.Verb(v) }

func escalation(v view.Escalation) belaytype.Escalation {
	return belaytype.Escalation{
		ID: v.ID, Kind: belaytype.Kind(v.Kind), State: belaytype.EscalationState(v.State), Run: v.Run, Workflow: v.Workflow, Step: v.Step, Tool: v.Tool,
		Rung: v.Rung, Class: belaytype.Class(v.Class), Message: v.Message, Opened: v.Opened, Deadline: v.Deadline, OnDeadline: belaytype.OnDeadline(v.OnExpiry),
		Target: v.Target, Pattern: v.Pattern, Summary: v.Summary, Allowed: each(v.Allowed, verb), Decision: decided(v.Decision), Needed: v.Needed,
		Approvals: v.Approvals, Approved: v.Approved, Follows: v.Follows, Tier: v.Tier, Facts: each(v.Facts, fact),
	}
}

func fact(f view.Fact) belaytype.Fact { return belaytype.Fact{Name: f.Name, Value: f.Value} }

func decided(d *steps.Decided) *belaytype.Decided {
	return maybe(d, func(d steps.Decided) belaytype.Decided {
		return belaytype.Decided{
			Escalation: d.Escalation, Verb: belaytype.Verb(d.Verb), By: d.By, Via: d.Via, Reason: d.Reason, Scope: string(d.Scope), Params: d.Params, Patch: d.Patch,
			Answer: d.Answer, Reopens: d.Reopens, Grant: maybe(d.Grant, grant), Over: d.Over, Many: d.Many, Unproven: d.Unproven,
		}
	})
}

func grant(g steps.Grant) belaytype.Grant {
	return belaytype.Grant{
		Run: g.Run, Step: g.Step, Round: g.Round, Tool: g.Tool, Digest: g.Digest, Escalation: g.Escalation, By: g.By, CallKey: g.CallKey,
		Nonce: g.Nonce, Issued: g.Issued, Expires: g.Expires, Key: g.Key, Signature: g.Signature,
		Passkey: maybe(g.Passkey, func(a steps.Assertion) belaytype.Assertion { return belaytype.Assertion(a) }),
	}
}

func dossier(d view.Dossier) belaytype.Dossier {
	return belaytype.Dossier{
		Escalation: escalation(d.Escalation), Revision: d.Revision, Input: d.Input, Labels: d.Labels, By: d.By, Plan: each(d.Plan, planLine),
		Done: each(d.Done, doneLine), Failing: maybe(d.Failing, failing), Attempts: each(d.Attempts, attempt), FirstError: maybe(d.FirstError, faultShown),
		LastError: maybe(d.LastError, faultShown), Digest: d.Digest, Approval: maybe(d.Approval, approvalShown), Question: maybe(d.Question, asked), Agent: maybe(d.Agent, agent),
		Rejected: each(d.Rejected, rejection), Offers: each(d.Offers, offer), Settled: d.Settled, Suggestion: maybe(d.Suggestion, suggestion),
		Followed: maybe(d.Followed, aftermath), Submitted: d.Submitted, SubmitterProven: d.SubmitterProven, Spent: maybe(d.Spent, spent),
	}
}

func planLine(l view.PlanLine) belaytype.PlanLine {
	return belaytype.PlanLine{Step: l.Step, Tool: l.Tool, State: belaytype.StepState(l.State)}
}

func doneLine(l view.DoneLine) belaytype.DoneLine {
	return belaytype.DoneLine{
		Step: l.Step, Tool: l.Tool, Output: l.Output, SideEffect: belaytype.Effects(l.SideEffect), Key: l.Key, Rung: l.Rung,
		Degraded: maybe(l.Degraded, degraded), AnswerBy: l.AnswerBy,
	}
}

func failing(f view.Failing) belaytype.Failing {
	return belaytype.Failing{
		Step: f.Step, Tool: f.Tool, Rung: f.Rung, Params: f.Params, Target: f.Target, Effects: belaytype.Effects(f.Effects), Key: f.Key,
	}
}

func faultShown(f steps.Fault) belaytype.Fault {
	return belaytype.Fault{
		Class: belaytype.Class(f.Class), Acted: belaytype.Acted(f.Acted), Message: f.Message, Detail: f.Detail, Status: f.Status,
		RetryAfter: belaytype.Duration(f.RetryAfter), Final: f.Final, Reason: belaytype.Reason(f.Reason), Injected: f.Injected,
	}
}

func approvalShown(a view.Approval) belaytype.Approval {
	return belaytype.Approval{Digest: a.Digest, Needed: a.Needed, Given: a.Given, NotSubmitter: a.NotSubmitter, Proof: string(a.Proof), Unproven: a.Unproven, Refused: a.Refused}
}

func asked(q view.Question) belaytype.AskedQuestion { return belaytype.AskedQuestion(q) }

func rejection(d steps.Denial) belaytype.Rejection {
	return belaytype.Rejection{
		Escalation: d.Escalation, Step: d.Step, By: d.By, Reason: d.Reason, At: d.At, Scope: string(d.Scope), Covers: d.Covers, ReopenedBy: d.ReopenedBy, ReopenedAs: d.ReopenedAs,
	}
}

func scope(s steps.DenialScope) string { return string(s) }

func offer(o view.Offer) belaytype.Offer {
	return belaytype.Offer{Verb: belaytype.Verb(o.Verb), Effect: o.Effect, NeedsReason: o.NeedsReason, Grave: o.Grave, Scopes: each(o.Scopes, scope), Schema: o.Schema}
}

func suggestion(s view.Suggestion) belaytype.Suggestion {
	return belaytype.Suggestion{Verb: belaytype.Verb(s.Verb), Ground: s.Ground}
}

func aftermath(a view.Aftermath) belaytype.Aftermath {
	return belaytype.Aftermath{
		Fate: belaytype.Fate(a.Fate), Text: a.Text, Next: a.Next, Step: a.Step, Message: a.Message, RunState: belaytype.RunState(a.RunState),
	}
}

func summary(s runlog.Summary) belaytype.Summary {
	return belaytype.Summary{
		ID: s.ID, Workflow: s.Workflow, State: belaytype.RunState(s.State), Ending: belaytype.RunState(s.Ending), Labels: s.Labels,
		Started: s.Started, Ended: s.Ended, ScheduledFor: s.ScheduledFor,
	}
}

func internalFilter(f belaytype.Filter) runlog.Filter {
	return runlog.Filter{
		State: steps.RunState(f.State), Workflow: f.Workflow, Since: f.Since, Until: f.Until, Labels: f.Labels, Input: f.Input, Tool: f.Tool, Class: steps.Class(f.Class), Reason: steps.Reason(f.Reason),
		Text: f.Text, Owner: f.Owner, EndedSince: f.EndedSince, EndedUntil: f.EndedUntil, After: f.After, Limit: f.Limit,
	}
}

func problem(p yamldoc.Problem) belaytype.Problem {
	return belaytype.Problem{File: p.File, Line: p.Line, Col: p.Col, Message: p.Message, Hint: p.Hint, Code: p.Code}
}
