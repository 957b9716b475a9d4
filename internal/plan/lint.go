package plan

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"belay/internal/steps"
)

// warn notes what is no mistake, and may still not be what was meant.
func (r *reader) warn(n *yaml.Node, hint, format string, args ...any) {
	r.warnings = append(r.warnings, Problem{File: r.src.file, Line: n.Line, Col: n.Column, Message: fmt.Sprintf(format, args...), Hint: hint})
}

// warnInside notes remarks about the value of a scalar at their own places.
func (r *reader) warnInside(n *yaml.Node, remarks []fault) {
	for _, f := range remarks {
		line, col := r.src.locate(n, f.at)
		r.warnings = append(r.warnings, Problem{File: r.src.file, Line: line, Col: col, Message: f.message, Hint: f.hint})
	}
}

// watches makes what the expressions of a plan should mind, from what is declared: a person may skip any step that has
// failed, and no plan need think of that.
func (p *planFile) watches(tools *Tools, index map[string]int) watches {
	w := watches{steps: p.steps, index: index, why: make(map[string]string, len(p.steps))}
	for _, s := range p.steps {
		if why := mayBeNull(s, tools); why != "" {
			w.why[s.ID] = why
		}
	}
	return w
}

type watches struct {
	steps []*planStep
	index map[string]int
	why   map[string]string // by step: why its output may be null
}

// perItem recognises a condition that is asked for each item: the output of its step is a list then.
var perItem = regexp.MustCompile(`\b(item|index)\b`)

func mayBeNull(s *planStep, tools *Tools) string {
	switch {
	case s.When != "" && (s.ForEach == "" || !perItem.MatchString(s.When)):
		return "the step has a when"
	case s.ForEach != "" || tools == nil || tools.Tools[s.Tool] == nil:
		return ""
	case s.OnFailure == steps.OnFailureSkip:
		return "on_failure skips the step"
	}
	t := tools.Tools[s.Tool]
	switch a := t.Approval; {
	case a != nil && a.OnReject == steps.RejectSkip:
		return "a rejection skips the step (on_reject of " + t.Name + ")"
	case a != nil && slices.Contains(a.Decisions, steps.VerbSkip):
		return "an approver may skip the step (decisions of " + t.Name + ")"
	case slices.ContainsFunc(t.Rungs, func(r RungDef) bool { return r.takesNull(t) }):
		return "a person may answer null (" + t.Name + " has no schema against it)"
	}
	return ""
}

// takesNull reports whether a person may answer null on this rung, and that is the step's output.
func (r *RungDef) takesNull(t *ToolDef) bool {
	if r.Human == nil || len(r.Human.Output) > 0 || t.CheckOutput != nil && t.CheckOutput(null) != nil {
		return false
	}
	check, err := CompileSchema(r.Human.Schema)
	return err == nil && (check == nil || check(null) == nil)
}

var null = []byte("null")

// of is for the expressions of step s. What its own condition has looked at they need not look at again; nor need they
// mind a step that is left out under the very same condition.
func (w watches) of(s *planStep) *watch {
	asked := map[string]bool{}
	if s.When != "" {
		source, _ := bare(s.When)
		see := view{roots: []string{"input", "steps", "run", "item", "index"}, steps: w.index}
		if e, _ := compileExpression(source, see, false); e != nil {
			for _, id := range e.uses.steps {
				asked[id] = true
			}
		}
	}
	return &watch{mayBeNull: func(id string) string {
		if asked[id] || id == s.ID || w.sameWhen(id, s) {
			return ""
		}
		return w.why[id]
	}}
}

func (w watches) sameWhen(id string, s *planStep) bool {
	i, ok := w.index[id]
	if !ok || s.When == "" {
		return false
	}
	o := w.steps[i]
	return strings.TrimSpace(o.When) == strings.TrimSpace(s.When) && o.OnFailure != steps.OnFailureSkip
}

// all is for expressions that belong to no step.
func (w watches) all() *watch { return &watch{mayBeNull: func(id string) string { return w.why[id] }} }

// checkTimes warns of tools that have more time for a step than the whole run has; of each tool once.
func (p *planFile) checkTimes(tools *Tools) {
	seen := map[string]bool{}
	for _, s := range p.steps {
		if tools == nil || s.toolNode == nil || tools.Tools[s.Tool] == nil || seen[s.Tool] || p.plan.Deadline <= 0 {
			continue
		}
		seen[s.Tool] = true
		t := tools.Tools[s.Tool]
		if t.at.timeout != nil && t.Timeout > p.plan.Deadline {
			p.warn(s.toolNode, "the run's deadline comes first", "a step of %s may take %s, the whole run %s", t.Name, spokenDuration(t.Timeout), spokenDuration(p.plan.Deadline))
			continue
		}
		for _, r := range t.Rungs {
			if r.at.timeout != nil && r.Timeout > p.plan.Deadline {
				p.warn(s.toolNode, "the run's deadline comes first", "an attempt of %s/%s may take %s, the whole run %s", t.Name, r.Name, spokenDuration(r.Timeout), spokenDuration(p.plan.Deadline))
			}
		}
	}
}

func spokenDuration(d steps.Duration) string { return spoken(time.Duration(d)) }

// LintedWith are all warnings of a plan and of its tools file, those of tools included that the plan does not name.
func (d *Document) LintedWith(tools *Tools) Problems {
	var others Problems
	for name, t := range tools.Tools {
		if _, named := d.Definition.Tools[name]; !named {
			others = append(others, t.Warnings...)
		}
	}
	return append(slices.Clone(d.Warnings), others.sorted()...)
}

// warningsOf are those of the plan and of the tools that it names.
func (p *planFile) warningsOf(tools *Tools) Problems {
	var ofTools Problems
	for _, s := range p.steps {
		ofTools = append(ofTools, tools.Tools[s.Tool].Warnings...)
		if s.Compensate != nil {
			ofTools = append(ofTools, tools.Tools[s.Compensate.Tool].Warnings...)
		}
	}
	return append(p.warnings.sorted(), ofTools.sorted()...)
}
