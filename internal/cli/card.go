package cli

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
	"belay/internal/runlog"
	"belay/internal/steps"
)

func (a *app) showEscalation(ctx context.Context, s *session, id string) error {
	if _, letter := runlog.LetterRun(id); letter {
		l, err := dlq.New(s.Bus).Get(ctx, id)
		if err != nil {
			return err
		}
		if a.json() {
			return a.printJSON(l)
		}
		a.printLetter(l)
		return nil
	}
	c, err := s.desk().Card(ctx, id)
	if err != nil {
		return err
	}
	if a.json() {
		return a.printJSON(cardDocument{c.Dossier, c.Item.Fingerprint, c.Item.Claim, c.Item.Assigned, c.Item.Snoozed, c.Item.Notes, c.Trail})
	}
	return a.printCard(c)
}

// cardDocument is a dossier with what people did about it, in one flat document.
type cardDocument struct {
	steps.Dossier
	Fingerprint string              `json:"fingerprint"`
	Claim       *handoff.Claim      `json:"claim"`
	Assigned    string              `json:"assigned,omitempty"`
	Snoozed     time.Time           `json:"snoozed_until,omitzero"`
	Notes       []handoff.Note      `json:"notes,omitempty"`
	Trail       []handoff.TrailLine `json:"trail"`
}

// printLetter shows a dead letter: a message that no program here can read, with its bytes.
func (a *app) printLetter(l dlq.Letter) {
	p := func(format string, args ...any) { fmt.Fprintf(a.Out, format, args...) }
	p("%s  %s, open since %s\n%s\n\n", l.ID, l.Kind, l.Opened.Local().Format("2006-01-02 15:04:05"), plain(l.Message))
	if o := l.Origin; o != nil {
		p("subject   %s, sequence %d, %d bytes\n", plain(o.Subject), o.Sequence, o.Size)
		for line := range strings.Lines(hex.Dump(o.Raw[:min(len(o.Raw), 256)])) {
			p("          %s", line)
		}
		if len(o.Raw) > 256 {
			p("          ... -o json has %d bytes, in base64\n", len(o.Raw))
		}
	}
	if len(l.Allowed) > 0 {
		p("\ndecide    %s%s %s%s\n", a.named("dispatcher esc decide "), short(l.ID), example(l.Allowed), a.flags())
	}
	for _, v := range l.Allowed {
		if does := handoff.LetterEffect(l.Allowed, v); does != "" {
			p("          %-7s %s\n", v, does)
		}
	}
}

// printCard shows a card in the order in which a person needs it.
func (a *app) printCard(c handoff.Card) error {
	d := c.Dossier
	a.printQuestion(d)
	a.printStory(d)
	for _, at := range d.Attempts {
		a.printAttempt(at)
	}
	a.printPeople(c)
	if d.State == steps.EscalationOpen {
		a.printOffers(d)
	}
	return nil
}

// printQuestion says what is asked, and until when.
func (a *app) printQuestion(d steps.Dossier) {
	p := func(format string, args ...any) { fmt.Fprintf(a.Out, format, args...) }
	p("%s  %s, %s, asked at %s\n", d.ID, d.Kind, d.State, d.Opened.Local().Format("2006-01-02 15:04:05"))
	if d.Summary != "" {
		p("%s\n", plain(d.Summary))
	}
	p("%s\n", plain(d.Message))
	if d.Deadline != nil && d.State == steps.EscalationOpen {
		p("%s left, then %s\n", left(d.Deadline), expiries[d.OnExpiry])
	}
	p("\n")
}

// printStory says what was asked of the run, what was done, and what is in question.
func (a *app) printStory(d steps.Dossier) {
	p := func(format string, args ...any) { fmt.Fprintf(a.Out, format, args...) }
	p("asked     %s of %s, by %s\n", cut(plain(string(d.Input)), 300), d.Workflow, plain(cmp.Or(d.By, "unknown")))
	p("plan      ")
	for i, l := range d.Plan {
		if i > 0 {
			p(" > ")
		}
		p("%s (%s)", forPeople(l.Step), l.State)
	}
	p("\n")
	for _, l := range d.Done {
		p("done      %s by %s, side effect %s, key %s\n          -> %s\n", forPeople(l.Step), l.Tool, l.SideEffect, l.Key, cut(plain(string(l.Output)), 300))
	}
	f := d.Failing
	if f == nil {
		return
	}
	what := "failing"
	if d.Kind == steps.KindApproval || d.Question != nil {
		what = "step"
	}
	p("%-9s %s by %s, side effect %s, key %s\n", what, forPeople(f.Step), strings.TrimSuffix(f.Tool+"/"+f.Rung, "/"), f.Effects, f.Key)
	p("target    %s\nparams    %s\n", plain(f.Target), plain(string(f.Params)))
}

