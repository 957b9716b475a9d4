package steps

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

// addAdvice says what may be decided, what each decision does, and what speaks for one of them.
func (d *Dossier) addAdvice(s *State, e *Escalation) {
	d.Offers = []Offer{}
	for _, v := range e.Allowed {
		d.Offers = append(d.Offers, s.offer(e, v))
	}
	if e.State == EscalationOpen {
		d.Suggestion = s.suggest(e)
	}
	if e.Kind == KindApproval {
		d.Approval = &ApprovalView{Digest: e.Digest, Needed: e.Needed, Given: e.givenBy(), NotSubmitter: s.Tool(e.Unit).Approval.NotSubmitter}
	}
	if q := e.Question; q != nil {
		d.Question = &QuestionView{Text: q.Text, Options: q.Options, Schema: q.Schema}
	}
}

// offer is one decision about e.
func (s *State) offer(e *Escalation, v Verb) Offer {
	o := Offer{Verb: v, NeedsReason: v == VerbReject, Grave: v == VerbAbort}
	if e.Unit == RunUnit {
		o.Effect = runEffects[v]
		return o
	}
	o.Effect = s.effectOf(e, v)
	if den, _ := Reopens(s, s.FindEscalation(e.ID), Decided{Verb: v}); den != nil && v == VerbRetry {
		o.NeedsReason = true
		o.Effect = "reopens what " + den.By + " rejected" + because(den.Reason) + "; then it " + o.Effect
	}
	o.Grave = o.Grave || v == VerbRetry && e.Kind == KindUnknown
	switch {
	case v == VerbEdit:
		o.Schema = s.Tool(e.Unit).InputSchema
	case v == VerbAnswer && e.Question != nil:
		o.Schema = e.Question.Schema
	case v == VerbAnswer:
		o.Schema = s.Tool(e.Unit).OutputSchema
	}
	return o
}

var runEffects = map[Verb]string{
	VerbRetry:  "the run gets its time again and goes on",
	VerbAnswer: "what you give becomes the run's output",
	VerbSkip:   "noted; the run goes on",
	VerbAbort:  "ends the run; what was done is undone where the plan says how",
}

// effectOf says in words what a decision about a unit does.
func (s *State) effectOf(e *Escalation, v Verb) string {
	t, u := s.Tool(e.Unit), &s.Units[e.Unit]
	switch v {
	case VerbApprove:
		if more := e.Needed - len(e.Approvals) - 1; more > 0 {
			return fmt.Sprintf("counts as one of %d approvals; %d more must approve before %s runs", e.Needed, more, t.Name)
		}
		return "runs " + t.Name + " now, once, with exactly these parameters"
	case VerbReject:
		return s.effectOfReject(e.Unit)
	case VerbRetry:
		return s.effectOfRetry(e, u, t)
	case VerbEdit:
		return "runs " + t.Name + " with the parameters that you give, under a new idempotency key" + s.thenApproval(t)
	case VerbAnswer:
		return s.effectOfAnswer(e, u)
	case VerbSkip:
		return u.ID + " is marked skipped; " + s.dependents(e.Unit) + " its output as null"
	case VerbVerify:
		return "looks with the tool's probe whether it has happened; nothing is repeated"
	case VerbAbort:
		return s.effectOfAbort(u)
	}
	return ""
}

func (s *State) thenApproval(t *Tool) string {
	if t.Approval == nil {
		return ""
	}
	return "; that is an approval, or asks for one where you may not approve"
}

func (s *State) effectOfReject(i int) string {
	switch on := s.onReject(i); {
	case on == RejectSkip:
		return s.Units[i].ID + " is left out; the plan goes on and can read your reason"
	case on == RejectFallback:
		return "not executed; the tool's next harmless rung gives the result, labelled with your reason"
	case s.Units[i].kind == undo:
		return "not executed; " + s.Units[i].ID + " stays undone"
	}
	return "not executed; the run fails with your reason, and what was done is undone where the plan says how"
}

func (s *State) effectOfRetry(e *Escalation, u *Unit, t *Tool) string {
	if u.Params == nil {
		return "evaluates " + u.ID + "'s expressions again and goes on"
	}
	text := "runs " + t.Name + " again from its first rung, same parameters, same idempotency key"
	if e.Kind == KindUnknown {
		text = "says that it did not happen: " + text + ". If it did happen, it happens twice"
	}
	return text + s.thenApproval(t)
}

func (s *State) effectOfAnswer(e *Escalation, u *Unit) string {
	if e.Kind == KindUnknown {
		return "says that it happened: what you give becomes " + u.ID + "'s output; nothing is executed"
	}
	return "what you give becomes " + u.ID + "'s output, marked as yours; nothing is executed"
}

func (s *State) dependents(i int) string {
	var names []string
	if s.Units[i].kind == planStep {
		for _, j := range s.Program.Nodes[s.Units[i].Node].Dependents {
			names = append(names, s.Units[j].ID)
		}
	}
	switch len(names) {
	case 0:
		return "the run goes on with"
	case 1:
		return names[0] + " gets"
	}
	return strings.Join(names, ", ") + " get"
}

func (s *State) effectOfAbort(u *Unit) string {
	if u.kind == undo {
		return "leaves this and all further compensations undone; the run ends"
	}
	n := 0
	for _, i := range s.completed {
		if s.Program.Nodes[s.Units[i].Node].CompensateTool != nil {
			n++
		}
	}
	switch n {
	case 0:
		return "ends the run; nothing is undone"
	case 1:
		return "ends the run and runs 1 compensation"
	}
	return fmt.Sprintf("ends the run and runs %d compensations", n)
}

// suggest is what speaks for one decision, where something does.
func (s *State) suggest(e *Escalation) *Suggestion {
	if e.Unit == RunUnit || e.Kind == KindApproval || e.Question != nil {
		return nil // that is what a person is for
	}
	t := s.Tool(e.Unit)
	switch {
	case e.Kind == KindUnknown && t.Verify != nil:
		return &Suggestion{VerbVerify, "the tool has a probe that looks whether it has happened"}
	case e.Kind == KindUnknown:
		return nil
	}
	switch e.Fault.Class {
	case NoWorker:
		return &Suggestion{VerbRetry, "start a worker that serves " + t.Name + ", then retry: nothing was executed"}
	case Timeout, Unavailable, Connection, RateLimited:
		return &Suggestion{VerbRetry, "the other side did not serve; the same call may work once it does"}
	case Unauthorized, Forbidden:
		return &Suggestion{VerbRetry, "mend the worker's credentials for " + t.Name + " first; the same call then works"}
	case InvalidInput, NotFound, Conflict:
		return &Suggestion{VerbEdit, "the other side refused these parameters (" + string(e.Fault.Class) + "): the same call would be refused again"}
	case BadExpression:
		return &Suggestion{VerbAnswer, "the plan's expression fails on this data and would fail again"}
	}
	return nil
}

// Fingerprint says what a question is about beside the run it is in: tool, rung, class and target, whatever the
// parameters put into that. Questions with the same one are alike, and people are told of them together.
func (v EscalationView) Fingerprint() string {
	target := v.Target
	if v.Pattern != "" {
		target = v.Pattern
	}
	sum := sha256.Sum256([]byte(strings.Join([]string{string(v.Kind), v.Tool, v.Rung, string(v.Class), target}, "\x00")))
	return hex.EncodeToString(sum[:6])
}
