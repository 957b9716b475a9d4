package prove

import (
	"slices"
	"time"

	"belay/internal/expr"
	"belay/internal/plan"
	"belay/internal/steps"
)

// part is what a step may ask for several times: each time a call of one tool or, of an agent, of whichever of its tools is
// the worst.
type part struct {
	n     int     // calls in all
	waves int     // of them that come one after the other; the others are at work at the same time
	of    []*call // one of them each time
}

func (p part) most(of func(*call) int) (n int) {
	for _, k := range p.of {
		n = max(n, of(k))
	}
	return n
}

func (p part) attempts(fits func(*rung) bool) int {
	return p.n * p.most(func(k *call) int { return k.attempts(fits) })
}

// executions are the attempts, and those that are repeated because a worker was lost.
func (p part) executions(fits func(*rung) bool) int {
	return p.n * p.most(func(k *call) int { return k.attempts(fits) + k.repeated(fits) })
}

// once is how long one call takes at most.
func (p part) once(fits func(*rung) bool) (most Span) {
	for _, k := range p.of {
		most = most.longer(k.time(fits))
	}
	return most
}

func (p part) cost(fits func(*rung) bool) (most float64) {
	for _, k := range p.of {
		most = max(most, k.cost(fits))
	}
	return most * float64(p.n)
}

// dependencies are what its calls lean on.
func (p part) dependencies() (names []string) {
	for _, k := range p.of {
		for _, name := range k.dependencies() {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names
}

// agent is what the limits of an agent allow until it has answered, people are asked, or the run fails.
type agent struct {
	turns int           // the last one of `finish` included
	calls int           // of tools
	waves int           // turns that may propose calls
	tools []*call       // that it may call
	time  time.Duration // no turn begins after it; 0 = none
	last  bool          // a turn may come after that
}

// newAgent reckons with a model that says whatever costs most. Without an output_schema any turn without a call is the
// answer; with one the model may answer what does not fit, and is asked again.
func (c *checker) newAgent(s *steps.Step) *agent {
	limits := s.Agent.Limits
	a := &agent{turns: limits.Turns, calls: limits.Calls, time: time.Duration(limits.Time), last: s.Agent.OnLimit == steps.LimitFinish}
	a.waves = min(a.turns, a.calls)
	if len(s.Agent.OutputSchema) == 0 {
		a.turns = min(a.turns, a.calls+1)
	}
	if a.last {
		a.turns++
	}
	for _, name := range s.Agent.Tools {
		a.tools = append(a.tools, newCall(c.tool(name), c.plan.EscalateAfter))
	}
	return a
}

// parts are what a step asks for: one call of its tool or, of an agent, its turns and its calls.
func (n *node) parts() []part {
	one := part{1, 1, []*call{n.call}}
	if n.agent == nil {
		return []part{one}
	}
	return []part{{n.agent.turns, n.agent.turns, one.of}, {n.agent.calls, n.agent.waves, n.agent.tools}}
}

// calls are all that a step may make, its compensation left out.
func (n *node) calls() (list []*call) {
	for _, p := range n.parts() {
		list = append(list, p.of...)
	}
	return list
}

// work is how long a step works at most, of a list one element.
func (n *node) work() Span {
	var sum, flight Span
	for _, p := range n.parts() {
		once := p.once(all)
		sum, flight = sum.plus(once.by(p.waves)), flight.plus(once)
	}
	if n.agent == nil || n.agent.time == 0 {
		return sum
	}
	if n.agent.last {
		flight = flight.plus(n.call.time(all))
	}
	if timely := flight.plus(Span{Fixed: n.agent.time}); sum.covers(timely) {
		return timely // a turn that begins at the last moment, and its calls
	}
	return sum
}

// steadily is how long a step works when each try fails alike: an agent for one turn and one of its calls, since it does not
// outlive more.
func (n *node) steadily() Span {
	var sum time.Duration
	for _, p := range n.parts() {
		var most time.Duration
		for _, k := range p.of {
			most = max(most, k.steady())
		}
		sum = total(sum, most)
	}
	return Span{Fixed: sum}.times(n.n, n.ID, n.parallel())
}

func attemptsOf(list []part) (n int) {
	for _, p := range list {
		n += p.attempts(all)
	}
	return n
}

// tool is a tool of the tools file, or the one that every agent may have.
func (c *checker) tool(name string) *plan.ToolDef {
	if t := c.tools.Tools[name]; t != nil {
		return t
	}
	if c.asks == nil {
		t := c.doc.Definition.Tools[name]
		c.asks = &plan.ToolDef{Tool: t}
		for _, r := range t.Rungs {
			c.asks.Rungs = append(c.asks.Rungs, plan.RungDef{Rung: r})
		}
	}
	return c.asks
}

// isOwn reports whether the tools file has a tool.
func (c *checker) isOwn(t *plan.ToolDef) bool { return c.tools.Tools[t.Name] != nil }

// onlyText is what an agent gives that has no output_schema.
var onlyText = []byte(`{"type":"object","properties":{"text":{"type":"string"}},"additionalProperties":false}`)

// outputOf is what a step's output is declared to be, and how it is said that it rules something out.
func (c *checker) outputOf(step string) (schema []byte, rules string) {
	s := &c.plan.Steps[c.index[step]]
	switch {
	case s.Agent == nil:
		return c.tool(s.Tool).OutputSchema, "the output_schema of " + s.Tool + " rules out"
	case len(s.Agent.OutputSchema) == 0:
		return onlyText, "its agent never gives: without an output_schema that is {text: ...}"
	}
	return s.Agent.OutputSchema, "the output_schema of its agent rules out"
}

// actors are the tools by which a step may do something outside. What the model of an agent does is none of it.
func (c *checker) actors(s *steps.Step) (list []*plan.ToolDef) {
	names := []string{s.Tool}
	if s.Agent != nil {
		names = s.Agent.Tools
	}
	for _, name := range names {
		if t := c.tool(name); acts(t) && t.Effects != steps.EffectsNone {
			list = append(list, t)
		}
	}
	return list
}

// unaskedOf are the tools with which a step may do what must not be repeated, no tool undoes, and nobody approves.
func (c *checker) unaskedOf(s *steps.Step) []*plan.ToolDef {
	return slices.DeleteFunc(c.leaving(s), func(t *plan.ToolDef) bool { return !t.Effects.Unsafe() || t.Approval != nil })
}

// promptReads are what the texts of an agent read.
func promptReads(s *steps.Step) []expr.Read {
	if s.Agent == nil {
		return nil
	}
	return slices.Concat(expr.TemplateReads(s.Agent.Prompt), expr.TemplateReads(s.Agent.Instructions))
}
