package view

import (
	"encoding/json"
	"slices"
	"strings"

	"belay/internal/steps"
)

// Dossier is everything that a person needs to decide about one escalation: what `esc show -o json` prints. Whoever reads
// makes it from the log; it is not stored.
type Dossier struct {
	Escalation
	Revision   uint64            `json:"revision"`                  // a decision names the one that it is about
	Input      json.RawMessage   `json:"input"`                     // the run's
	Labels     map[string]string `json:"labels"`                    // the run's
	By         string            `json:"by,omitempty"`              // who submitted the run
	Submitted  string            `json:"submitted,omitempty"`       // the same in words, and whether it is proven; empty: nobody has looked
	Plan       []PlanLine        `json:"plan"`                      // every step and where it stands
	Done       []DoneLine        `json:"done"`                      // what has succeeded so far
	Failing    *Failing          `json:"failing"`                   // the step in question; null: the run as a whole
	Attempts   []Attempt         `json:"attempts"`                  // of the step in question
	FirstError *steps.Fault      `json:"first_error"`               // of its first attempt that failed
	LastError  *steps.Fault      `json:"last_error"`                // the one that people are asked about
	Digest     string            `json:"digest"`                    // of the plan and its pinned policies
	Approval   *Approval         `json:"approval,omitempty"`        // of an approval
	Question   *Question         `json:"question,omitempty"`        // of a question
	Agent      *Agent            `json:"agent,omitempty"`           // whose call, turn or limit is in question, with its last turns
	Rejected   []steps.Denial    `json:"rejected_before,omitempty"` // earlier rejections of the same call in this run
	Offers     []Offer           `json:"offers"`                    // what may be decided, each with what it does
	Settled    string            `json:"settled,omitempty"`         // how it ended, in words; empty while it is open
	Suggestion *Suggestion       `json:"suggestion,omitempty"`      // null where nothing speaks for one decision
	Followed   *Aftermath        `json:"followed,omitempty"`        // what came of it, once it has ended

	SubmitterProven bool   `json:"submitter_proven"` // a token of By was shown for the run, and the server that saw it has signed that
	Spent           *Spent `json:"spent,omitempty"`  // what the run's models took so far; null: it has called none
}

// Approval is what a person approves: exactly these parameters of this tool, as Failing shows them.
type Approval struct {
	Digest       string              `json:"digest"`                  // of tool, tool definition and canonical parameters; the decision names it
	Needed       int                 `json:"needed"`                  // people who must approve
	Given        []string            `json:"given"`                   // who has approved so far
	NotSubmitter bool                `json:"not_submitter,omitempty"` // whoever submitted the run cannot approve
	Proof        steps.ApprovalProof `json:"proof,omitempty"`         // passkey: whoever approves needs theirs, so it takes a browser
	Unproven     bool                `json:"unproven,omitempty"`      // NotSubmitter counts on who submitted the run, and nobody has proven that
	Refused      string              `json:"refused,omitempty"`       // why nobody's approval counts, by a setting of the server; empty = it may

	exact bool // names are compared as they are written: the run is from before epoch 2
}

// Bars says why somebody cannot approve what d asks about, whatever their role. It is the zero Reply when nothing in the
// run keeps them from it.
func (d *Dossier) Bars(by string) Reply {
	a := d.Approval
	if a == nil || d.State != steps.EscalationOpen {
		return Reply{}
	}
	same := func(name string) bool { return name == by || !a.exact && steps.SamePerson(name, by) }
	switch {
	case slices.ContainsFunc(a.Given, same):
		return Reply{Outcome: OutcomeApproved, Text: "you have approved already: " + approved(a.Needed, a.Given) + "; " + missing(a.Needed-len(a.Given), d.Tool)}
	case a.NotSubmitter && same(d.By):
		return Reply{Outcome: OutcomeSubmitter, Text: submitter(by)}
	case a.Refused != "":
		return Reply{Outcome: OutcomeUnproven, Text: a.Refused}
	}
	return Reply{}
}

// Question is what a `human` rung asks, or what a server asks before it goes on with a call.
type Question struct {
	Text    string          `json:"text"`              // with its parameters filled in
	Options []string        `json:"options,omitempty"` // answers to pick from; empty = any that fits the schema
	Schema  json.RawMessage `json:"schema,omitempty"`  // JSON Schema of the answer
	URL     string          `json:"url,omitempty"`     // a page, http or https, on which it is to be answered
	Back    bool            `json:"back,omitempty"`    // the answer goes back to the server, which goes on with the call; else it is the output
}

// Offer is one decision that the person may take, with what it does in words.
type Offer struct {
	Verb        steps.Verb          `json:"verb"`                   // what to send
	Effect      string              `json:"effect"`                 // what it does, in words
	NeedsReason bool                `json:"needs_reason,omitempty"` // it is refused without a reason
	Scopes      []steps.DenialScope `json:"scopes,omitempty"`       // reject: what it may cover beside exactly this call
	Grave       bool                `json:"grave,omitempty"`        // ask the person to confirm before it is sent
	Schema      json.RawMessage     `json:"schema,omitempty"`       // of the new parameters (edit), the output (answer), or what the agent gets (extend)
}

