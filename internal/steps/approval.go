package steps

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// Grant is one person's approval of one call: this tool, as it is defined, with these parameters, in this round of this
// step of this run, once. Whoever keeps the signing key signs its [Grant.Statement]; the worker checks it right before it
// acts.
type Grant struct {
	Run        string    `json:"run"`                 // the run's id
	Step       string    `json:"step"`                // the unit's id
	Round      int       `json:"round"`               // a later round needs another approval
	Tool       string    `json:"tool"`                // its name
	Digest     string    `json:"digest"`              // of the call that was approved; [Tool.CallDigest]
	Escalation string    `json:"escalation"`          // the one that was approved
	By         string    `json:"by"`                  // who approved
	CallKey    string    `json:"call_key,omitempty"`  // the idempotency key that the call is made under; empty in runs of epochs before 7
	Nonce      string    `json:"nonce"`               // makes two approvals of the same call different
	Issued     time.Time `json:"issued"`              // the log's time, as the signer knows it
	Expires    time.Time `json:"expires"`             // the worker refuses it afterwards
	Key        string    `json:"key"`                 // id of the key that signs
	Signature  []byte    `json:"signature,omitempty"` // of [Grant.Statement]

	Passkey *Assertion `json:"passkey,omitempty"` // of the approver, where the tool asks for it; it stands by itself, and is not signed again
}

// Statement is what is signed: all fields but the signatures.
func (g Grant) Statement() []byte {
	g.Signature, g.Passkey, g.Issued, g.Expires = nil, nil, g.Issued.UTC(), g.Expires.UTC()
	b, err := json.Marshal(g)
	if err != nil {
		panic("steps: a grant cannot be written: " + err.Error()) // strings and times always can
	}
	return append([]byte("belay approval v1\n"), b...)
}

// GrantFor is the grant that makes decision d on escalation n of s an approval too: of approve, and of the retry or edit of
// somebody who may approve, unless a passkey is asked for. Its nonce, times and signature are still to be filled in. ok is false where d approves
// nothing; the step is then held again if it needs approval.
func GrantFor(s *State, n int, d Decided) (g Grant, ok bool, err error) {
	e := &s.Escalations[n]
	if e.Unit == RunUnit || s.Tool(e.Unit).Approval == nil {
		return g, false, nil
	}
	u, t := &s.Units[e.Unit], s.Tool(e.Unit)
	g = Grant{Run: s.Run, Step: u.ID, Round: u.Round, Tool: t.Name, Escalation: e.ID, By: d.By}
	params, edit := u.Params, u.edit
	switch {
	case d.Verb == VerbApprove && e.Kind == KindApproval:
	case t.Approval.asksPasskey(): // it is for exactly what was shown: another round is asked about anew
		return g, false, nil
	case d.Verb == VerbRetry && params != nil && t.Approval.Approvers < 2:
		g.Round++
	case d.Verb == VerbEdit && t.Approval.Approvers < 2:
		g.Round++
		params, edit = d.Params, edit+1
	default:
		return g, false, nil
	}
	if s.since(7) {
		g.CallKey = s.keyAfter(e.Unit, int(edit))
	}
	g.Digest, err = t.CallDigest(params)
	return g, err == nil, err
}

// awaitApproval reports whether unit i must wait for approval before it may act, and asks for it. It must where the
// condition cannot be evaluated.
func (c *change) awaitApproval(i int) bool {
	t, u := c.Tool(i), &c.Units[i]
	if t.Approval == nil {
		return false
	}
	if u.origin.kind == agentSummary { // only a worker can have said so: no plan has such a model
		c.giveUp(i, Fault{Class: PolicyDenied, Acted: ActedNo, Message: t.Name + " acts only with a person's approval, and nobody is asked about a summary"})
		return true
	}
	digest, err := t.CallDigest(u.Params)
	if err != nil {
		c.giveUp(i, Fault{Class: InvalidInput, Acted: ActedNo, Message: err.Error()})
		return true
	}
	u.Params, _ = Canonical(u.Params) // before the condition, which must judge what is executed
	why, need := c.needsApproval(i)
	den := c.denied(i, digest)
	if !need && (den == nil || den.Scope == "") {
		u.permit.grants = nil
		return false
	}
	if den != nil {
		u.permit.grants = nil
		c.refuse(i, den)
		return true
	}
	if c.granted(i, digest) {
		return false
	}
	u.permit.grants = nil
	c.raise(Escalation{
		Kind: KindApproval, Unit: i, Fault: Fault{Message: why}, Digest: digest, Needed: max(t.Approval.Approvers, 1),
		Deadline: c.in(t.Approval.Deadline), OnExpiry: t.Approval.OnDeadline,
	})
	return true
}

