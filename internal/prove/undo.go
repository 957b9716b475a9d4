package prove

import (
	"slices"
	"strings"

	"belay/internal/plan"
	"belay/internal/steps"
)

// undoneByTool reports whether a tool says what undoes its calls, and the step lets it.
func undoneByTool(s *steps.Step, t *plan.ToolDef) bool { return t.Undo != nil && !s.Stays }

// undoersOf are the tools that undo the calls of a step's tools, as those say: of an agent its tools, without its model.
func (c *checker) undoersOf(s *steps.Step) (names []string) {
	called := []string{s.Tool}
	switch {
	case s.Agent != nil:
		called = s.Agent.Tools
	case s.Compensate != nil:
		return nil
	}
	for _, name := range called {
		if t := c.tool(name); undoneByTool(s, t) && !slices.Contains(names, t.Undo.Tool) {
			names = append(names, t.Undo.Tool)
		}
	}
	return names
}

// undoers are all tools that may undo what a step did.
func (c *checker) undoers(s *steps.Step) []string {
	names := c.undoersOf(s)
	if s.Compensate != nil && !slices.Contains(names, s.Compensate.Tool) {
		names = append([]string{s.Compensate.Tool}, names...)
	}
	return names
}

// undoParts are the calls that may undo a step: one or, of an agent, one for each of its calls. An agent with a compensation of
// its own is undone by that or call by call; both are counted.
func (c *checker) undoParts(s *steps.Step) (list []part) {
	if s.Compensate != nil {
		list = append(list, part{1, 1, []*call{newCall(c.tools.Tools[s.Compensate.Tool], c.plan.EscalateAfter)}})
	}
	ofTools := part{n: 1, waves: 1}
	if s.Agent != nil {
		ofTools.n, ofTools.waves = s.Agent.Limits.Calls, s.Agent.Limits.Calls
	}
	for _, name := range c.undoersOf(s) {
		ofTools.of = append(ofTools.of, newCall(c.tool(name), c.plan.EscalateAfter))
	}
	if len(ofTools.of) > 0 {
		list = append(list, ofTools)
	}
	return list
}

// tools are the names of what may be called.
func (p part) tools() string {
	var names []string
	for _, k := range p.of {
		names = append(names, k.tool.Name)
	}
	return strings.Join(names, ", ")
}

// leaving are the tools by which a step may do something that no tool undoes.
func (c *checker) leaving(s *steps.Step) []*plan.ToolDef {
	return slices.DeleteFunc(c.actors(s), func(t *plan.ToolDef) bool { return undoneByTool(s, t) })
}
