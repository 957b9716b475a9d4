package view

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"

	"belay/internal/steps"
)

// addAdvice adds what may be decided, what each decision does, and which one the core would take.
func (d *Dossier) addAdvice(s run, e *steps.Escalation) {
	d.Offers = []Offer{}
	for _, v := range e.Allowed {
		d.Offers = append(d.Offers, s.offer(e, v))
	}
	if e.State == steps.EscalationOpen {
		d.Suggestion = s.suggest(e)
	}
	if e.Kind == steps.KindApproval {
		d.Approval = &Approval{Digest: e.Digest, Needed: e.Needed, Given: e.ApprovedBy(), NotSubmitter: s.Tool(e.Unit).Approval.NotSubmitter, Proof: s.Tool(e.Unit).Approval.Proof, exact: s.Epoch() < 2}
	}
	if q := e.Question; q != nil {
		d.Question = &Question{Text: q.Text, Options: q.Options, Schema: q.Schema, URL: q.URL, Back: e.Resume != nil}
	}
}

// offer is one decision about e.
func (s run) offer(e *steps.Escalation, v steps.Verb) Offer {
	o := Offer{Verb: v, NeedsReason: v == steps.VerbReject, Grave: v == steps.VerbAbort}
	if e.Unit == steps.RunUnit {
		if o.Effect = runEffects[v]; e.AboutDamage() && v == steps.VerbRetry {
			o.Effect = goesOnDamaged
		}
		return o
	}
	o.Effect = s.effectOf(e, v)
	if den, _ := steps.Reopens(s.State, s.FindEscalation(e.ID), steps.Decided{Verb: v}); den != nil && v == steps.VerbRetry {
		o.NeedsReason = true
		o.Effect = "reopens what " + den.By + " rejected" + because(den.Reason) + "; then it " + o.Effect
	}
	o.Grave = o.Grave || v == steps.VerbRetry && e.Kind == steps.KindUnknown
	switch {
	case v == steps.VerbReject:
		o.Scopes = s.Scopes(e)
	case v == steps.VerbExtend:
		o.Schema = moreSchema(s.Program.Nodes[s.Units[e.Unit].Node].Agent.Limits)
	case v == steps.VerbEdit:
		o.Schema = s.Tool(e.Unit).InputSchema
	case v == steps.VerbAnswer && e.Question != nil:
		o.Schema = e.Question.Schema
	case v == steps.VerbAnswer && e.Kind == steps.KindLimit:
		o.Schema = s.Program.Nodes[s.Units[e.Unit].Node].Agent.OutputSchema
	case v == steps.VerbAnswer:
		o.Schema = s.Tool(e.Unit).OutputSchema
	}
	return o
}

// moreSchema is the schema of what an agent may be given in addition, with as much as the plan gives it as defaults.
func moreSchema(l steps.AgentLimits) json.RawMessage {
	list := []any{}
	add := func(has bool, name, kind, text string, planned any) {
		if has {
			list = append(list, name, map[string]any{"type": kind, "minimum": 0, "default": planned, "description": text})
		}
	}
	add(true, "turns", "integer", "times that the model is asked", l.Turns)
	add(true, "calls", "integer", "calls that it proposes", l.Calls)
	add(l.Tokens > 0, "tokens", "integer", "read and written by the model", l.Tokens)
	add(l.USD > 0, "usd", "number", "US dollars for the model", l.USD)
	add(l.Time > 0, "time", "number", "seconds", l.Time)
	add(true, "repeats", "integer", "turns that propose the same", l.Repeats)
	add(l.Refusals > 0, "refusals", "integer", "calls in a row that people reject", l.Refusals)
	return objectSchema(list)
}

// objectSchema is the schema of an object with these properties, name and schema in turn, which keep their order.
func objectSchema(list []any) json.RawMessage {
	var b bytes.Buffer
	for i := 0; i < len(list); i += 2 {
		property, err := json.Marshal(list[i+1])
		if err != nil {
			panic("steps: a schema cannot be written as JSON: " + err.Error())
		}
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "%q:%s", list[i], property)
	}
	return json.RawMessage(`{"type":"object","properties":{` + b.String() + `},"additionalProperties":false}`)
}

