package pages

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"time"

	"belay/internal/handoff"
	"belay/internal/people"
	"belay/internal/steps"
	"belay/internal/steps/view"
)

func (c *Console) card(w http.ResponseWriter, r *http.Request) {
	card, err := c.o.Desk.Card(r.Context(), r.PathValue("id"))
	if err != nil {
		c.fail(w, r, err)
		return
	}
	p := c.o.Who(r)
	v := makeCard(card, p, c.o.Now())
	v.Runbook = c.o.Runbook.of(card.Dossier.Escalation)
	if v.Open {
		v.Why = whyOf(c.why(r, card.Dossier.Run))
	}
	v.Said = c.readSaid(w, r, v.Path)
	if v.Said != nil && v.Decided != nil && steps.SamePerson(v.Decided.By, p.Name) {
		v.Decided = nil // Said says it already
	}
	news := url.Values{"page": {"card"}, "id": {v.ID}, "mark": {markOf(card)}}
	c.show(w, r, http.StatusOK, "card", page{Title: v.Short + " " + cmp.Or(v.Summary, what(card.Dossier.Escalation)), News: "/news?" + news.Encode(), Body: v})
}

// markOf changes whenever somebody did something about a card.
func markOf(card handoff.Card) string {
	it, given := card.Item, 0
	if card.Dossier.Approval != nil {
		given = len(card.Dossier.Approval.Given)
	}
	by := ""
	if it.Claim != nil {
		by = it.Claim.By
	}
	return fmt.Sprint(card.Dossier.Revision, card.Dossier.State, by, it.Assigned, it.Snoozed.Unix(), len(it.Notes), len(card.Trail), given)
}

func makeCard(card handoff.Card, p people.Actor, now time.Time) cardView {
	d, it, in := card.Dossier, card.Item, newRoom()
	attempts, earlier := lastOf(d.Attempts)
	done, before := lastOf(withoutTurns(d.Done))
	acts, older := lastOf(card.Trail)
	v := cardView{
		head: headOf(d.Escalation, now), Open: d.State == steps.EscalationOpen, Sentence: in.said(sentence(d)), Message: in.said(messageOf(d)),
		People: peopleOf(&it, p, now), Workflow: d.Workflow, RunPath: runPath(d.Run), RunShort: tail(d.Run), Submitted: cmp.Or(d.Submitted, "by "+cmp.Or(d.By, "unknown")), Spent: d.Spent.Words(),
		Labels: labels(d.Labels), Plan: planOf(d), Question: d.Question,
		Hidden:  hidden{Attempts: earlier, Done: before, Acts: older},
		Similar: len(card.Similar), Alike: "/?group=" + url.QueryEscape(it.Fingerprint), Redrives: alikeKind(d.Kind),
	}
	v.Page = pageOf(d.Question)
	v.Subject, v.Fault = subject(d, in) // first, while there is room: people decide about it
	v.Summary, v.Clue = summaryOf(d.Escalation), clueOf(d)
	v.dropRepeats()
	v.Agent = in.agent(d.Agent, d.Step, v.RunPath)
	v.Input = in.shown(d.Input, valuePath(v.Path, "input"))
	v.History = in.history(attempts)
	v.Approval = approval(d)
	for _, r := range d.Rejected {
		v.Rejected = append(v.Rejected, r.Text())
	}
	v.Decided, v.Followed = decided(d, in), followed(d)
	if v.Open {
		v.Decisions = decide(d, p)
		v.Acts = actsOf(v, p)
	}
	for _, l := range done {
		v.Done = append(v.Done, in.done(l, v.RunPath))
	}
	for _, l := range acts {
		v.Trail = append(v.Trail, trailView{at(l.At, now), l.By, l.Via, l.Did(), l.To, at(l.Until, now), in.said(l.Reason), in.shown(l.Detail, "")})
	}
	return v
}

// pageOf is the page on which a server wants its question answered, if it is one of the web.
func pageOf(q *view.Question) string {
	if q == nil {
		return ""
	}
	u, err := url.Parse(q.URL)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return ""
	}
	return q.URL
}

// dropRepeats removes from the details what the head of the card says already.
func (v *cardView) dropRepeats() {
	if v.Subject != nil && v.Subject.Fault != nil && v.Subject.Fault.Message == v.Message {
		v.Subject.Fault.Message = ""
	}
	if v.Fault != nil && v.Fault.Message == v.Message {
		v.Fault.Message = ""
	}
}

// messageOf is the fault's message, unless the sentence of the card has it already.
func messageOf(d view.Dossier) string {
	switch d.Kind {
	case steps.KindQuestion:
		return ""
	case steps.KindLimit:
		_, detail := limitReached(d)
		return detail
	}
	return d.Message
}

// withoutTurns leaves out what models said: the conversation of their agent has it.
func withoutTurns(list []view.DoneLine) []view.DoneLine {
	return slices.DeleteFunc(slices.Clone(list), func(l view.DoneLine) bool { return steps.IsTurn(l.Step) || steps.IsSummary(l.Step) })
}