// needsApproval asks the tool's condition about unit i's parameters, and says why they need approval.
func (c *change) needsApproval(i int) (why string, need bool) {
	t := c.Tool(i)
	ask := c.Asks(i).Approval
	if ask == nil {
		return t.Name + " acts only with a person's approval" + c.approvalFrom(i), true
	}
	v, err := ask(c.CallScope(i, nil))
	switch {
	case err != nil:
		return t.Name + ": its approval condition cannot be evaluated: " + err.Error(), true
	case string(v) == "false":
		return "", false
	case string(v) != "true":
		return fmt.Sprintf("%s: its approval condition gives %.60s, not true or false", t.Name, v), true
	}
	return t.Name + " acts only with a person's approval when " + t.Approval.When + c.approvalFrom(i) + c.strangers(i, ask), true
}

// CallScope is what expressions about the call of unit i may read; output is nil before the call.
func (s *State) CallScope(i int, output json.RawMessage) Scope {
	c := s.scope(i)
	c.params, c.output, c.untrusted = s.Units[i].Params, output, s.Units[i].stranger != ""
	return c
}

// granted reports whether the approvals that unit i has allow its current round.
func (c *change) granted(i int, digest string) bool {
	u := &c.Units[i]
	who := map[string]bool{}
	for _, g := range u.permit.grants {
		if g.Digest == digest && g.Run == c.Run && g.Step == u.ID && g.Round == u.Round && c.mayApprove(i, g.By) && c.Tool(i).Approval.Proven(&g) {
			who[c.Person(g.By)] = true
		}
	}
	return len(who) >= max(c.Tool(i).Approval.Approvers, 1)
}

// mayApprove keeps whoever submitted the run from approving it, where the tool says so.
func (s *State) mayApprove(i int, by string) bool {
	by = s.Person(by)
	return by != "" && (!s.Tool(i).Approval.NotSubmitter || by != s.Person(s.By) && !s.submittedBefore(by))
}

// in is the moment d from now; zero where d is none.
func (c *change) in(d Duration) time.Time {
	if d <= 0 {
		return time.Time{}
	}
	return c.Now.Add(time.Duration(d))
}

// isEnough reports whether d decides e. An approval does only if it is the last one needed.
func (c *change) isEnough(e *Escalation, d Decided) bool {
	if c.Bars(e, d) != "" {
		return false
	}
	if d.Verb != VerbApprove {
		return true
	}
	e.Approvals, e.ApprovalSeqs = append(e.Approvals, d), append(e.ApprovalSeqs, c.Seq)
	c.touch(e.Unit)
	return len(e.Approvals) >= e.Needed
}

// Bar says why a decision does not count on an open escalation; empty when it counts.
type Bar string

const (
	BarNotAllowed Bar = "not_allowed"     // the escalation does not allow this verb
	BarNoReason   Bar = "no_reason"       // a rejection needs a reason
	BarSubmitter  Bar = "submitter"       // whoever submitted the run may not approve
	BarApproved   Bar = "approved_before" // by the same person, and others are still needed
	BarChanged    Bar = "changed"         // it approves something else than what is asked
	BarNoPasskey  Bar = "passkey"         // the tool asks for the approver's passkey, and the approval has none
)