var runEffects = map[steps.Verb]string{
	steps.VerbRetry:  "gives the run its time budget again, and it goes on",
	steps.VerbAnswer: "what you give becomes the run's output",
	steps.VerbSkip:   "noted; the run goes on",
	steps.VerbAbort:  "ends the run; what was done is undone where plan or tools say how",
}

// goesOnDamaged is what becomes of a run that goes on although its log has lost something.
const goesOnDamaged = "the run goes on from what its log still says; each call that must not happen twice is asked about, or looked up, before it is made"

// effectOf says in words what a decision about a unit does.
func (s run) effectOf(e *steps.Escalation, v steps.Verb) string {
	t, u := s.Tool(e.Unit), &s.Units[e.Unit]
	if text := s.effectOnServer(e, v); text != "" {
		return text
	}
	switch v {
	case steps.VerbApprove:
		if more := e.Needed - len(e.Approvals) - 1; more > 0 {
			return fmt.Sprintf("counts as one of %d approvals; %d more must approve before %s runs", e.Needed, more, t.Name)
		}
		return "runs " + t.Name + " now, once, with exactly these parameters"
	case steps.VerbReject:
		return s.effectOfReject(e.Unit)
	case steps.VerbRetry:
		return s.effectOfRetry(e, u, t)
	case steps.VerbEdit:
		return "runs " + t.Name + " with the parameters that you give, under a new idempotency key" + s.thenApproval(t)
	case steps.VerbAnswer:
		return s.effectOfAnswer(e, u)
	case steps.VerbSkip:
		return s.effectOfSkip(e, u)
	case steps.VerbExtend:
		return "gives the agent as much again of everything that the plan gives it, or what you say, and it goes on"
	case steps.VerbFinish:
		return "asks the agent once more, without its tools, to answer with what it knows"
	case steps.VerbVerify:
		return "has the tool's probe check whether it happened; nothing is repeated"
	case steps.VerbAbort:
		return s.effectOfAbort(u)
	}
	return ""
}

func (s run) thenApproval(t *steps.Tool) string {
	switch {
	case t.Approval == nil:
		return ""
	case t.Approval.Proof == steps.ProofPasskey:
		return "; that call is asked about anew, because it takes the approver's passkey"
	}
	return "; that is an approval, or asks for one where you may not approve"
}

func (s run) effectOfReject(i int) string {
	switch on := s.OnReject(i); {
	case on == steps.RejectSkip:
		return "leaves out " + s.Units[i].ID + "; the plan goes on and can read your reason"
	case on == steps.RejectFallback:
		return "not executed; the tool's next harmless rung gives the result, labelled with your reason"
	case s.Units[i].IsCall():
		return "not executed; the agent is told so, with your reason, and may not propose exactly this again"
	case s.Units[i].IsUndo():
		return "leaves out the compensation " + s.Units[i].ID
	}
	return "not executed; the run fails with your reason, and what was done is undone where plan or tools say how"
}

func (s run) effectOfRetry(e *steps.Escalation, u *steps.Unit, t *steps.Tool) string {
	if u.Params == nil {
		return "evaluates " + u.ID + "'s expressions again and goes on"
	}
	text := "runs " + t.Name + " again from its first rung, same parameters, same idempotency key"
	if e.Kind == steps.KindUnknown {
		text = "says that it did not happen: " + text + ". If it did happen, it happens twice"
	}
	return text + s.thenApproval(t)
}

// decidesUndo reports whether people are asked about unit u only because the answer decides whether it is undone: the run is
// ending, and nothing else depends on it.
func (s run) decidesUndo(u *steps.Unit) bool { return s.Ending() != "" && !u.IsUndo() }

