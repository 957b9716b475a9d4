package steps

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// Guard is what a worker checks right before it acts, against its own tools file. It believes nothing that the message
// says: whoever can publish to the queue can write anything there.
type Guard struct {
	Tool   *Tool             // the worker's own
	Needed bool              // its approval rule asks for approval of these parameters, or cannot be evaluated
	Check  func(Grant) error // returns an error for a grant that no trusted key has signed
	// Passkey returns an error for a grant for whose challenge no trusted passkey of its approver has signed.
	Passkey func(g Grant, challenge []byte) error
	Now     time.Time     // the log's time, or a little earlier: whoever asks knows it as well as the server's answer was quick
	Within  time.Duration // it is at most this much later
}

// signedWithin is how wrong a signer, who goes by the log's time too, can be about it: as long as the server's answer may take.
// For how long an approval holds is measured by the times in the log alone, so that it neither holds longer nor shorter then.
const signedWithin = 5 * time.Second

// Refuse says why m must not be executed; nil lets it pass. Log is the run's, read after the attempt was claimed. With a
// nil log only what the message itself shows is checked.
//
// It reads the records of one step and not a fold on purpose: it is the second lock. What the fold accepts by the tools file
// that the run was submitted with, it compares with the worker's own, and a mistake in one is not a mistake in the other.
func (g Guard) Refuse(m StepMessage, log []Record) *Fault {
	if !g.Needed {
		return nil
	}
	why := g.unlike(m)
	if why == "" {
		why = g.tooFew(m, log)
	}
	if why == "" && log != nil {
		why = g.unused(m, log)
	}
	if why == "" {
		return nil
	}
	return &Fault{Class: PolicyDenied, Acted: ActedNo, Message: "not executed: " + why, Detail: "parameters of the refused message: " + cut(string(m.Params), 4<<10)}
}

func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "..."
}

// unlike says how the approvals differ from the call.
func (g Guard) unlike(m StepMessage) string {
	if len(m.Grants) == 0 {
		return g.Tool.Name + " needs a person's approval at this worker, and the message has none"
	}
	digest, err := g.Tool.CallDigest(m.Params)
	if err != nil {
		return err.Error()
	}
	for _, grant := range m.Grants {
		if why := g.foreign(m, grant, digest); why != "" {
			return why
		}
	}
	return ""
}

// tooFew says who approved when they are fewer people than the tool needs. The log says by which rules names are compared;
// without it they are compared as they are written, which is checked again once the log is read.
func (g Guard) tooFew(m StepMessage, log []Record) string {
	who, names := map[string]bool{}, map[string]bool{}
	rules := rulesOf(log)
	for _, grant := range m.Grants {
		who[rules.Person(grant.By)], names[grant.By] = true, true
	}
	if len(who) >= max(1, g.Tool.Approval.Approvers) {
		return ""
	}
	return "approved by " + strings.Join(slices.Sorted(maps.Keys(names)), ", ") + "; this worker's tools file asks for two people"
}

// rulesOf is a run of which only the epoch and who submitted it are known.
func rulesOf(log []Record) *State {
	for _, r := range log {
		if s, ok := r.Event.(Submitted); ok {
			return &State{epoch: epochOf(s), By: s.By}
		}
	}
	return &State{epoch: 1}
}

func (g Guard) foreign(m StepMessage, grant Grant, digest string) string {
	switch {
	case grant.Run != m.Run || grant.Step != m.Step || grant.Round != m.Round || grant.Tool != g.Tool.Name:
		return "the approval is for another call: " + AttemptName(grant.Run, Attempt{Step: grant.Step, Round: grant.Round}) + " of " + grant.Tool
	case grant.CallKey != "" && grant.CallKey != m.Key:
		return "the approval is for the idempotency key " + cut(grant.CallKey, 200) + ", and the message has another"
	case grant.Digest != digest:
		return g.difference(m, grant)
	case grant.By == "" || grant.Nonce == "":
		return "the approval does not say who gave it"
	case !m.Continues && g.Now.After(grant.Expires.Add(signedWithin)):
		return "the approval of " + grant.By + " expired at " + grant.Expires.UTC().Format(time.RFC3339)
	case g.Now.Add(g.Within + signedWithin).Before(grant.Issued):
		return "the approval was issued in the future, at " + grant.Issued.UTC().Format(time.RFC3339) + ": compare the clocks"
	}
	if err := g.Check(grant); err != nil {
		return "the approval is not genuine: " + err.Error()
	}
	if !g.Tool.Approval.Proven(&grant) {
		return "the approval of " + grant.By + " came without a passkey, and this worker's tools file asks for one (approval: {proof: passkey})"
	}
	return ""
}

