package steps

import (
	"strings"
	"time"
)

// Denial is a call that a person rejected. Within its step, items and all rounds and rungs included, the same call is
// refused from then on without asking; elsewhere in the run whoever is asked about it is shown the rejection.
type Denial struct {
	Escalation string    `json:"escalation"`            // that asked
	Step       string    `json:"step"`                  // the unit's id
	By         string    `json:"by"`                    // who rejected it
	Reason     string    `json:"reason"`                // in that person's words
	At         time.Time `json:"at"`                    // the log's time
	ReopenedBy string    `json:"reopened_by,omitempty"` // the approver who let it be proposed again; empty: it stands
	ReopenedAs string    `json:"reopened_as,omitempty"` // the reason for that
}

// denial is a Denial with what it is found by.
type denial struct {
	Denial
	node   int
	digest string
	said   Decided
}

// deny remembers the rejection of a call.
func (c *change) deny(e *Escalation, d Decided) {
	if !c.since(2) || e.Digest == "" {
		return
	}
	shown := Denial{Escalation: e.ID, Step: c.Units[e.Unit].ID, By: d.By, Reason: d.Reason, At: c.Now.UTC()}
	c.denials = append(c.denials, denial{shown, c.Units[e.Unit].Node, e.Digest, d})
}

// denied is the rejection that stands against a call of unit i, nil when there is none.
func (s *State) denied(i int, digest string) *denial {
	for n := range s.denials {
		if d := &s.denials[n]; d.node == s.Units[i].Node && d.digest == digest && d.ReopenedBy == "" {
			return d
		}
	}
	return nil
}

// refuse ends unit i's call the way its earlier rejection did, without asking people.
func (c *change) refuse(i int, d *denial) {
	c.reject(i, d.said, "refused without asking: "+d.By+" has rejected exactly this call before ("+d.Escalation+")"+because(d.Reason))
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
	rejected := den.By + " has rejected exactly this call (" + den.Escalation + because(den.Reason) + ")"
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
		if d.digest == digest {
			list = append(list, d.Denial)
		}
	}
	return list
}

// Text puts it into words.
func (d Denial) Text() string {
	text := d.By + " has rejected exactly this call in step " + d.Step + " (" + d.Escalation + ")" + because(d.Reason)
	if d.ReopenedBy != "" {
		text += "; " + d.ReopenedBy + " has reopened it" + because(d.ReopenedAs)
	}
	return text
}
