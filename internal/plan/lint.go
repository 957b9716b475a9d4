package plan

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"belay/internal/expr"
	"belay/internal/steps"
	"belay/internal/yamldoc"
)

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
	case s.Agent != nil:
		return "" // its output is an answer that fits
	}
	t := tools.Tools[s.Tool]
	takesNull := func(r RungDef) bool { return s.Agent == nil && r.takesNull(t) } // what an agent gives, its own schema says
	switch a := t.Approval; {
	case a != nil && a.OnReject == steps.RejectSkip:
		return "a rejection skips the step (on_reject of " + t.Name + ")"
	case a != nil && slices.Contains(a.Decisions, steps.VerbSkip):
		return "an approver may skip the step (decisions of " + t.Name + ")"
	case slices.ContainsFunc(t.Rungs, takesNull):
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
func (w watches) of(s *planStep) *expr.Watch {
	asked := map[string]bool{}
	if s.When != "" {
		source, _ := expr.Bare(s.When)
		see := expr.Readable{Roots: []string{"input", "steps", "run", "item", "index"}, Steps: w.index}
		if e, _ := expr.Compile(source, see, false); e != nil {
			for _, id := range e.Uses.Steps {
				asked[id] = true
			}
		}
	}
	return &expr.Watch{MayBeNull: func(id string) string {
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
func (w watches) all() *expr.Watch {
	return &expr.Watch{MayBeNull: func(id string) string { return w.why[id] }}
}

// checkTimes warns of tools that have more time for a step than the whole run has; of each tool once.
func (p *planFile) checkTimes(tools *Tools) {
	seen := map[string]bool{}
	for _, s := range p.steps {
		if tools == nil || p.plan.Deadline <= 0 {
			return
		}
		for _, call := range s.calls() {
			if t := tools.Tools[call.tool]; t != nil && call.at != nil && !seen[t.Name] {
				seen[t.Name] = true
				p.checkTime(call.at, t)
			}
		}
	}
}

// calledAt is a tool, and where the plan says that it is called.
type calledAt struct {
	tool string
	at   *yaml.Node
}

// calls are the tool of a step, which is the model of an agent, that of its summaries, and those that an agent may call.
func (s *planStep) calls() []calledAt {
	list := []calledAt{{s.Tool, s.toolNode}}
	if s.Agent != nil && s.Agent.Summary != nil {
		list = append(list, calledAt{s.Agent.Summary.Model, s.agent.summary.model})
	}
	for k, at := range s.agent.found {
		list = append(list, calledAt{s.Agent.Tools[k], at})
	}
	return list
}

func (p *planFile) checkTime(at *yaml.Node, t *ToolDef) {
	if t.at.timeout != nil && t.Timeout > p.plan.Deadline {
		p.Warn(at, "the run's deadline comes first", "a step of %s may take %s, the whole run %s", t.Name, spokenDuration(t.Timeout), spokenDuration(p.plan.Deadline))
		return
	}
	for _, r := range t.Rungs {
		if r.at.timeout != nil && r.Timeout > p.plan.Deadline {
			p.Warn(at, "the run's deadline comes first", "an attempt of %s/%s may take %s, the whole run %s", t.Name, r.Name, spokenDuration(r.Timeout), spokenDuration(p.plan.Deadline))
		}
	}
}

// lintModels warns of models whose turns are not simply asked for: a turn is nothing that is done to the world.
func (p *planFile) lintModels(tools *Tools) {
	for _, s := range p.steps {
		if s.Agent == nil || tools == nil || s.toolNode == nil || tools.Tools[s.Tool] == nil {
			continue
		}
		t := tools.Tools[s.Tool]
		if t.Effects.Unsafe() {
			p.Warn(s.toolNode, "in the tool "+t.Name+": effects: none", "the agent's model %s is unsafe: a turn whose answer was lost is not asked for again, and people must say what it was", t.Name)
		}
		if t.Approval != nil {
			p.Warn(s.toolNode, "let the tools that the agent calls need the approval", "the agent's model %s needs approval: people are asked about every turn, before anybody knows what it proposes", t.Name)
		}
		p.lintConversations(s, tools)
	}
}

// lintConversations warns of models that do not read what they are to go on with, or to summarise.
func (p *planFile) lintConversations(s *planStep, tools *Tools) {
	asked := []calledAt{{s.Tool, s.toolNode}}
	if m := s.Agent.Summary; m != nil && m.Model != s.Tool {
		asked = append(asked, calledAt{m.Model, s.agent.summary.model})
		if t := tools.Tools[m.Model]; t != nil && t.Effects.Unsafe() {
			p.Warn(s.agent.summary.model, "in the tool "+t.Name+": effects: none", "the model of the agent's summaries, %s, is unsafe: one whose answer was lost is not asked for again, and people must say what it was", t.Name)
		}
	}
	for _, a := range asked {
		t := tools.Tools[a.tool]
		for k := 0; t != nil && k < len(t.Rungs); k++ {
			if m := t.Rungs[k].Spec.Model; m != nil && m.Prompt != nil {
				p.Warn(a.at, "in the tool "+t.Name+": leave prompt out", "rung %s of %s has a prompt of its own, and is not told of the agent's conversation", t.Rungs[k].Name, t.Name)
			}
		}
	}
}

func spokenDuration(d steps.Duration) string { return yamldoc.SpokenDuration(time.Duration(d)) }

// LintedWith are all warnings of a plan and of its tools file, those of tools included that the plan does not name.
func (d *Document) LintedWith(tools *Tools) yamldoc.Problems {
	var others yamldoc.Problems
	for name, t := range tools.Tools {
		if _, named := d.Definition.Tools[name]; !named {
			others = append(others, t.Warnings...)
		}
	}
	return append(slices.Clone(d.Warnings), others.Sorted()...)
}

// warningsOf are those of the plan and of the tools that it names.
func (p *planFile) warningsOf(tools *Tools) yamldoc.Problems {
	var ofTools yamldoc.Problems
	for _, s := range p.steps {
		for _, call := range s.calls() {
			if t := tools.Tools[call.tool]; t != nil {
				ofTools = append(ofTools, t.Warnings...)
				if t.Undo != nil {
					ofTools = append(ofTools, tools.Tools[t.Undo.Tool].Warnings...)
				}
			}
		}
		if s.Compensate != nil {
			ofTools = append(ofTools, tools.Tools[s.Compensate.Tool].Warnings...)
		}
	}
	return append(p.Warnings.Sorted(), ofTools.Sorted()...)
}