// difference says what is not as it was approved. What the message says about the definition is used for this text only.
func (g Guard) difference(m StepMessage, grant Grant) string {
	pinned := Tool{Name: g.Tool.Name, Definition: m.Definition}
	if digest, err := pinned.CallDigest(m.Params); err != nil || digest != grant.Digest {
		return "the parameters are not the ones that " + grant.By + " approved"
	}
	var parts []string
	for part, sum := range m.Definition {
		if g.Tool.Definition[part] != sum {
			parts = append(parts, part)
		}
	}
	for part := range g.Tool.Definition {
		if _, ok := m.Definition[part]; !ok {
			parts = append(parts, part)
		}
	}
	slices.Sort(parts)
	return "the tool is not defined as it was when " + grant.By + " approved; different in this worker's tools file: " + strings.Join(parts, ", ")
}

// unused says why the run's log contradicts the approvals: the decision is not there, the submitter approved, or another
// attempt has acted on them already.
func (g Guard) unused(m StepMessage, log []Record) string {
	run := rulesOf(log)
	for _, grant := range m.Grants {
		n := decidedIn(log, grant)
		if n < 0 {
			return "the run's log has no such approval of " + grant.By
		}
		if now := log[len(log)-1].Time; !m.Continues && now.Sub(log[n].Time) > grant.Expires.Sub(grant.Issued) {
			return "the approval of " + grant.By + " expired at " + grant.Expires.UTC().Format(time.RFC3339)
		}
		if g.Tool.Approval.NotSubmitter && run.Person(run.By) == run.Person(grant.By) {
			return grant.By + " submitted the run, and may not approve it"
		}
		if why := g.unproven(log, grant); why != "" {
			return why
		}
	}
	u := use{Attempt: m.Attempt, unsafe: g.Tool.Effects.Unsafe(), open: map[Attempt]bool{}, chain: chain{by: map[Attempt]string{}, left: map[Attempt]bool{}}}
	for _, r := range SinceGrant(log, m) {
		u.note(r.Event)
		u.chain.note(r.Event)
	}
	if m.Continues {
		return u.mayGoOn()
	}
	switch {
	case u.done || len(u.open) > 0:
		return "the approval is used up: another attempt acts or has acted on it"
	case !u.failed && (m.Rung != 0 || m.Try != 1):
		return "no attempt before it has failed or was taken back"
	}
	return ""
}

// submittedAt is when the run of a log was submitted, as the log's server has noted it and nobody could write.
func submittedAt(log []Record) time.Time {
	for _, r := range log {
		if _, ok := r.Event.(Submitted); ok {
			return r.Time
		}
	}
	return time.Time{}
}

// unproven says why what stands as the approver's passkey proves nothing.
func (g Guard) unproven(log []Record, grant Grant) string {
	if !g.Tool.Approval.asksPasskey() {
		return ""
	}
	if g.Passkey == nil {
		return "this worker trusts no passkey"
	}
	if err := g.Passkey(grant, grant.Challenge(submittedAt(log))); err != nil {
		return "the passkey of " + grant.By + " did not approve this: " + err.Error()
	}
	return ""
}

// use is what other attempts have done on the approvals of one round.
type use struct {
	Attempt
	unsafe       bool
	done, failed bool             // failed: or taken back before anybody began it, as what a gate or a breaker holds back is
	open         map[Attempt]bool // claimed, and not ended without effect
	chain        chain
}

func (u *use) note(e Event) {
	switch e := e.(type) {
	case Claimed:
		switch {
		case !u.other(e.Attempt):
		case e.Worker != "":
			u.open[e.Attempt] = true
		default:
			u.failed = true
		}
	case Withdrawn:
		u.failed = u.failed || u.other(e.Attempt)
	case Objected:
		if u.other(e.Attempt) {
			u.failed = true
		}
	case Succeeded:
		u.done = u.done || u.other(e.Attempt)
	case Failed:
		if u.other(e.Attempt) && (!u.unsafe || !e.Fault.MayHaveActed()) {
			delete(u.open, e.Attempt)
			u.failed = true
		}
	}
}

func (u *use) other(a Attempt) bool { return a.Step == u.Step && a.Round == u.Round && a != u.Attempt }

// SinceGrant is the part of a run's log that follows the approval which m acts on; the whole log for a message without
// one. What was refused before an approval says nothing about the attempt that the approval allows.
func SinceGrant(log []Record, m StepMessage) []Record {
	for n, r := range slices.Backward(log) {
		d, ok := r.Event.(Decided)
		if ok && d.Grant != nil && slices.ContainsFunc(m.Grants, func(g Grant) bool { return g.Nonce == d.Grant.Nonce }) {
			return log[n+1:]
		}
	}
	return log
}

// decidedIn is the index of the record of an approval; -1 where there is none.
func decidedIn(log []Record, g Grant) int {
	return slices.IndexFunc(log, func(r Record) bool {
		d, ok := r.Event.(Decided)
		return ok && d.Grant != nil && d.By == g.By && d.Grant.Nonce == g.Nonce && d.Grant.Digest == g.Digest && d.Escalation == g.Escalation
	})
}
