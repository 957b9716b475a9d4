package steps

import (
	"encoding/json"
	"strings"
	"time"
)

// DenialScope says which calls a rejection covers beside exactly the same, within its step or agent.
type DenialScope string

const (
	ScopeTool   DenialScope = "tool"   // every call of the tool
	ScopeTarget DenialScope = "target" // every call of the tool that talks to the same: its first rung's target, filled in
)

// Denial is a call that a person rejected. Within its step, items and all rounds and rungs included, what it covers is
// refused from then on without asking; elsewhere in the run whoever is asked about it is shown the rejection.
type Denial struct {
	Escalation string      `json:"escalation"`            // that asked
	Step       string      `json:"step"`                  // the unit's id
	By         string      `json:"by"`                    // who rejected it
	Reason     string      `json:"reason"`                // in that person's words
	At         time.Time   `json:"at"`                    // the log's time
	Scope      DenialScope `json:"scope,omitempty"`       // what it covers beside exactly this call; empty = nothing
	Covers     string      `json:"covers,omitempty"`      // the same in words, with a scope
	ReopenedBy string      `json:"reopened_by,omitempty"` // the approver who let it be proposed again; empty: it stands
	ReopenedAs string      `json:"reopened_as,omitempty"` // the reason for that
}

// denial is a Denial with what it is found by.
type denial struct {
	Denial
	node   int
	digest string
	tool   string
	target string
	said   Decided
}

// deny remembers the rejection of a call.
func (c *change) deny(e *Escalation, d Decided) {
	if !c.since(2) || e.Digest == "" {
		return
	}
	den := denial{
		Denial: Denial{Escalation: e.ID, Step: c.Units[e.Unit].ID, By: d.By, Reason: d.Reason, At: c.Now.UTC(), Scope: d.Scope},
		node:   c.Units[e.Unit].Node, digest: e.Digest, tool: c.pinned(e.Unit).Name, target: c.spokenTo(e.Unit), said: d,
	}
	den.Covers = den.words()
	c.denials = append(c.denials, den)
}

// refuseOthers refuses what people are still asked about, and what the rejection d of unit i covers as well.
func (c *change) refuseOthers(i int, d Decided) {
	for k := 0; d.Scope != "" && k < len(c.Units) && c.ending == ""; k++ {
		if c.Units[k].phase != PhaseHeld || c.Units[k].Node != c.Units[i].Node {
			continue
		}
		digest, err := c.Tool(k).CallDigest(c.Units[k].Params)
		if err != nil {
			continue
		}
		if den := c.denied(k, digest); den != nil {
			c.supersede(k)
			c.refuse(k, den)
		}
	}
}

// words says which calls a rejection with a scope covers.
func (d *denial) words() string {
	switch d.Scope {
	case ScopeTool:
		return "every call of " + d.tool
	case ScopeTarget:
		return "every call of " + d.tool + " to " + d.target
	}
	return ""
}

// covers reports whether the rejection is of the call of unit i, whose digest is given, wherever in the run it stands.
func (d *denial) covers(s *State, i int, digest string) bool {
	switch {
	case d.digest == digest:
		return true
	case d.tool != s.pinned(i).Name:
		return false
	}
	return d.Scope == ScopeTool || d.Scope == ScopeTarget && d.target == s.spokenTo(i)
}

// spokenTo is what the first rung of unit i's tool talks to, with the parameters filled in; the same for all calls where it
// does not depend on them, and where it cannot be known.
func (s *State) spokenTo(i int) string {
	fill := s.Asks(i).Targets[0]
	if fill == nil {
		return ""
	}
	v, err := fill(s.CallScope(i, nil))
	var text string
	if err != nil || json.Unmarshal(v, &text) != nil {
		return ""
	}
	return text
}

// Scopes are what a rejection of e may cover beside exactly the same call: where its step makes several calls of the tool.
func (s *State) Scopes(e *Escalation) []DenialScope {
	if e.Kind != KindApproval || e.Unit == RunUnit || !s.Units[e.Unit].IsCall() && s.Units[e.Unit].origin.kind != fanItem {
		return nil
	}
	if s.spokenTo(e.Unit) == "" {
		return []DenialScope{ScopeTool}
	}
	return []DenialScope{ScopeTool, ScopeTarget}
}

