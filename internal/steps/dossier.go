package steps

import (
	"encoding/json"
	"slices"
)

// Dossier is everything that a person needs to decide about one escalation: what `esc show -o json` prints. It is
// made from the log by whoever reads; nothing stores it.
type Dossier struct {
	EscalationView
	Revision   uint64            `json:"revision"`
	Input      json.RawMessage   `json:"input"`
	Labels     map[string]string `json:"labels"`
	By         string            `json:"by,omitempty"`
	Plan       []PlanLine        `json:"plan"`
	Done       []DoneLine        `json:"done"`
	Failing    *Failing          `json:"failing"`
	Attempts   []AttemptView     `json:"attempts"`
	FirstError *Fault            `json:"first_error"`
	LastError  *Fault            `json:"last_error"`
	Digest     string            `json:"digest"` // of the plan and its pinned policies
	Approval   *ApprovalView     `json:"approval,omitempty"`
	Question   *QuestionView     `json:"question,omitempty"`
	Rejected   []Denial          `json:"rejected_before,omitempty"` // earlier rejections of the same call in this run
	Offers     []Offer           `json:"offers"`                    // what may be decided, each with what it does
	Settled    string            `json:"settled,omitempty"`         // how it is no longer open, in words
	Suggestion *Suggestion       `json:"suggestion,omitempty"`
	Followed   *Aftermath        `json:"followed,omitempty"` // what came of it, once it was settled
}

// ApprovalView is what a person approves: exactly these parameters of this tool, as Failing shows them.
type ApprovalView struct {
	Digest       string   `json:"digest"` // of tool, tool definition and canonical parameters; the decision names it
	Needed       int      `json:"needed"` // people who must approve
	Given        []string `json:"given"`  // who has approved so far
	NotSubmitter bool     `json:"not_submitter,omitempty"`

	exact bool // names are compared as they are written: the run is older than the rule that they are not
}

// Bars says why somebody cannot approve what d asks about, whatever their role; the zero Word when nothing in the run
// keeps them from it.
func (d *Dossier) Bars(by string) Word {
	a := d.Approval
	if a == nil || d.State != EscalationOpen {
		return Word{}
	}
	same := func(name string) bool { return name == by || !a.exact && SamePerson(name, by) }
	switch {
	case slices.ContainsFunc(a.Given, same):
		return Word{Outcome: OutcomeApproved, Text: "you have approved already: " + approved(a.Needed, a.Given) + "; " + missing(a.Needed-len(a.Given), d.Tool)}
	case a.NotSubmitter && same(d.By):
		return Word{Outcome: OutcomeSubmitter, Text: submitter(by)}
	}
	return Word{}
}

// QuestionView is what a `human` rung asks.
type QuestionView struct {
	Text    string          `json:"text"`
	Options []string        `json:"options,omitempty"` // answers to pick from; empty = any that fits the schema
	Schema  json.RawMessage `json:"schema,omitempty"`  // JSON Schema of the answer
}

// Offer is one decision that the person may take, with what it does in words.
type Offer struct {
	Verb        Verb            `json:"verb"`
	Effect      string          `json:"effect"`
	NeedsReason bool            `json:"needs_reason,omitempty"`
	Grave       bool            `json:"grave,omitempty"`  // ask once more before it is sent
	Schema      json.RawMessage `json:"schema,omitempty"` // of the new parameters (edit) or the output (answer)
}

// Suggestion is the decision that the core would take, with its ground. It is never taken by itself.
type Suggestion struct {
	Verb   Verb   `json:"verb"`
	Ground string `json:"ground"`
}

// PlanLine is a step of the plan and where it stands.
type PlanLine struct {
	Step  string    `json:"step"`
	Tool  string    `json:"tool"`
	State StepState `json:"state"`
}

