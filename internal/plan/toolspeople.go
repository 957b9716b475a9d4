package plan

import (
	"encoding/json"
	"slices"
	"time"

	"go.yaml.in/yaml/v4"

	"belay/internal/expr"
	"belay/internal/steps"
	"belay/internal/yamldoc"
)

// defaultValidFor is how long an approval may wait for its worker.
const defaultValidFor = steps.Duration(time.Hour)

// inProbe is what is asked about a probe's answer: the call's parameters, and the probe's output.
var inProbe = expr.Readable{Roots: []string{"params", "output"}, Absent: map[string]string{
	"input": toolsSeeParams, "steps": toolsSeeParams, "run": toolsSeeParams, "item": toolsSeeParams, "index": toolsSeeParams,
}}

// inApproval is what an approval rule may read: the call's parameters, and whether they are made from untrusted output.
var inApproval = expr.Readable{Roots: []string{"params", "untrusted"}, Absent: inTools.Absent}

// readApproval reads `approval: always`, or a mapping that says when and by whom.
func (f *toolsFile) readApproval(t *ToolDef, n *yaml.Node) {
	a := defaultApproval()
	t.Approval = a
	if yamldoc.IsString(n) {
		if n.Value != "always" {
			f.At(n, `always, or {when: "params.amount > 100"}`, "%q is not allowed here", yamldoc.Shorten(n.Value))
		}
		return
	}
	f.Object(n, "approval", f.approvalFields(a))
}

func defaultApproval() *steps.Approval {
	return &steps.Approval{
		Decisions: []steps.Verb{steps.VerbApprove, steps.VerbReject, steps.VerbEdit, steps.VerbAbort},
		Approvers: 1, ValidFor: defaultValidFor, OnDeadline: steps.ExpiryEscalate,
	}
}

// approvalFields are the keys of an approval.
func (f *toolsFile) approvalFields(a *steps.Approval) yamldoc.Fields {
	return yamldoc.Fields{
		"when":          f.condition(&a.When, inApproval),
		"decisions":     func(n *yaml.Node) { f.readDecisions(a, n) },
		"approvers":     f.Int(&a.Approvers, 1, 2),
		"not_submitter": f.Bool(&a.NotSubmitter),
		"proof":         yamldoc.Choice(f.Reader, &a.Proof, steps.ProofPasskey),
		"valid_for":     f.duration(&a.ValidFor, time.Second),
		"deadline":      f.duration(&a.Deadline, time.Second),
		"on_deadline":   f.expiry(&a.OnDeadline),
		"on_reject":     yamldoc.Choice(f.Reader, &a.OnReject, steps.RejectFail, steps.RejectSkip, steps.RejectFallback),
	}
}

func (f *toolsFile) expiry(into *steps.OnExpiry) yamldoc.Field {
	return yamldoc.Choice(f.Reader, into, steps.ExpiryEscalate, steps.ExpiryFail, steps.ExpiryFallback, steps.ExpiryPark)
}

// condition reads a bare expression that gives true or false.
func (f *toolsFile) condition(into *string, see expr.Readable) yamldoc.Field {
	return func(n *yaml.Node) {
		if s, ok := f.Text(n); ok {
			*into = s
			f.checkBare(n, s, see, true)
		}
	}
}

func (f *toolsFile) readDecisions(a *steps.Approval, n *yaml.Node) {
	a.Decisions = nil
	f.List(n, "decisions", func(_ int, e *yaml.Node) {
		var v steps.Verb
		yamldoc.Choice(f.Reader, &v, steps.VerbApprove, steps.VerbReject, steps.VerbEdit, steps.VerbAnswer, steps.VerbSkip, steps.VerbAbort)(e)
		if v != "" && !slices.Contains(a.Decisions, v) {
			a.Decisions = append(a.Decisions, v)
		}
	})
	if !slices.Contains(a.Decisions, steps.VerbReject) && !slices.Contains(a.Decisions, steps.VerbAbort) {
		f.At(n, "add reject or abort", "a person must be able to say no")
	}
}