// Suggestion is the decision that the core would take, and why. It is never taken automatically.
type Suggestion struct {
	Verb   steps.Verb `json:"verb"`   // one of the offers
	Ground string     `json:"ground"` // what speaks for it, in words
}

// PlanLine is a step of the plan and where it stands.
type PlanLine struct {
	Step  string          `json:"step"`  // the unit's id
	Tool  string          `json:"tool"`  // its name
	State steps.StepState `json:"state"` // where it stands
}

// OfAgent reports whether the line is a turn, a call or a summary of an agent, which the plan does not name.
func (l PlanLine) OfAgent() bool {
	return strings.Contains(l.Step, "~t") || strings.Contains(l.Step, "~s")
}

// DoneLine is what was done so far, with what it did to the world.
type DoneLine struct {
	Step       string          `json:"step"`                // the unit's id
	Tool       string          `json:"tool"`                // its name
	Output     json.RawMessage `json:"output"`              // any JSON value
	SideEffect steps.Effects   `json:"side_effect"`         // what the tool does to the world
	Key        string          `json:"idempotency_key"`     // that its calls were made with
	Rung       string          `json:"rung"`                // that gave the output
	Degraded   *steps.Degraded `json:"degraded,omitempty"`  // how it came about, where not as meant
	AnswerBy   string          `json:"answer_by,omitempty"` // the person who gave the output
}

// Failing is the step in question, with the exact parameters that its tool was called with.
type Failing struct {
	Step    string          `json:"step"`            // the unit's id
	Tool    string          `json:"tool"`            // its name
	Rung    string          `json:"rung"`            // that it stands on
	Params  json.RawMessage `json:"params"`          // exactly as they were sent, or will be
	Target  string          `json:"target"`          // what the rung talks to
	Effects steps.Effects   `json:"side_effect"`     // what the tool does to the world
	Key     string          `json:"idempotency_key"` // that its calls are made with
}

// DossierOf is the dossier of escalation n of s, as s stands now. For an escalation that has ended, [EndedDossierOf] shows
// what was in question.
func DossierOf(s *steps.State, n int) Dossier {
	r, e := run{s}, &s.Escalations[n]
	d := Dossier{
		Escalation: EscalationOf(s, n), Revision: e.Revision, Input: Value(s.Input), Labels: s.Labels, By: s.By,
		Plan: []PlanLine{}, Done: []DoneLine{}, Attempts: []Attempt{}, Digest: s.Program.Digest, Spent: spentOf(s),
	}
	for i := range s.Units {
		d.addUnit(r, i)
	}
	if e.Unit != steps.RunUnit {
		d.addFailing(r, e)
	}
	d.addAdvice(r, e)
	if e.State != steps.EscalationOpen {
		d.Settled = Tell(s, Act{Event: steps.Decided{Escalation: e.ID}}).Text
	}
	return d
}

// EndedDossierOf is the dossier of escalation n, which is no longer open, as it was when it ended: before is the run right
// before the record that ended it, now is the run as it stands. Dossier.Followed says what came of it.
func EndedDossierOf(before, now *steps.State, n int) Dossier {
	if before == nil || n >= len(before.Escalations) {
		before = now // opened and ended by the same record
	}
	then, d := DossierOf(before, n), DossierOf(now, n)
	then.State, then.Decision = d.State, d.Decision
	d.Escalation, d.Plan, d.Done, d.Failing, d.Attempts = then.Escalation.WithApprovals(d.Approvals), then.Plan, then.Done, then.Failing, then.Attempts
	d.FirstError, d.LastError, d.Rejected, d.Offers, d.Agent = then.FirstError, then.LastError, then.Rejected, then.Offers, then.Agent
	a := AftermathOf(now, n)
	d.Followed = &a
	return d
}

func (d *Dossier) addUnit(s run, i int) {
	u := &s.Units[i]
	d.Plan = append(d.Plan, PlanLine{Step: u.ID, Tool: s.Tool(i).Name, State: u.State()})
	if u.State() != steps.StepSucceeded || u.FannedOut() && !u.Loops() || u.ResultOf() >= 0 {
		return
	}
	d.Done = append(d.Done, DoneLine{
		Step: u.ID, Tool: s.Tool(i).Name, Output: Value(u.Output), SideEffect: s.Tool(i).Effects, Key: s.Key(i),
		Rung: s.RungName(i), Degraded: u.Degraded, AnswerBy: u.AnswerBy,
	})
}

func (d *Dossier) addFailing(s run, e *steps.Escalation) {
	i := e.Unit
	target, _ := s.target(i)
	d.Attempts = s.attemptViews(i)
	d.Rejected = s.RejectedBefore(i)
	d.Agent = s.agentOf(i)
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
		Step: s.Units[i].ID, Tool: s.Tool(i).Name, Rung: e.Rung, Params: Value(s.Units[i].Params), Target: target,
		Effects: s.Tool(i).Effects, Key: s.Key(i),
	}
}
