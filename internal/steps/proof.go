package steps

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"time"
)

// Proof shows who submitted a run: the way in that saw their token has signed the [Submission].
type Proof struct {
	Key       string    `json:"key"`       // id of the key that signs
	At        time.Time `json:"at"`        // the signer's clock
	Signature []byte    `json:"signature"` // of [Submission.Statement]
}

// Submission is what a proof is of: this person, with this token, asks for this run, with exactly this content.
type Submission struct {
	Run     string    `json:"run"`     // its id
	By      string    `json:"by"`      // who submitted it
	Token   string    `json:"token"`   // id of the API token that they showed
	Request string    `json:"request"` // see [Submitted]
	Content string    `json:"content"` // digest of everything that the run begins with
	Key     string    `json:"key"`     // id of the key that signs
	At      time.Time `json:"at"`      // the signer's clock
}

// Statement is what is signed.
func (s Submission) Statement() []byte {
	s.At = s.At.UTC()
	b, err := json.Marshal(s)
	if err != nil {
		panic("steps: a submission cannot be written: " + err.Error()) // strings and times always can
	}
	return append([]byte("belay submission v1\n"), b...)
}

// Prepare brings what is to be signed into the form in which every reader of the log will find it: spaces in documents may
// get lost on the way there.
func (e *Submitted) Prepare() {
	e.Epoch, e.Document, e.Input = Epoch, compact(e.Document), compact(e.Input)
}

// Submission is what a proof of e is of, apart from the key and the time of the signer.
func (e Submitted) Submission(run string) Submission {
	return Submission{Run: run, By: e.By, Token: e.Token, Request: e.Request, Content: e.content()}
}

// content is the digest of everything that a run begins with, but for the proof.
func (e Submitted) content() string {
	parts := [][]byte{e.Document, e.Input, nil}
	e.Document, e.Input, e.Proof = nil, nil, nil
	e.Carried = slices.Clone(e.Carried)
	for i := range e.Carried {
		if d := e.Carried[i].Degraded; d != nil {
			exact := *d
			exact.Age = 0 // it is written as a fraction of seconds, which may be read as a nanosecond less
			e.Carried[i].Degraded = &exact
		}
	}
	var err error
	if parts[2], err = json.Marshal(e); err != nil {
		return "" // carried outputs that are not JSON were refused before; nothing is signed of it
	}
	h := sha256.New()
	for _, part := range parts {
		sum := sha256.Sum256(part)
		h.Write(sum[:])
	}
	return hex.EncodeToString(h.Sum(nil))
}

func compact(raw json.RawMessage) json.RawMessage {
	if !spaced(raw) {
		return raw
	}
	var b bytes.Buffer
	if json.Compact(&b, raw) != nil {
		return raw
	}
	return b.Bytes()
}

// spaced reports whether there is a space between the tokens of a document.
func spaced(raw json.RawMessage) bool {
	inText := false
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; {
		case c == '"':
			inText = !inText
		case inText && c == '\\':
			i++
		case !inText && (c == ' ' || c == '\t' || c == '\n' || c == '\r'):
			return true
		}
	}
	return false
}

// proofAge is how far the time of a proof and that of the log may be apart: a later one was taken from a run that is gone.
const proofAge = 10 * time.Minute

// Proof is what the run's log says in proof of who submitted it; nil = nothing.
func (s *State) Proof() (of Submission, p *Proof) {
	if s.proof == nil {
		return of, nil
	}
	of = *s.submission
	of.Key, of.At = s.proof.Key, s.proof.At
	return of, s.proof
}

// InTime reports whether a proof was made when the run began: one of another time was taken from a run that is gone.
func (p *Proof) InTime(begin time.Time) bool { return begin.Sub(p.At).Abs() <= proofAge }