// Bars says why d does not count on e while e is open; empty when it does. The fold goes by it, and so does whoever shows
// it to people.
func (s *State) Bars(e *Escalation, d Decided) Bar {
	switch {
	case !slices.Contains(e.Allowed, d.Verb):
		return BarNotAllowed
	case d.Verb == VerbReject && d.Reason == "":
		return BarNoReason
	case d.Verb != VerbApprove:
		return ""
	}
	if why := s.barsPerson(e, d.By); why != "" {
		return why
	}
	g, u := d.Grant, &s.Units[e.Unit]
	if g == nil || g.By != d.By || g.Digest != e.Digest || g.Escalation != e.ID || g.Run != s.Run || g.Step != u.ID || g.Round != u.Round {
		return BarChanged
	}
	if !s.Tool(e.Unit).Approval.Proven(g) {
		return BarNoPasskey
	}
	return ""
}

// barsPerson says why somebody's approval of e does not count, whatever they approve.
func (s *State) barsPerson(e *Escalation, by string) Bar {
	if !s.mayApprove(e.Unit, by) {
		return BarSubmitter
	}
	if s.ApprovalOf(e, by) != nil {
		return BarApproved
	}
	return ""
}

// MayApprove reports whether somebody may approve what question n asks about, as far as the run's rules go.
func (s *State) MayApprove(n int, by string) bool { return s.mayApprove(s.Escalations[n].Unit, by) }

// ApprovalOf is the approval of e that somebody has given; nil when they have not.
func (s *State) ApprovalOf(e *Escalation, by string) *Decided {
	for n := range e.Approvals {
		if s.Person(e.Approvals[n].By) == s.Person(by) {
			return &e.Approvals[n]
		}
	}
	return nil
}

// approved lets unit i act, on the approvals that were given.
func (c *change) approved(i int, e *Escalation) {
	u := &c.Units[i]
	u.Fault, u.permit.grants = nil, nil
	for _, d := range e.Approvals {
		u.permit.grants = append(u.permit.grants, *d.Grant)
	}
	c.forgetEarly(i)
	if c.heard[c.pinned(i).Name] != nil && c.awaitApproval(i) {
		return // a worker has meanwhile asked for more than was approved
	}
	c.act(i)
}

// reject ends unit i unexecuted, or sends it down to a rung that acts on nothing. The plan can read why.
func (c *change) reject(i int, d Decided, why string) {
	u := &c.Units[i]
	u.Rejected = &d
	switch on := c.OnReject(i); {
	case on == RejectFallback && c.harmless(i, why):
	case on == RejectSkip:
		c.skip(i)
	case u.origin.kind == undo:
		c.become(i, PhaseFailed)
	case u.origin.kind == agentCall && c.ending == "":
		u.Fault = &Fault{Class: PolicyDenied, Acted: ActedNo, Message: why}
		c.done(i, PhaseFailed)
	default:
		u.Fault = &Fault{Class: PolicyDenied, Acted: ActedNo, Message: why}
		c.become(i, PhaseFailed)
		c.startEnding(RunFailed, u.ID+": "+why)
	}
}

// OnReject is what a rejection does to unit i: what the tool says, else what the step says. A step that may be skipped when
// it fails may be skipped when it is rejected.
func (s *State) OnReject(i int) OnReject {
	on := s.Tool(i).Approval.OnReject
	if on == "" && s.Units[i].origin.kind != undo && s.Program.Nodes[s.Units[i].Node].Step.OnFailure == OnFailureSkip {
		return RejectSkip
	}
	return on
}

// harmless goes on with the next rung that needs no approval, if there is one.
func (c *change) harmless(i int, why string) bool {
	u := &c.Units[i]
	u.ladder.unapproved = why
	k, ok := c.below(i, 0)
	if !ok {
		u.ladder.unapproved = ""
		return false
	}
	u.permit.grants = nil
	c.newBudget(i)
	c.onRung(i, k)
	return true
}

// rejection is what the plan may read of a rejection.
func rejection(u *Unit) any {
	if u.Rejected == nil {
		return nil
	}
	return map[string]any{"by": u.Rejected.By, "reason": u.Rejected.Reason}
}
