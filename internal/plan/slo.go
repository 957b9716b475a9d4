package plan

import (
	"time"

	"go.yaml.in/yaml/v4"

	"belay/internal/steps"
	"belay/internal/yamldoc"
)

// LongestSLO is the longest window of an objective: results are not kept for longer.
const LongestSLO = 30 * 24 * time.Hour

// readSLO reads how a tool's calls should go.
func (f *toolsFile) readSLO(t *ToolDef, n *yaml.Node) {
	s := steps.SLO{Window: steps.Duration(LongestSLO)}
	found := f.Object(n, "slo", f.sloFields(&s))
	f.Require(n, "slo", found, "primary")
	if time.Duration(s.Window) > LongestSLO {
		f.At(found["window"], "at most 30d", "results are kept for 30 days, and the window is longer: %s", s.Window)
	}
	if s.Primary > 0 {
		t.SLO = &s
	}
}

// sloFields are the keys of an objective.
func (f *toolsFile) sloFields(s *steps.SLO) yamldoc.Fields {
	return yamldoc.Fields{
		"primary":  f.share(&s.Primary, 1),
		"window":   f.duration(&s.Window, time.Hour),
		"decision": f.duration(&s.Decision, time.Second),
	}
}