// DoneLine is what was done so far, with what it did to the world.
type DoneLine struct {
	Step       string          `json:"step"`
	Tool       string          `json:"tool"`
	Output     json.RawMessage `json:"output"`
	SideEffect Effects         `json:"side_effect"`
	Key        string          `json:"idempotency_key"`
	Rung       string          `json:"rung"`
	Degraded   *Degraded       `json:"degraded,omitempty"`
	AnswerBy   string          `json:"answer_by,omitempty"`
}

// Failing is the step in question, with the exact parameters that its tool was called with.
type Failing struct {
	Step    string          `json:"step"`
	Tool    string          `json:"tool"`
	Rung    string          `json:"rung"`
	Params  json.RawMessage `json:"params"`
	Target  string          `json:"target"`
	Effects Effects         `json:"side_effect"`
	Key     string          `json:"idempotency_key"`
}

// MakeDossier makes the dossier of escalation n of s, by where s stands: of one that was settled, [SettledDossier] tells
// what was in question then.
func MakeDossier(s *State, n int) Dossier {
	e := &s.Escalations[n]
	d := Dossier{
		EscalationView: ViewEscalation(s, n), Revision: e.Revision, Input: Viewed(s.Input), Labels: s.Labels, By: s.By,
		Plan: []PlanLine{}, Done: []DoneLine{}, Attempts: []AttemptView{}, Digest: s.Program.Digest,
	}
	for i := range s.Units {
		d.addUnit(s, i)
	}
	if e.Unit != RunUnit {
		d.addFailing(s, e)
	}
	d.addAdvice(s, e)
	if e.State != EscalationOpen {
		d.Settled = Tell(s, Deed{Event: Decided{Escalation: e.ID}}).Text
	}
	return d
}

// SettledDossier is the dossier of escalation n, which is not open any more, as it was when it was settled: before is the
// run right before the record that did, now is the run as it stands. What came of it is said beside it.
func SettledDossier(before, now *State, n int) Dossier {
	if before == nil || n >= len(before.Escalations) {
		before = now // opened and settled by the same record
	}
	then, d := MakeDossier(before, n), MakeDossier(now, n)
	then.State, then.Decision = d.State, d.Decision
	d.EscalationView, d.Plan, d.Done, d.Failing, d.Attempts = then.EscalationView.WithApprovals(d.Approvals), then.Plan, then.Done, then.Failing, then.Attempts
	d.FirstError, d.LastError, d.Rejected, d.Offers = then.FirstError, then.LastError, then.Rejected, then.Offers
	a := AftermathOf(now, n)
	d.Followed = &a
	return d
}

func (d *Dossier) addUnit(s *State, i int) {
	u := &s.Units[i]
	d.Plan = append(d.Plan, PlanLine{Step: u.ID, Tool: s.Tool(i).Name, State: u.State})
	if u.State != StepSucceeded || u.fan != nil {
		return
	}
	d.Done = append(d.Done, DoneLine{
		Step: u.ID, Tool: s.Tool(i).Name, Output: Viewed(u.Output), SideEffect: s.Tool(i).Effects, Key: s.Key(i),
		Rung: s.RungName(i), Degraded: u.Degraded, AnswerBy: u.AnswerBy,
	})
}

func (d *Dossier) addFailing(s *State, e *Escalation) {
	i := e.Unit
	target, _ := s.target(i)
	d.Attempts = s.attemptViews(i)
	d.Rejected = s.RejectedBefore(i)
	if e.Fault.Class != "" {
		d.LastError, d.FirstError = &e.Fault, &e.Fault
	}
	for n := range s.Units[i].Attempts {
		if f := s.Units[i].Attempts[n].Fault; f != nil {
			d.FirstError = f
			break
		}
	}
	d.Failing = &Failing{
		Step: s.Units[i].ID, Tool: s.Tool(i).Name, Rung: e.Rung, Params: Viewed(s.Units[i].Params), Target: target,
		Effects: s.Tool(i).Effects, Key: s.Key(i),
	}
}
