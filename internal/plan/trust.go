package plan

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v4"

	"belay/internal/steps"
	"belay/internal/yamldoc"
)

// trust reads whether somebody vouches for what a tool gives.
func (f *toolsFile) trust(into *steps.Trust) yamldoc.Field {
	return func(n *yaml.Node) {
		var said steps.Trust
		yamldoc.Choice(f.Reader, &said, steps.Untrusted, "trusted")(n)
		if said == steps.Untrusted {
			*into = said
		}
	}
}

// settleTrust is done once all tools are read. Where the file has untrusted ones, a tool with unsafe effects that says nothing
// about approval acts on what strangers may have written only with one.
func (f *toolsFile) settleTrust() {
	some := false
	for _, t := range f.tools.Tools {
		some = some || t.Trust == steps.Untrusted
	}
	for _, t := range f.tools.Tools {
		if !some || !t.Effects.Unsafe() {
			continue
		}
		if t.Approval != nil {
			before := len(f.Warnings)
			f.coded(TrustUnasked, func() { f.lintTrust(t) })
			t.Warnings = append(t.Warnings, f.Warnings[before:]...)
			continue
		}
		t.Approval = defaultApproval()
		t.Approval.When = "untrusted"
		t.Definition = f.define(t, t.at.node)
		t.NeedsApproval = needsApproval(t.Approval.When)
	}
}

// lintTrust warns of a rule that asks about some calls only, and goes by nothing but what strangers may have chosen.
func (f *toolsFile) lintTrust(t *ToolDef) {
	if when := t.Approval.When; when != "" && !strings.Contains(when, "untrusted") {
		f.Warn(yamldoc.ValueOf(t.at.node, "approval"), fmt.Sprintf("when: %q", "untrusted || ("+when+")"),
			"%s acts unasked on what an untrusted tool of this file gives, wherever its rule does not ask", t.Name)
	}
}
