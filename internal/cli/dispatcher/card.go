package dispatcher

import (
	"cmp"
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"belay/internal/dlq"
	"belay/internal/handoff"
	"belay/internal/steps"
	"belay/internal/steps/view"
	"belay/internal/text"
)

func (a *app) showEscalation(ctx context.Context, s *session, id string) error {
	if steps.IsDeadLetter(id) {
		l, err := dlq.New(s.Bus).Get(ctx, id)
		if err != nil {
			return err
		}
		if a.JSON() {
			return a.PrintJSON(l)
		}
		a.printDeadLetter(l)
		return nil
	}
	c, err := s.desk().Card(ctx, id)
	if err != nil {
		return err
	}
	if a.JSON() {
		return a.PrintJSON(c.Document())
	}
	return a.printCard(c)
}

// printDeadLetter shows the record of a message that no program here can read, with its bytes.
func (a *app) printDeadLetter(l dlq.Entry) {
	p := func(format string, args ...any) { fmt.Fprintf(a.Out, format, args...) }
	p("%s  %s, open since %s\n%s\n\n", l.ID, l.Kind, l.Opened.Local().Format("2006-01-02 15:04:05"), text.Line(l.Message))
	if o := l.Origin; o != nil {
		p("subject   %s, sequence %d, %d bytes\n", text.Line(o.Subject), o.Sequence, o.Size)
		for line := range strings.Lines(hex.Dump(o.Raw[:min(len(o.Raw), 256)])) {
			p("          %s", line)
		}
		if len(o.Raw) > 256 {
			p("          ... -o json has %d bytes, in base64\n", len(o.Raw))
		}
	}
	if len(l.Allowed) > 0 {
		p("\ndecide    %s%s %s%s\n", a.Named("dispatcher esc decide "), short(l.ID), example(l.Allowed), a.Flags())
	}
	for _, v := range l.Allowed {
		if does := handoff.DeadLetterEffect(l.Allowed, v); does != "" {
			p("          %-7s %s\n", v, does)
		}
	}
}

// printCard shows an escalation in the order in which a person needs to know.
func (a *app) printCard(c handoff.Card) error {
	d := c.Dossier
	a.printQuestion(d)
	a.printStory(d)
	if d.Agent != nil {
		a.printConversation(d.Agent, a.Named("dispatcher runs show ")+short(d.Run)+a.Flags())
	}
	for _, at := range d.Attempts {
		a.printAttempt(at)
	}
	a.printPeople(c)
	if d.State == steps.EscalationOpen {
		a.printOffers(d)
	}
	return nil
}

// printQuestion says what is asked and until when.
func (a *app) printQuestion(d view.Dossier) {
	p := func(format string, args ...any) { fmt.Fprintf(a.Out, format, args...) }
	p("%s  %s, %s, asked at %s\n", d.ID, d.Kind, d.State, d.Opened.Local().Format("2006-01-02 15:04:05"))
	if d.Summary != "" {
		p("%s\n", text.Line(d.Summary))
	}
	p("%s\n", text.Line(d.Message))
	if d.Deadline != nil && d.State == steps.EscalationOpen {
		p("%s left, then %s\n", left(d.Deadline), d.AfterDeadline())
	}
	p("\n")
}

// printStory says what the run was asked to do, what it has done, and which step the question is about.
func (a *app) printStory(d view.Dossier) {
	p := func(format string, args ...any) { fmt.Fprintf(a.Out, format, args...) }
	p("asked     %s of %s, by %s\n", text.Cut(text.Line(string(d.Input)), 300), d.Workflow, text.Line(cmp.Or(d.By, "unknown")))
	p("run       %s\n", text.Line(d.Submitted))
	if words := d.Spent.Words(); words != "" {
		p("models    %s so far\n", words)
	}
	var plan []string
	for _, l := range d.Plan {
		if !l.OfAgent() {
			plan = append(plan, fmt.Sprintf("%s (%s)", forPeople(l.Step), l.State))
		}
	}
	p("plan      %s\n", strings.Join(plan, " > "))
	for _, l := range d.Done {
		if steps.IsTurn(l.Step) || steps.IsSummary(l.Step) { // the conversation has it
			continue
		}
		p("done      %s by %s, side effect %s, key %s\n          -> %s\n", forPeople(l.Step), l.Tool, l.SideEffect, l.Key, text.Cut(text.Line(string(l.Output)), 300))
	}
	f := d.Failing
	if f == nil {
		return
	}
	what := "failing"
	if d.Kind == steps.KindApproval || d.Kind == steps.KindLimit || d.Question != nil {
		what = "step"
	}
	p("%-9s %s by %s, side effect %s, key %s\n", what, forPeople(f.Step), strings.TrimSuffix(f.Tool+"/"+f.Rung, "/"), f.Effects, f.Key)
	if d.Kind != steps.KindLimit { // an agent itself calls nothing
		p("target    %s\nparams    %s\n", text.Line(f.Target), text.Line(string(f.Params)))
	}
}

