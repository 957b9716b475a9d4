package steps

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"time"
)

// ToolPolicy is what a tools file says about what a tool may do to the world, and about who must agree to it. The
// submitter's is pinned into the run; each worker has its own, and whatever is stricter counts.
type ToolPolicy struct {
	Effects      Effects         `json:"effects"`                 // whether it may be repeated
	Trust        Trust           `json:"trust,omitempty"`         // whether somebody vouches for its output
	Approval     *Approval       `json:"approval,omitempty"`      // nil: it may act unasked
	InputSchema  json.RawMessage `json:"input_schema,omitempty"`  // JSON Schema of the parameters
	OutputSchema json.RawMessage `json:"output_schema,omitempty"` // JSON Schema of the output
	Verify       *Verify         `json:"verify,omitempty"`        // nil: only a person can settle an unknown outcome
	// Definition is what approvals are bound to, as in [Tool]; empty where nothing needs approval.
	Definition map[string]string `json:"definition,omitempty"`
}

// Policy is the policy part of a tool.
func (t *Tool) Policy() ToolPolicy {
	return ToolPolicy{
		Effects: t.Effects, Trust: t.Trust, Approval: t.Approval, InputSchema: t.InputSchema, OutputSchema: t.OutputSchema, Verify: t.Verify, Definition: t.Definition,
	}
}

// Digest names a policy: two tools files that say the same of a tool have the same. How patiently a probe is tried, and
// fractions of a millisecond that are lost between two encodings, are no part of it.
func (p ToolPolicy) Digest() string {
	if p.Verify != nil {
		v := *p.Verify
		v.Timeout, v.Retry = 0, RetryPolicy{}
		p.Verify = &v
	}
	if p.Approval != nil {
		a := *p.Approval
		a.ValidFor, a.Deadline = wholeMillis(a.ValidFor), wholeMillis(a.Deadline)
		p.Approval = &a
	}
	raw, err := json.Marshal(p)
	if err != nil {
		return "" // a schema that is not JSON; no policy has this digest, so this one is never taken for another
	}
	if canonical, err := Canonical(raw); err == nil {
		raw = canonical
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:8])
}

func wholeMillis(d Duration) Duration { return Duration(time.Duration(d).Round(time.Millisecond)) }

// tightened is t with p added: whatever either of them asks for is asked for. changes are the parts of the tool that p
// changes, in the words of a tools file; empty means that t asks for all of it already.
func (t *Tool) tightened(p ToolPolicy) (merged Tool, changes []string) {
	merged = *t
	merged.Effects = saferEffects(t.Effects, p.Effects)
	merged.Trust = cmp.Or(t.Trust, p.Trust)
	merged.Approval = bothApprovals(t.Approval, p.Approval)
	merged.InputSchema = orRaw(t.InputSchema, p.InputSchema)
	merged.OutputSchema = orRaw(t.OutputSchema, p.OutputSchema)
	if p.Verify != nil {
		merged.Verify = p.Verify // the worker executes it, so it is the worker's
	}
	if len(p.Definition) > 0 {
		merged.Definition = p.Definition // what an approval is checked against, right before the call
	}
	old, now := t.Policy(), merged.Policy()
	for _, part := range []struct {
		name     string
		old, now any
	}{
		{"effects", old.Effects, now.Effects}, {"trust", old.Trust, now.Trust}, {"approval", old.Approval, now.Approval}, {"input_schema", old.InputSchema, now.InputSchema},
		{"output_schema", old.OutputSchema, now.OutputSchema}, {"verify", old.Verify, now.Verify}, {"definition", old.Definition, now.Definition},
	} {
		if !sameJSON(part.old, part.now) {
			changes = append(changes, part.name)
		}
	}
	return merged, changes
}

// sameJSON compares what is written as JSON, in whatever order its members stand.
func sameJSON(a, b any) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	if errX != nil || errY != nil || bytes.Equal(x, y) {
		return errX == nil && errY == nil
	}
	x, errX = Canonical(x)
	y, errY = Canonical(y)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

func saferEffects(a, b Effects) Effects {
	switch {
	case a.Unsafe() || b.Unsafe():
		return EffectsUnsafe
	case a == EffectsIdempotent || b == EffectsIdempotent:
		return EffectsIdempotent
	}
	return EffectsNone
}

// bothApprovals asks for approval where either rule does, on the stricter terms. Where only one has a rule, that one
// counts. How long people have, and what happens then, is what the first one says where it has a rule.
func bothApprovals(a, b *Approval) *Approval {
	if a == nil || b == nil {
		if a == nil {
			return b
		}
		return a
	}
	both := *a
	both.When = either(a.When, b.When)
	both.Approvers = max(a.Approvers, b.Approvers)
	both.NotSubmitter = a.NotSubmitter || b.NotSubmitter
	both.Proof = cmp.Or(a.Proof, b.Proof)
	both.ValidFor = min(a.ValidFor, b.ValidFor)
	both.Decisions = slices.DeleteFunc(slices.Clone(a.Decisions), func(v Verb) bool { return !slices.Contains(b.Decisions, v) })
	return &both
}

// either is the condition that holds when one of two does; an empty one always holds.
func either(a, b string) string {
	switch {
	case a == "" || b == "":
		return ""
	case a == b:
		return a
	}
	return "(" + a + ") || (" + b + ")"
}

// orRaw is the first schema that there is. Forms and edits go by it; the worker checks the submitted schema and its own.
func orRaw(a, b json.RawMessage) json.RawMessage {
	if len(a) == 0 {
		return b
	}
	return a
}