// clueOf is what the other side said about a call that it refused.
func clueOf(d view.Dossier) string {
	if d.LastError == nil || d.Kind == steps.KindApproval || d.Kind == steps.KindQuestion || d.Kind == steps.KindLimit || d.Kind == steps.KindDeadLetter {
		return ""
	}
	if f := d.LastError; f.Status == 0 && (f.Class == steps.Unknown || f.Class == steps.Connection || f.Class == steps.Timeout || f.Class == steps.Crashed) {
		return "" // there was no answer
	}
	return clue(d.LastError.Message, d.LastError.Detail)
}

func peopleOf(it *handoff.Item, p people.Actor, now time.Time) peopleView {
	v := peopleView{Holder: holder(it, now), Assigned: it.Assigned}
	if v.Holder != "" {
		v.Mine, v.Until, v.Left = steps.SamePerson(v.Holder, p.Name), at(it.Claim.Until, now), span(it.Claim.Until.Sub(now))
	}
	if it.Snoozed.After(now) {
		v.Snoozed = at(it.Snoozed, now)
	}
	return v
}

func labels(m map[string]string) []row {
	var list []row
	for _, k := range slices.Sorted(maps.Keys(m)) {
		list = append(list, row{Name: k, Text: m[k]})
	}
	return list
}

func planOf(d view.Dossier) []planStep {
	var list []planStep
	here := d.Step
	if d.Agent != nil {
		here = d.Agent.Step
	}
	plan := slices.DeleteFunc(slices.Clone(d.Plan), view.PlanLine.OfAgent)
	for _, l := range around(plan, here) {
		list = append(list, planStep{l.Step, l.Tool, l.State, stepMark(l.State), l.Step == here})
	}
	return list
}

// around returns the steps of a plan that a page has room for: those around the one in question.
func around(plan []view.PlanLine, step string) []view.PlanLine {
	here := slices.IndexFunc(plan, func(l view.PlanLine) bool { return l.Step == step })
	first := max(0, min(here-maxLines/2, len(plan)-maxLines))
	return plan[first:min(first+maxLines, len(plan))]
}

// stepMark is the sign before a step; its state is written out beside it for screen readers.
func stepMark(s steps.StepState) string {
	switch s {
	case steps.StepSucceeded:
		return "✓"
	case steps.StepSkipped:
		return "–"
	case steps.StepFailed, steps.StepCancelled:
		return "✗"
	case steps.StepHeld, steps.StepEscalated, steps.StepUnknown:
		return "!"
	case steps.StepQueued, steps.StepRunning, steps.StepRetrying:
		return "↻"
	}
	return "○"
}

func (r *room) done(l view.DoneLine, run string) doneView {
	v := doneView{Step: l.Step, Tool: l.Tool, Rung: l.Rung, Effect: l.SideEffect, Key: l.Key, Output: r.shown(l.Output, outputPath(run, l.Step)), AnswerBy: l.AnswerBy}
	if l.Degraded != nil {
		v.Degraded = r.said(l.Degraded.Cause)
		if l.Degraded.Age > 0 {
			v.Degraded += ", " + span(time.Duration(l.Degraded.Age)) + " old"
		}
	}
	return v
}

// subject is the step that an escalation is about; for one about the whole run there is only its fault.
func subject(d view.Dossier, in *room) (*subjectView, *faultView) {
	if d.Kind == steps.KindLimit {
		return nil, nil // the agent itself calls nothing
	}
	fault := in.fault(d.LastError)
	if d.Failing == nil {
		return nil, fault
	}
	v := &subjectView{Failing: *d.Failing, Shown: in.shown(d.Failing.Params, valuePath(cardPath(d.ID), "params"))}
	if d.Kind != steps.KindApproval && d.Kind != steps.KindQuestion {
		v.Class, v.Hint, v.Fault = string(d.Class), hint(d.Class, reasonOf(d.LastError)), fault
	}
	return v, nil
}

func reasonOf(f *steps.Fault) steps.Reason {
	if f == nil {
		return ""
	}
	return f.Reason
}

func (r *room) fault(f *steps.Fault) *faultView {
	if f == nil {
		return nil
	}
	return &faultView{string(f.Class), f.Status, r.said(f.Message), r.said(f.Detail), hint(f.Class, f.Reason)}
}

func approval(d view.Dossier) *approvalView {
	a := d.Approval
	if a == nil {
		return nil
	}
	return &approvalView{a.Digest, a.Needed, d.Approved, a.NotSubmitter, a.Unproven, a.Proof == steps.ProofPasskey}
}

func decided(d view.Dossier, in *room) *decidedView {
	if d.State == steps.EscalationOpen {
		return nil
	}
	if d.State == steps.EscalationExpired {
		return &decidedView{Verb: "Nobody decided in time."}
	}
	if d.Decision == nil {
		return &decidedView{Verb: spoken(cmp.Or(d.Settled, "events answered it before anybody decided"))}
	}
	return &decidedView{By: cmp.Or(d.Decision.By, "somebody"), Verb: string(d.Decision.Verb), Reason: d.Decision.Reason,
		Answer: in.shown(d.Decision.Answer, valuePath(cardPath(d.ID), "answer")), Params: in.shown(d.Decision.Params, valuePath(cardPath(d.ID), "edit"))}
}

func followed(d view.Dossier) *followedView {
	f := d.Followed
	if f == nil {
		return nil
	}
	v := &followedView{Text: f.Text, Path: runPath(d.Run), Bad: f.Fate.Bad()}
	if f.Next != "" {
		v.Path = cardPath(f.Next)
	}
	return v
}