// printAttempt says how one attempt went, and which deliveries of it were lost.
func (a *app) printAttempt(at view.Attempt) {
	p := func(format string, args ...any) { fmt.Fprintf(a.Out, format, args...) }
	p("attempt   %d-%s-%d %s", at.Round, at.Rung, at.Try, at.State)
	if at.Wait > 0 {
		p(" after %s", wait(at.Wait))
	}
	switch {
	case at.Reason != "":
		p(": %s (%s): %s", at.Class, at.Reason, text.Line(at.Message))
	case at.Class != "":
		p(": %s: %s", at.Class, text.Line(at.Message))
	case at.State == steps.AttemptReturned:
		p(": %s", text.Line(at.Note))
	}
	p(" (%s, %s", cmp.Or(byName(at.Worker), "no worker"), time.Duration(at.Took).Round(time.Millisecond))
	if said := at.Spent(); said != "" {
		p(", %s", said)
	}
	p(")\n")
	if said := onward(at); said != "" {
		p("          %s\n", text.Line(said))
	}
	if said := at.OnPurpose(); said != "" {
		p("          %s\n", text.Line(said))
	}
	for _, l := range at.Lost {
		p("          %s\n", text.Line(l.Words()))
	}
	for line := range strings.Lines(text.CutMiddle(strings.TrimSpace(at.Detail), 1500)) {
		p("          %s\n", text.Line(strings.TrimSuffix(line, "\n")))
	}
}

// onward says what an attempt goes on with, and what it has left; empty for most.
func onward(at view.Attempt) string {
	var said []string
	if at.Continues != "" {
		said = append(said, "goes on with "+at.Continues)
	}
	if at.Left != "" {
		said = append(said, "left "+at.Left)
	}
	return strings.Join(said, "; ")
}

// printAsked says how what a person is asked is answered.
func (a *app) printAsked(q *view.Question) {
	if q.URL != "" {
		fmt.Fprintf(a.Out, "page      %s\n", text.Line(q.URL))
	}
	switch {
	case len(q.Options) > 0:
		fmt.Fprintf(a.Out, "answers   %s\n", text.Line(strings.Join(q.Options, " | ")))
	case q.Back:
		fmt.Fprintf(a.Out, "answer    JSON, which goes back to the server: %s\n", text.CutMiddle(text.Line(string(q.Schema)), 1500))
	}
}

// printOffers says what the person at this terminal may decide, and what each decision does.
func (a *app) printOffers(d view.Dossier) {
	p := func(format string, args ...any) { fmt.Fprintf(a.Out, format, args...) }
	barred := a.barred(&d)
	if barred != "" {
		d.Allowed = slices.DeleteFunc(slices.Clone(d.Allowed), func(v steps.Verb) bool { return v == steps.VerbApprove })
	}
	p("\ndecide    %s%s %s%s\n", a.Named("dispatcher esc decide "), short(d.ID), example(d.Allowed), a.Flags())
	for _, o := range d.Offers {
		if o.Verb == steps.VerbApprove && barred != "" {
			p("          %-7s not by you: %s\n", o.Verb, text.Line(barred))
			continue
		}
		p("          %-7s %s%s\n", o.Verb, o.Effect, scopes(o, d.Tool))
	}
	if s := d.Suggestion; s != nil {
		p("          suggested: %s, because %s\n", s.Verb, s.Ground)
	}
}

// scopes says what a rejection may cover beside exactly this call.
func scopes(o view.Offer, tool string) (said string) {
	for _, s := range o.Scopes {
		covers := "every other call of " + tool
		if s == steps.ScopeTarget {
			covers += " to the same target"
		}
		said += "; --scope " + string(s) + " covers " + covers
	}
	return said
}

// printPeople shows what people are asked for, and what they have done about it.
func (a *app) printPeople(c handoff.Card) {
	p := func(format string, args ...any) { fmt.Fprintf(a.Out, format, args...) }
	d := c.Dossier
	if d.Question != nil {
		a.printAsked(d.Question)
	}
	if v := d.Approval; v != nil {
		p("approval  of exactly these parameters, digest %.12s; %s\n", v.Digest, text.Line(approvers(v, d.Approved)))
	}
	for _, r := range d.Rejected {
		p("rejected  %s\n", text.Line(r.Text()))
	}
	if c.Item.Claim != nil {
		p("claimed   by %s until %s\n", text.Line(c.Item.Claim.By), c.Item.Claim.Until.Local().Format("15:04:05"))
	}
	if c.Item.Assigned != "" {
		p("assigned  to %s\n", text.Line(c.Item.Assigned))
	}
	for _, l := range c.Trail {
		a.printTrail(l)
	}
	if f := d.Followed; f != nil {
		p("followed  %s%s\n", text.Line(f.Text), next(f.Next))
	}
	if d.Settled != "" {
		p("\n%s\n", text.Line(d.Settled))
	}
}

// next names the escalation that a decision led to.
func next(id string) string {
	if id == "" {
		return ""
	}
	return " (asked as " + short(id) + ")"
}

// printTrail shows one thing that somebody did.
func (a *app) printTrail(l handoff.TrailLine) {
	did := text.Line(l.By) + " " + l.Did()
	if l.To != "" {
		did += " to " + text.Line(l.To)
	}
	if !l.Until.IsZero() {
		did += " until " + l.Until.Local().Format("2006-01-02 15:04:05")
	}
	fmt.Fprintf(a.Out, "trail     %s %s%s\n", l.At.Local().Format("2006-01-02 15:04:05"), did, text.Line(note(l.Reason)))
	if len(l.Detail) > 0 {
		fmt.Fprintf(a.Out, "          %s\n", text.Cut(text.Line(string(l.Detail)), 300))
	}
}

// barred says why the person at this terminal cannot approve; empty if they can, or if only the server knows.
func (a *app) barred(d *view.Dossier) string {
	if a.APIToken != "" {
		return ""
	}
	return d.Bars(me()).Text
}

func approvers(v *view.Approval, so string) string {
	text := "1 person must approve"
	if v.Needed > 1 {
		text = so
	}
	if v.NotSubmitter {
		text += "; not whoever submitted the run"
	}
	if v.Proof == steps.ProofPasskey {
		text += "; with a passkey, on its page in the console"
	}
	if v.Unproven {
		text += ", and nobody checked who that was"
	}
	return text
}
