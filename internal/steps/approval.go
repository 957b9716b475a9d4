package steps

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// Grant is one person's approval of one call: this tool, as it is defined, with these parameters, for this round of
// this step of this run, once. Whoever keeps the signing key signs its [Grant.Statement]; the worker checks it right
// before it acts.
type Grant struct {
	Run        string    `json:"run"`
	Step       string    `json:"step"` // the unit's id
	Round      int       `json:"round"`
	Tool       string    `json:"tool"`
	Digest     string    `json:"digest"` // [Tool.CallDigest]
	Escalation string    `json:"escalation"`
	By         string    `json:"by"`
	Nonce      string    `json:"nonce"`
	Issued     time.Time `json:"issued"`
	Expires    time.Time `json:"expires"`
	Key        string    `json:"key"` // id of the key that signs
	Signature  []byte    `json:"signature,omitempty"`
}

// Statement is what is signed: all fields but the signature.
func (g Grant) Statement() []byte {
	g.Signature, g.Issued, g.Expires = nil, g.Issued.UTC(), g.Expires.UTC()
	b, err := json.Marshal(g)
	if err != nil {
		panic("steps: a grant cannot be written: " + err.Error()) // strings and times always can
	}
	return append([]byte("belay approval v1\n"), b...)
}

// Canonical is raw with sorted keys, without spaces, and numbers exactly as written. A key that is there twice is an
// error: two readers could take it for two different things.
func Canonical(raw json.RawMessage) (json.RawMessage, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	v, err := distinct(d)
	if err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one JSON value")
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// distinct reads one value and refuses objects with a key that comes twice.
func distinct(d *json.Decoder) (any, error) {
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch t {
	case json.Delim('{'):
		return distinctObject(d)
	case json.Delim('['):
		list := []any{}
		for d.More() {
			v, err := distinct(d)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err := d.Token()
		return list, err
	}
	return t, nil
}

func distinctObject(d *json.Decoder) (any, error) {
	object := map[string]any{}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, err
		}
		name, _ := key.(string)
		if _, twice := object[name]; twice {
			return nil, fmt.Errorf("the key %q is there twice", name)
		}
		if object[name], err = distinct(d); err != nil {
			return nil, err
		}
	}
	_, err := d.Token()
	return object, err
}

// CallDigest is what an approval of a call is bound to: SHA-256, in hex, over the tool's name, its definition and the
// canonical parameters. Parameters that are no JSON, or not without doubt, have none.
func (t *Tool) CallDigest(params json.RawMessage) (string, error) {
	canonical, err := Canonical(params)
	if err != nil {
		return "", fmt.Errorf("parameters of %s: %w", t.Name, err)
	}
	definition, err := json.Marshal(t.Definition)
	if err != nil {
		return "", fmt.Errorf("definition of %s: %w", t.Name, err)
	}
	h := sha256.New()
	fmt.Fprintf(h, "belay call v1\n%s\n%s\n%s\n", t.Name, definition, canonical)
	return hex.EncodeToString(h.Sum(nil)), nil
}

// GrantFor is the grant that makes decision d on escalation n of s an approval as well, yet without nonce, times and
// signature: approve, and the retry or edit of somebody who may approve. ok is false where d approves nothing; then the
// step is held anew if it needs approval.
func GrantFor(s *State, n int, d Decided) (g Grant, ok bool, err error) {
	e := &s.Escalations[n]
	if e.Unit == RunUnit || s.Tool(e.Unit).Approval == nil {
		return g, false, nil
	}
	u, t := &s.Units[e.Unit], s.Tool(e.Unit)
	g = Grant{Run: s.Run, Step: u.ID, Round: u.Round, Tool: t.Name, Escalation: e.ID, By: d.By}
	params := u.Params
	switch {
	case d.Verb == VerbApprove && e.Kind == KindApproval:
	case d.Verb == VerbRetry && params != nil && t.Approval.Approvers < 2:
		g.Round++
	case d.Verb == VerbEdit && t.Approval.Approvers < 2:
		g.Round++
		params = d.Params
	default:
		return g, false, nil
	}
	g.Digest, err = t.CallDigest(params)
	return g, err == nil, err
}

// hold reports whether unit i must wait for approval before it may act, and asks for it. A condition that fails holds.
func (c *change) hold(i int) bool {
	t, u := c.Tool(i), &c.Units[i]
	if t.Approval == nil {
		return false
	}
	digest, err := t.CallDigest(u.Params)
	if err != nil {
		c.giveUp(i, Fault{Class: InvalidInput, Acted: ActedNo, Message: err.Error()})
		return true
	}
	u.Params, _ = Canonical(u.Params) // before the condition: it must judge what is executed
	why, need := c.needsApproval(i)
	if !need {
		u.grants = nil
		return false
	}
	if den := c.denied(i, digest); den != nil {
		u.grants = nil
		c.refuse(i, den)
		return true
	}
	if c.granted(i, digest) {
		return false
	}
	u.grants = nil
	c.put(Escalation{
		Kind: KindApproval, Unit: i, Fault: Fault{Message: why}, Digest: digest, Needed: max(t.Approval.Approvers, 1),
		Deadline: c.in(t.Approval.Deadline), OnExpiry: t.Approval.OnDeadline,
	})
	return true
}

