package plan

import (
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"belay/internal/expr"
	"belay/internal/steps"
	"belay/internal/yamldoc"
)

// checkSteps is everything that can only be checked once all steps are read.
func (p *planFile) checkSteps(tools *Tools) {
	index := p.index()
	p.fillNeeds()
	needs := p.resolveNeeds(index)
	p.reportCycles(needs)
	views := newViews(index, needs)
	views.inputs = p.inputs()
	watches := p.watches(tools, index)
	before := len(p.Warnings)
	for i, s := range p.steps {
		p.checkTools(s, tools)
		p.checkExpressions(s, views, watches, i)
	}
	if p.output != nil {
		p.checkTemplate(p.output, views.output().Watched(watches.all()))
	}
	p.codeRemarks(before)
	p.coded(ToolTooLong, func() { p.checkTimes(tools) })
	p.coded(ModelActs, func() { p.lintModels(tools) })
	p.checkWaivers(index)
}

// index gives the place of every step by its id, and reports ids that come twice.
func (p *planFile) index() map[string]int {
	index := make(map[string]int, len(p.steps))
	for i, s := range p.steps {
		if s.ID == "" {
			continue
		}
		if first, ok := index[s.ID]; ok {
			p.At(yamldoc.ValueOf(s.node, "id"), "", "the step id %q occurs twice, first in line %d", s.ID, p.steps[first].node.Line)
			continue
		}
		index[s.ID] = i
	}
	return index
}

// fillNeeds: a step that says nothing needs the step before it.
func (p *planFile) fillNeeds() {
	for i, s := range p.steps {
		if s.needs == nil && i > 0 && p.steps[i-1].ID != "" {
			s.Needs = []string{p.steps[i-1].ID}
		}
	}
}

func (p *planFile) resolveNeeds(index map[string]int) graph {
	ids := slices.Collect(maps.Keys(index))
	g := make(graph, len(p.steps))
	for i, s := range p.steps {
		for k, id := range s.Needs {
			j, ok := index[id]
			switch {
			case !ok && k < len(s.needNodes):
				p.At(s.needNodes[k], yamldoc.OneOf(id, ids), "unknown step %q", yamldoc.Shorten(id))
			case slices.Contains(s.Needs[:k], id):
				p.At(s.needNodes[k], "", "step %q is listed twice", id)
			case ok:
				g[i] = append(g[i], j)
			}
		}
	}
	return g
}

func (p *planFile) reportCycles(g graph) {
	for _, circle := range g.cycles() {
		names := make([]string, 0, len(circle)+1)
		for _, i := range append(circle, circle[0]) {
			names = append(names, p.steps[i].ID)
		}
		first := p.steps[circle[0]]
		at := first.needs
		if at == nil {
			at = first.node
		}
		p.At(at, "each would wait forever", "steps need one another in a cycle: %s", strings.Join(names, " -> "))
	}
}

func (p *planFile) checkTools(s *planStep, tools *Tools) {
	def := p.checkTool(s.toolNode, s.Tool, tools)
	p.checkConstant(s.with, s.With, def)
	if s.Agent != nil {
		p.checkAgent(s, tools)
	}
	if s.Compensate != nil {
		undo := p.checkTool(s.undoTool, s.Compensate.Tool, tools)
		p.checkConstant(s.undoWith, s.Compensate.With, undo)
	}
}

// checkTool finds a tool in the tools file, or reports that it is not there. More are names that would do in its place.
func (p *planFile) checkTool(at *yaml.Node, name string, tools *Tools, more ...string) *ToolDef {
	if at == nil {
		return nil
	}
	if tools == nil {
		p.At(at, "name a tools file, or put tools.yaml beside the plan", "unknown tool %q: there is no tools file", name)
		return nil
	}
	def, ok := tools.Tools[name]
	if !ok && name == steps.AskPerson {
		p.At(at, "give the tools file one of that name, with a rung that is human", "only agents have the tool %q without a tools file", name)
	} else if !ok {
		p.At(at, yamldoc.OneOf(name, slices.AppendSeq(more, maps.Keys(tools.Tools))), "unknown tool %q: it is not in %s", name, tools.File)
	}
	return def
}

