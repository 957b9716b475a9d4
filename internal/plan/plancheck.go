package plan

import (
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"belay/internal/steps"
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
	for i, s := range p.steps {
		p.checkTools(s, tools)
		p.checkExpressions(s, views, watches, i)
	}
	if p.output != nil {
		p.checkTemplate(p.output, views.output().watched(watches.all()))
	}
	p.checkTimes(tools)
}

// index gives the place of every step by its id, and reports ids that come twice.
func (p *planFile) index() map[string]int {
	index := make(map[string]int, len(p.steps))
	for i, s := range p.steps {
		if s.ID == "" {
			continue
		}
		if first, ok := index[s.ID]; ok {
			p.at(valueOf(s.node, "id"), "", "the step id %q is here twice, first in line %d", s.ID, p.steps[first].node.Line)
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
				p.at(s.needNodes[k], oneOf(id, ids), "unknown step %q", shorten(id))
			case slices.Contains(s.Needs[:k], id):
				p.at(s.needNodes[k], "", "step %q is here twice", id)
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
		p.at(at, "each would wait for ever", "steps need one another in a circle: %s", strings.Join(names, " -> "))
	}
}

func (p *planFile) checkTools(s *planStep, tools *Tools) {
	def := p.checkTool(s.toolNode, s.Tool, tools)
	p.checkConstant(s.with, s.With, def)
	if s.Compensate != nil {
		undo := p.checkTool(s.undoTool, s.Compensate.Tool, tools)
		p.checkConstant(s.undoWith, s.Compensate.With, undo)
	}
}

func (p *planFile) checkTool(at *yaml.Node, name string, tools *Tools) *ToolDef {
	if at == nil {
		return nil
	}
	if tools == nil {
		p.at(at, "name a tools file, or put tools.yaml beside the plan", "unknown tool %q: there is no tools file", name)
		return nil
	}
	def, ok := tools.Tools[name]
	if !ok {
		p.at(at, oneOf(name, slices.Collect(maps.Keys(tools.Tools))), "unknown tool %q: it is not in %s", name, tools.File)
	}
	return def
}

// checkConstant tests parameters without expressions against the tool's input schema: they will never be others.
func (p *planFile) checkConstant(at *yaml.Node, with []byte, def *ToolDef) {
	if at == nil || len(with) == 0 || def == nil || def.CheckInput == nil {
		return
	}
	t, faults := compileTemplate(steps.Decode(with), "", view{})
	if len(faults) > 0 || t.constant == nil {
		return
	}
	if err := def.CheckInput(t.constant); err != nil {
		for line := range strings.SplitSeq(err.Error(), "\n") {
			p.at(at, "", "not what the tool %s takes: %s", def.Name, line)
		}
	}
}

func (p *planFile) checkExpressions(s *planStep, views views, watches watches, i int) {
	if s.when != nil {
		p.checkBare(s.when, s.When, views.params(i, s.forEach != nil).watched(watches.all()), true)
	}
	w := watches.of(s)
	if s.forEach != nil {
		p.checkBare(s.forEach, s.ForEach, views.step(i).watched(w.whole()), false)
	}
	if s.with != nil {
		p.checkTemplate(s.with, views.params(i, s.forEach != nil).watched(w))
	}
	if s.undoWith != nil {
		p.checkTemplate(s.undoWith, views.undo(i, s.forEach != nil).watched(w))
	}
}

func (r *reader) checkBare(n *yaml.Node, written string, see view, boolean bool) {
	source, at := bare(written)
	e, faults := compileExpression(source, see, boolean)
	r.inside(n, shift(faults, at))
	if e != nil {
		r.warnInside(n, shift(e.remarks, at))
	}
}

// checkTemplate compiles every string of a value, for the sake of the places of what is wrong in it.
func (r *reader) checkTemplate(n *yaml.Node, see view) {
	switch n = resolve(n); n.Kind {
	case yaml.ScalarNode:
		if isString(n) {
			t, faults := compileText(n.Value, see.around(n.Value), nil)
			r.inside(n, faults)
			r.warnInside(n, t.remarks)
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
	return declared.inputNames()
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
func (v views) step(i int) view {
	see := view{roots: []string{"input", "steps", "run"}, absent: notInPlans, steps: v.index, inputs: v.inputs}
	if v.done != nil {
		see.done = v.done[i]
	}
	return see
}

// params is for the condition and the parameters of a step.
func (v views) params(i int, each bool) view {
	see := v.step(i)
	if each {
		see.roots = []string{"input", "steps", "run", "item", "index"}
		see.absent = map[string]string{"params": notInPlans["params"]}
	}
	return see
}

// undo is for the parameters of a compensation, which may read what the step itself gave.
func (v views) undo(i int, each bool) view {
	see := v.params(i, each)
	if see.done != nil {
		own := slices.Clone(see.done)
		own.add(i)
		see.done = own
	}
	return see
}

// output is for the run's output: every step is done then.
func (v views) output() view {
	return view{roots: []string{"input", "steps", "run"}, absent: notInPlans, steps: v.index, inputs: v.inputs}
}
