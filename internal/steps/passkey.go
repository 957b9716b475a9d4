package steps

import (
	"crypto/sha256"
	"encoding/json"
	"time"
)

// ApprovalProof says what an approval must come with, beside the dispatcher's signature.
type ApprovalProof string

// ProofPasskey asks for what a passkey of the approver has signed: the dispatcher alone then approves nothing.
const ProofPasskey ApprovalProof = "passkey"

// Assertion is what somebody's passkey has signed in a browser (WebAuthn). Its challenge is that of the grant that it stands
// in, so it is good for no other call. The core asks only that there is one; the desk and the worker check it.
type Assertion struct {
	Credential    string `json:"credential"`         // id of the passkey, in base64url
	Client        []byte `json:"client_data"`        // what the browser says it asked for, JSON
	Authenticator []byte `json:"authenticator_data"` // what the device says, and whether it has checked who holds it
	Signature     []byte `json:"signature"`          // of both
}

// Challenge is what a passkey must sign for g to count: the exact call, where it is asked, and who approves. Submitted is
// the log's time of the run's first record, so that what was signed for a run does not count in another one that gets its
// id later.
func (g Grant) Challenge(submitted time.Time) []byte {
	b, err := json.Marshal(struct {
		Run        string    `json:"run"`
		Submitted  time.Time `json:"submitted"`
		Step       string    `json:"step"`
		Round      int       `json:"round"`
		Tool       string    `json:"tool"`
		Digest     string    `json:"digest"`
		Escalation string    `json:"escalation"`
		By         string    `json:"by"`
		CallKey    string    `json:"call_key"`
	}{g.Run, submitted.UTC(), g.Step, g.Round, g.Tool, g.Digest, g.Escalation, g.By, g.CallKey})
	if err != nil {
		panic("steps: a challenge cannot be written: " + err.Error()) // strings and times of a log always can
	}
	sum := sha256.Sum256(append([]byte("belay passkey v1\n"), b...))
	return sum[:]
}

// asksPasskey reports whether a approves nothing without a passkey; a is nil where nothing needs approval.
func (a *Approval) asksPasskey() bool { return a != nil && a.Proof == ProofPasskey }

// Proven reports whether g comes with what the rule a asks for.
func (a *Approval) Proven(g *Grant) bool { return !a.asksPasskey() || g != nil && g.Passkey != nil }