// needsApproval asks the tool's condition about unit i's parameters, and says why they need approval.
func (c *change) needsApproval(i int) (why string, need bool) {
	t := c.Tool(i)
	ask := c.asks(i).Approval
	if ask == nil {
		return t.Name + " acts only with a person's approval" + c.approvalFrom(i), true
	}
	v, err := ask(c.about(i, nil))
	switch {
	case err != nil:
		return t.Name + ": whether it needs approval cannot be told: " + err.Error(), true
	case string(v) == "false":
		return "", false
	case string(v) != "true":
		return fmt.Sprintf("%s: its approval condition gives %.60s, not true or false", t.Name, v), true
	}
	return t.Name + " acts only with a person's approval when " + t.Approval.When + c.approvalFrom(i), true
}

// about is the scope of what is asked about the call of unit i.
func (s *State) about(i int, output json.RawMessage) Scope {
	c := s.scope(i)
	c.params, c.output = s.Units[i].Params, output
	return c
}

// granted reports whether the approvals in hand allow this round of unit i.
func (c *change) granted(i int, digest string) bool {
	u := &c.Units[i]
	who := map[string]bool{}
	for _, g := range u.grants {
		if g.Digest == digest && g.Run == c.Run && g.Step == u.ID && g.Round == u.Round && c.mayApprove(i, g.By) {
			who[g.By] = true
		}
	}
	return len(who) >= max(c.Tool(i).Approval.Approvers, 1)
}

// mayApprove keeps whoever submitted the run from approving it, where the tool says so.
func (c *change) mayApprove(i int, by string) bool {
	return by != "" && (!c.Tool(i).Approval.NotSubmitter || by != c.By)
}

// in is a moment so long from now; zero for no time at all.
func (c *change) in(d Duration) time.Time {
	if d <= 0 {
		return time.Time{}
	}
	return c.Now.Add(time.Duration(d))
}

// enough reports whether d settles e. An approval must be bound to what e asks, come from somebody who may, and be the
// last one needed; a rejection must say why.
func (c *change) enough(e *Escalation, d Decided) bool {
	switch d.Verb {
	case VerbReject:
		return d.Reason != ""
	case VerbApprove:
		return c.approvedBy(e, d)
	}
	return true
}

func (c *change) approvedBy(e *Escalation, d Decided) bool {
	g, u := d.Grant, &c.Units[e.Unit]
	if g == nil || g.By != d.By || g.Digest != e.Digest || g.Escalation != e.ID || g.Run != c.Run || g.Step != u.ID || g.Round != u.Round || !c.mayApprove(e.Unit, d.By) {
		return false
	}
	for _, earlier := range e.Approvals {
		if earlier.By == d.By {
			return false
		}
	}
	e.Approvals = append(e.Approvals, d)
	c.touch(e.Unit)
	return len(e.Approvals) >= e.Needed
}

// approved lets unit i act, on the approvals that were given.
func (c *change) approved(i int, e *Escalation) {
	u := &c.Units[i]
	u.Fault, u.grants = nil, nil
	for _, d := range e.Approvals {
		u.grants = append(u.grants, *d.Grant)
	}
	if c.heard[c.pinned(i).Name] != nil && c.hold(i) {
		return // meanwhile a worker has asked for more than was approved
	}
	c.act(i)
}

// reject ends unit i unexecuted, or sends it down to what acts on nothing. Why it was rejected reaches the plan.
func (c *change) reject(i int, d Decided, why string) {
	u := &c.Units[i]
	u.Rejected = &d
	switch on := c.onReject(i); {
	case on == RejectFallback && c.harmless(i, why):
	case on == RejectSkip:
		c.skip(i)
	case u.kind == undo:
		c.set(i, StepFailed)
	default:
		u.Fault = &Fault{Class: PolicyDenied, Acted: ActedNo, Message: why}
		c.set(i, StepFailed)
		c.startEnding(RunFailed, u.ID+": "+why)
	}
}

// onReject is the tool's word, else the step's: one that may be skipped when it fails may be when it is rejected.
func (s *State) onReject(i int) OnReject {
	on := s.Tool(i).Approval.OnReject
	if on == "" && s.Units[i].kind != undo && s.Program.Nodes[s.Units[i].Node].Step.OnFailure == OnFailureSkip {
		return RejectSkip
	}
	return on
}

// harmless goes on with the next rung that needs no approval, if there is one.
func (c *change) harmless(i int, why string) bool {
	u := &c.Units[i]
	u.instead = why
	k, ok := c.below(i, 0)
	if !ok {
		u.instead = ""
		return false
	}
	u.grants = nil
	c.newBudget(i)
	c.onRung(i, k)
	return true
}

// rejection is what the plan may read of one.
func rejection(u *Unit) any {
	if u.Rejected == nil {
		return nil
	}
	return map[string]any{"by": u.Rejected.By, "reason": u.Rejected.Reason}
}

// alarm tells people that a worker refused to execute what nobody had wanted: somebody else put a message into the
// queue. It is told once for each such attempt.
func (c *change) alarm(e Failed) {
	if e.Fault.Class != PolicyDenied || c.known(e.Attempt) || c.alarms[e.Attempt] || len(c.alarms) >= maxAlarms {
		return
	}
	if c.alarms == nil {
		c.alarms = map[Attempt]bool{}
	}
	c.alarms[e.Attempt] = true
	f := e.Fault
	f.Message = "a worker refused a step message that this run never wanted, " + AttemptName(c.Run, e.Attempt) + ": " + f.Message
	c.ask(RunUnit, KindFailure, f)
}

// maxAlarms bounds what a flood of forged messages can do to one run.
const maxAlarms = 20

// known reports whether the run has ever wanted attempt a.
func (c *change) known(a Attempt) bool {
	i := c.Unit(a.Step)
	if i < 0 {
		return false
	}
	for n := range c.Units[i].Attempts {
		if c.Units[i].Attempts[n].is(a) {
			return true
		}
	}
	return false
}