func (s run) effectOfSkip(e *steps.Escalation, u *steps.Unit) string {
	switch {
	case s.decidesUndo(u):
		return "leaves it as it is: " + u.ID + " is not undone, and the run ends without it"
	case s.TakenBack(e.Unit):
		return "skips this call, whose turn was taken back; the agent hears of it only if it may have happened"
	case u.IsCall():
		return "skips this call; the agent is told that there is no result"
	case u.IsSummary():
		return "skips this summary; the agent is told that there is none, and goes on"
	}
	return "skips " + u.ID + "; " + s.dependents(e.Unit) + " its output as null"
}

func (s run) effectOfAnswer(e *steps.Escalation, u *steps.Unit) string {
	if s.decidesUndo(u) {
		return "says that it happened: what you give becomes " + u.ID + "'s output, and it is undone"
	}
	if e.Kind == steps.KindLimit {
		return "what you give becomes " + u.ID + "'s output, marked as yours; the agent is asked no more"
	}
	if e.Kind == steps.KindUnknown {
		return "says that it happened: what you give becomes " + u.ID + "'s output; nothing is executed"
	}
	if u.IsTurn() || u.IsSummary() {
		return "what you give is taken for the model's answer, marked as yours; the model is not asked"
	}
	return "what you give becomes " + u.ID + "'s output, marked as yours; nothing is executed"
}

func (s run) dependents(i int) string {
	var names []string
	if u := &s.Units[i]; !u.IsItem() && !u.IsUndo() {
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

func (s run) effectOfAbort(u *steps.Unit) string {
	if u.IsUndo() {
		return "leaves out this and all further compensations; the run ends"
	}
	n := s.Compensations()
	switch n {
	case 0:
		return "ends the run; nothing is undone"
	case 1:
		return "ends the run and runs 1 compensation"
	}
	return fmt.Sprintf("ends the run and runs %d compensations", n)
}

// suggest returns the decision that Belay suggests; nil if none.
func (s run) suggest(e *steps.Escalation) *Suggestion {
	if e.Unit == steps.RunUnit || e.Kind == steps.KindApproval || e.Question != nil {
		return nil // only a person can say
	}
	t := s.Tool(e.Unit)
	switch {
	case e.Kind == steps.KindUnknown && s.Standing(e.Unit) != nil:
		return &Suggestion{steps.VerbVerify, "the server can say what has become of " + s.Standing(e.Unit).About}
	case e.Kind == steps.KindUnknown && t.Verify != nil:
		return &Suggestion{steps.VerbVerify, "the tool has a probe that looks whether it has happened"}
	case e.Kind == steps.KindUnknown:
		return nil
	}
	switch e.Fault.Class {
	case steps.NoWorker:
		return &Suggestion{steps.VerbRetry, "start a worker that serves " + t.Name + ", then retry: nothing was executed"}
	case steps.Timeout, steps.Unavailable, steps.Connection, steps.RateLimited:
		return &Suggestion{steps.VerbRetry, "the other side did not serve; the same call may work once it does"}
	case steps.Unauthorized, steps.Forbidden:
		return &Suggestion{steps.VerbRetry, "fix the worker's credentials for " + t.Name + " first; then the same call works"}
	case steps.InvalidInput, steps.NotFound, steps.Conflict:
		return &Suggestion{steps.VerbEdit, "the other side refused these parameters (" + string(e.Fault.Class) + "): the same call would be refused again"}
	case steps.BadExpression:
		return &Suggestion{steps.VerbAnswer, "the plan's expression fails on this data and would fail again"}
	}
	return nil
}

// Fingerprint says what an escalation is about beside the run that it is in: kind, tool, rung, class and target, the last
// without what the parameters put into it. Escalations with the same one are alike: people get one notice for them and can
// decide them in one redrive.
func (v Escalation) Fingerprint() string {
	target := v.Target
	if v.Pattern != "" {
		target = v.Pattern
	}
	sum := sha256.Sum256([]byte(strings.Join([]string{string(v.Kind), v.Tool, v.Rung, string(v.Class), target}, "\x00")))
	return hex.EncodeToString(sum[:6])
}