func (p *planFile) checkExpressions(s *planStep, views views, watches watches, i int) {
	if s.when != nil {
		p.checkBare(s.when, s.When, views.params(i, s.forEach != nil).Watched(watches.all()), true)
	}
	w := watches.of(s)
	if s.forEach != nil {
		p.checkBare(s.forEach, s.ForEach, views.step(i).Watched(w.Whole()), false)
	}
	if s.with != nil {
		p.checkTemplate(s.with, views.params(i, s.forEach != nil).Watched(w))
	}
	if s.Agent != nil {
		p.checkPrompts(s, views.params(i, false).Watched(w))
	}
	if s.undoWith != nil {
		p.checkTemplate(s.undoWith, views.undo(i, s.forEach != nil).Watched(w))
	}
}

func (r *reader) checkBare(n *yaml.Node, written string, see expr.Readable, boolean bool) {
	source, at := expr.Bare(written)
	e, faults := expr.Compile(source, see, boolean)
	r.Inside(n, expr.Shift(faults, at))
	if e != nil {
		r.WarnInside(n, expr.Shift(e.Remarks, at))
	}
}

// checkTemplate compiles every string of a value, for the sake of the places of what is wrong in it.
func (r *reader) checkTemplate(n *yaml.Node, see expr.Readable) {
	switch n = yamldoc.Resolve(n); n.Kind {
	case yaml.ScalarNode:
		if yamldoc.IsString(n) {
			t, faults := expr.CompileText(n.Value, see.Around(n.Value), nil)
			r.Inside(n, faults)
			r.WarnInside(n, t.Remarks)
		}
	case yaml.MappingNode:
		for i := 1; i < len(n.Content); i += 2 {
			r.checkTemplate(n.Content[i], see)
		}
	case yaml.SequenceNode:
		for _, e := range n.Content {
			r.checkTemplate(e, see)
		}
	}
}

// inputs are the names that the plan's input can have; nil when it can have any. No others can be given.
func (p *planFile) inputs() []string {
	if p.plan.Input == nil {
		return nil
	}
	declared := &Document{Definition: steps.Definition{Plan: p.plan}}
	return declared.inputNames(declared.defaults())
}

// views says what the expressions of a plan may read, by the place where they stand.
type views struct {
	index  map[string]int
	inputs []string
	done   []bits // by step: what is surely done before it; nil while a cycle makes that unknowable
}

func newViews(index map[string]int, needs graph) views {
	if len(needs.order()) < len(needs) {
		return views{index: index}
	}
	return views{index: index, done: needs.closure()}
}

var notInPlans = map[string]string{
	"params": "it is for the tools file; write the value's own source, like input.order",
	"item":   "only the parameters and the condition of a step with for_each have an item",
	"index":  "only the parameters and the condition of a step with for_each have an index",
}

// step is for for_each.
func (v views) step(i int) expr.Readable {
	see := expr.Readable{Roots: []string{"input", "steps", "run"}, Absent: notInPlans, Steps: v.index, Inputs: v.inputs}
	if v.done != nil {
		see.Done = v.done[i].has
	}
	return see
}

// params is for the condition and the parameters of a step.
func (v views) params(i int, each bool) expr.Readable {
	see := v.step(i)
	if each {
		see.Roots = []string{"input", "steps", "run", "item", "index"}
		see.Absent = map[string]string{"params": notInPlans["params"]}
	}
	return see
}

// undo is for the parameters of a compensation, which may read what the step itself gave.
func (v views) undo(i int, each bool) expr.Readable {
	see := v.params(i, each)
	if v.done != nil {
		own := slices.Clone(v.done[i])
		own.add(i)
		see.Done = own.has
	}
	return see
}

// output is for the run's output: every step is done then.
func (v views) output() expr.Readable {
	return expr.Readable{Roots: []string{"input", "steps", "run"}, Absent: notInPlans, Steps: v.index, Inputs: v.inputs}
}