// readVerify reads the probe: an executor like a rung's, and what its answer means.
func (f *toolsFile) readVerify(t *ToolDef, n *yaml.Node) {
	r := RungDef{Rung: steps.Rung{Name: steps.VerifyRung, Timeout: -1, Retry: DefaultRetry()}}
	r.at.node, r.at.file = yamldoc.Resolve(n), f.FileName()
	v := &steps.Verify{}
	keys := f.verifyFields(t, v, &r)
	found := f.Object(n, "verify", keys)
	f.Require(n, "verify", found, "happened")
	f.oneExecutor(n, "verify", found, keys, &r)
	if r.Timeout < 0 {
		r.Timeout = defaultTimeout(r.Executor)
	}
	f.settleGrace(n, &r)
	v.Rung = r.Rung
	t.Tool.Verify, t.Probe = v, &r
}

// verifyFields are the keys of a probe, its executors included.
func (f *toolsFile) verifyFields(t *ToolDef, v *steps.Verify, r *RungDef) yamldoc.Fields {
	keys := f.rungFields(t, r)
	// A probe looks at the world; a program that polls for the tool would execute it instead, and a model sees nothing of it.
	for _, key := range []string{"name", "cost", "cache", "static", "human", "remote", "model"} {
		delete(keys, key)
	}
	keys["happened"] = f.condition(&v.Happened, inProbe)
	keys["output"] = func(n *yaml.Node) {
		f.json(&v.Output)(n)
		f.checkTemplate(n, inProbe)
	}
	return keys
}

// readHuman reads a rung on which a person gives the result.
func (f *toolsFile) readHuman(r *RungDef, n *yaml.Node) {
	h := &steps.Human{OnDeadline: steps.ExpiryEscalate}
	found := f.Object(n, "human", f.humanFields(h))
	f.Require(n, "human", found, "question")
	if len(h.Options) > 0 && len(h.Schema) > 0 {
		f.At(found["options"], "", "human takes either options or answer_schema, not both")
	}
	if len(h.Options) > 0 {
		h.Schema, r.at.options = enum(h.Options), found["options"]
	}
	r.Human, r.Target = h, "a person"
}

// humanFields are the keys of a human rung's executor.
func (f *toolsFile) humanFields(h *steps.Human) yamldoc.Fields {
	return yamldoc.Fields{
		"question": func(n *yaml.Node) {
			if s, ok := f.Text(n); ok {
				h.Question = s
				f.checkTemplate(n, inTools)
			}
		},
		"options": func(n *yaml.Node) {
			f.List(n, "options", func(_ int, e *yaml.Node) {
				if s, ok := f.Text(e); ok {
					h.Options = append(h.Options, s)
				}
			})
			if len(h.Options) == 0 {
				f.At(n, "", "options needs at least one answer")
			}
		},
		"answer_schema": func(n *yaml.Node) { f.schema(n, &h.Schema) },
		"deadline":      f.duration(&h.Deadline, time.Second),
		"on_deadline":   f.expiry(&h.OnDeadline),
	}
}

func enum(words []string) json.RawMessage {
	raw, err := expr.Canonical(map[string]any{"type": "string", "enum": anys(words)})
	if err != nil {
		panic("plan: words cannot be written: " + err.Error())
	}
	return raw
}

func anys(words []string) []any {
	list := make([]any, len(words))
	for i, w := range words {
		list[i] = w
	}
	return list
}

// settlePeople is done once the whole tool is read: what an approval and a question take from the rest of it.
func (f *toolsFile) settlePeople(t *ToolDef, n *yaml.Node) {
	for i := range t.Rungs {
		if h := t.Rungs[i].Human; h != nil && len(h.Schema) == 0 && len(h.Output) == 0 {
			h.Schema = t.OutputSchema
		}
	}
	acts := slices.ContainsFunc(t.Rungs, func(r RungDef) bool { return r.acts() })
	if !acts && yamldoc.ValueOf(n, "effects") == nil {
		t.Effects = steps.EffectsNone // nothing in it can have any
	}
	a := t.Approval
	if a == nil {
		return
	}
	harmless := slices.ContainsFunc(t.Rungs, func(r RungDef) bool { return r.Harmless() })
	if !harmless && (a.OnReject == steps.RejectFallback || a.OnDeadline == steps.ExpiryFallback) {
		f.At(yamldoc.ValueOf(n, "approval"), "add a rung with cache, static or human", "nothing to fall back to: every rung of the tool acts, and needs the approval")
	}
	t.Definition = f.define(t, n)
	t.NeedsApproval = needsApproval(a.When)
}