// printAttempt says how one attempt went, and what was lost under it.
func (a *app) printAttempt(at steps.AttemptView) {
	p := func(format string, args ...any) { fmt.Fprintf(a.Out, format, args...) }
	p("attempt   %d-%s-%d %s", at.Round, at.Rung, at.Try, at.State)
	if at.Wait > 0 {
		p(" after %s", wait(at.Wait))
	}
	switch {
	case at.Class != "":
		p(": %s: %s", at.Class, plain(at.Message))
	case at.State == steps.AttemptReturned:
		p(": %s", plain(at.Note))
	}
	p(" (%s, %s)\n", cmp.Or(byName(at.Worker), "no worker"), time.Duration(at.Took).Round(time.Millisecond))
	for _, l := range at.Lost {
		p("          %s\n", plain(l.Words()))
	}
	for line := range strings.Lines(cutMiddle(strings.TrimSpace(at.Detail), 1500)) {
		p("          %s\n", plain(strings.TrimSuffix(line, "\n")))
	}
}

// printOffers says what may be decided by whoever sits here, and what each decision does.
func (a *app) printOffers(d steps.Dossier) {
	p := func(format string, args ...any) { fmt.Fprintf(a.Out, format, args...) }
	barred := a.barred(&d)
	if barred != "" {
		d.Allowed = slices.DeleteFunc(slices.Clone(d.Allowed), func(v steps.Verb) bool { return v == steps.VerbApprove })
	}
	p("\ndecide    %s%s %s%s\n", a.named("dispatcher esc decide "), short(d.ID), example(d.Allowed), a.flags())
	for _, o := range d.Offers {
		if o.Verb == steps.VerbApprove && barred != "" {
			p("          %-7s not yours: %s\n", o.Verb, plain(barred))
			continue
		}
		p("          %-7s %s\n", o.Verb, o.Effect)
	}
	if s := d.Suggestion; s != nil {
		p("          suggested: %s, because %s\n", s.Verb, s.Ground)
	}
}

// expiries say what happens when nobody decides in time.
var expiries = map[steps.OnExpiry]string{
	steps.ExpiryEscalate: "it is asked again", steps.ExpiryFail: "the step fails, and the run with it",
	steps.ExpiryFallback: "the tool's next harmless rung is tried", steps.ExpiryPark: "it is asked again, without a deadline",
}

// printPeople shows what people are asked for, and what they have done about it.
func (a *app) printPeople(c handoff.Card) {
	p := func(format string, args ...any) { fmt.Fprintf(a.Out, format, args...) }
	d := c.Dossier
	if q := d.Question; q != nil && len(q.Options) > 0 {
		p("answers   %s\n", plain(strings.Join(q.Options, " | ")))
	}
	if v := d.Approval; v != nil {
		p("approval  of exactly these parameters, digest %.12s; %s\n", v.Digest, plain(approvers(v, d.Approved)))
	}
	for _, r := range d.Rejected {
		p("rejected  %s\n", plain(r.Text()))
	}
	if c.Item.Claim != nil {
		p("claimed   by %s until %s\n", plain(c.Item.Claim.By), c.Item.Claim.Until.Local().Format("15:04:05"))
	}
	if c.Item.Assigned != "" {
		p("assigned  to %s\n", plain(c.Item.Assigned))
	}
	for _, l := range c.Trail {
		a.printTrail(l)
	}
	if f := d.Followed; f != nil {
		p("followed  %s%s\n", plain(f.Text), next(f.Next))
	}
	if d.Settled != "" {
		p("\n%s\n", plain(d.Settled))
	}
}

// next names the question that a decision led to.
func next(id string) string {
	if id == "" {
		return ""
	}
	return " (asked as " + short(id) + ")"
}

// printTrail shows one line of who did what.
func (a *app) printTrail(l handoff.TrailLine) {
	text := plain(l.By) + " " + l.Did()
	if l.To != "" {
		text += " to " + plain(l.To)
	}
	if !l.Until.IsZero() {
		text += " until " + l.Until.Local().Format("2006-01-02 15:04:05")
	}
	fmt.Fprintf(a.Out, "trail     %s %s%s\n", l.At.Local().Format("2006-01-02 15:04:05"), text, plain(note(l.Reason)))
	if len(l.Detail) > 0 {
		fmt.Fprintf(a.Out, "          %s\n", cut(plain(string(l.Detail)), 300))
	}
}

// barred says why whoever sits here cannot approve; empty where that is known only to whoever checks their token.
func (a *app) barred(d *steps.Dossier) string {
	if a.apiToken != "" {
		return ""
	}
	return d.Bars(me()).Text
}

func approvers(v *steps.ApprovalView, so string) string {
	text := "1 person must approve"
	if v.Needed > 1 {
		text = so
	}
	if v.NotSubmitter {
		text += "; not whoever submitted the run"
	}
	return text
}