// denied is the rejection that stands against a call of unit i, nil when there is none.
func (s *State) denied(i int, digest string) *denial {
	for n := range s.denials {
		if d := &s.denials[n]; d.node == s.Units[i].Node && d.ReopenedBy == "" && !s.apart(d, i) && d.covers(s, i, digest) {
			return d
		}
	}
	return nil
}

// apart reports whether one of the rejected call and unit i does something and the other one undoes: whoever rejects what a step
// or an agent wants to do has not said that what was done is to stay.
func (s *State) apart(d *denial, i int) bool {
	return s.since(7) && strings.HasSuffix(d.Step, undoSuffix) != s.Units[i].IsUndo()
}

// refuse ends unit i's call the way its earlier rejection did, without asking people.
func (c *change) refuse(i int, d *denial) {
	c.reject(i, d.said, "refused without asking: "+d.By+" has rejected "+orElse(d.Covers, "exactly this call")+" before ("+d.Escalation+")"+because(d.Reason))
}

// reopen takes back the rejection that decision d runs into, where d says so and whoever decided may.
func (c *change) reopen(i int, d Decided) {
	digest, err := c.Tool(i).CallDigest(c.Units[i].Params)
	if err != nil || d.Reopens == "" {
		return
	}
	if found := c.denied(i, digest); found != nil && found.Escalation == d.Reopens && c.whyNotReopen(i, found, d) == "" {
		found.ReopenedBy, found.ReopenedAs = d.By, d.Reason
	}
}

// whyNotReopen says why d does not take a rejection back; empty when it does. Where two people must approve, nobody takes
// back their own rejection, and whoever submitted the run does not decide.
func (s *State) whyNotReopen(i int, den *denial, d Decided) string {
	rule := s.Tool(i).Approval
	rejected := den.By + " has rejected " + orElse(den.Covers, "exactly this call") + " (" + den.Escalation + because(den.Reason) + ")"
	switch {
	case strings.TrimSpace(d.Reason) == "":
		return rejected + ": an approver may reopen it with a reason"
	case rule == nil:
		return ""
	case rule.NotSubmitter && s.Person(d.By) == s.Person(s.By):
		return rejected + ": whoever submitted the run may not reopen it"
	case (rule.NotSubmitter || rule.Approvers > 1) && s.Person(d.By) == s.Person(den.By):
		return rejected + ": another approver must reopen it"
	}
	return ""
}

// Reopens is the rejection that a retry or an edit of escalation n runs into, nil when there is none, and why the decision
// may not take it back, if it may not. Whether whoever decides is an approver is for the caller to check.
func Reopens(s *State, n int, d Decided) (den *Denial, why string) {
	e := &s.Escalations[n]
	if e.Unit == RunUnit || d.Verb != VerbRetry && d.Verb != VerbEdit {
		return nil, ""
	}
	params := s.Units[e.Unit].Params
	if d.Verb == VerbEdit {
		params = d.Params
	}
	digest, err := s.Tool(e.Unit).CallDigest(params)
	if err != nil {
		return nil, ""
	}
	found := s.denied(e.Unit, digest)
	if found == nil {
		return nil, ""
	}
	return &found.Denial, s.whyNotReopen(e.Unit, found, d)
}

// RejectedBefore lists the rejections, anywhere in the run, of the call that unit i stands on, the ones that were
// reopened included.
func (s *State) RejectedBefore(i int) []Denial {
	if len(s.denials) == 0 {
		return nil
	}
	digest, err := s.Tool(i).CallDigest(s.Units[i].Params)
	if err != nil {
		return nil
	}
	var list []Denial
	for _, d := range s.denials {
		if d.covers(s, i, digest) {
			list = append(list, d.Denial)
		}
	}
	return list
}

// Text puts it into words.
func (d Denial) Text() string {
	text := d.By + " has rejected " + orElse(d.Covers, "exactly this call") + " in step " + d.Step + " (" + d.Escalation + ")" + because(d.Reason)
	if d.ReopenedBy != "" {
		text += "; " + d.ReopenedBy + " has reopened it" + because(d.ReopenedAs)
	}
	return text
}
