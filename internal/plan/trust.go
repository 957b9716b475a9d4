package plan

import (
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
		if !some || t.Approval != nil || !t.Effects.Unsafe() {
			continue
		}
		t.Approval = defaultApproval()
		t.Approval.When = "untrusted"
		t.Definition = f.define(t, t.at.node)
		t.NeedsApproval = needsApproval(t.Approval.When)
	}
}
