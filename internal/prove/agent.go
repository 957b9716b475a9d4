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

	summary   *call // what makes its summaries; nil = nothing
	summaries int
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
	if m := s.Agent.Summary; m != nil {
		// Faults of a summary are not counted for escalate_after. One is due after each keep_turns turns but the first, if another
		// turn may follow.
		a.summary, a.summaries = newCall(c.tool(m.Model), 0), max(0, (a.turns-1)/s.Agent.KeepTurns-1)
	}
	if a.last {
		a.turns++
	}
	for _, name := range s.Agent.Tools {
		a.tools = append(a.tools, newCall(c.tool(name), c.plan.EscalateAfter))
	}
	return a
}

// parts are what a step asks for: one call of its tool or, of an agent, its turns, its calls and its summaries.
func (n *node) parts() []part {
	one := part{1, 1, []*call{n.call}}
	if n.agent == nil {
		return []part{one}
	}
	list := []part{{n.agent.turns, n.agent.turns, one.of}, {n.agent.calls, n.agent.waves, n.agent.tools}}
	if k := n.agent.summary; k != nil {
		list = append(list, part{n.agent.summaries, n.agent.summaries, []*call{k}})
	}
	return list
}

// inFlight is how long an agent is at work at most after the last moment at which it may begin something: a turn and its calls,
// so many waves of them, or a summary; and the last turn after that.
func (n *node) inFlight(waves int) Span {
	parts := n.parts()
	turn := parts[0].once(all)
	most := turn.plus(parts[1].once(all).by(waves))
	if n.agent.summaries > 0 {
		most = most.longer(parts[2].once(all))
	}
	if n.agent.last {
		most = most.plus(turn)
	}
	return most
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
	var sum Span
	for _, p := range n.parts() {
		sum = sum.plus(p.once(all).by(p.waves))
	}
	if n.agent == nil || n.agent.time == 0 {
		return sum
	}
	if timely := n.inFlight(1).plus(Span{Fixed: n.agent.time}); sum.covers(timely) {
		return timely
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
	list := slices.Concat(expr.TemplateReads(s.Agent.Prompt), expr.TemplateReads(s.Agent.Instructions))
	if m := s.Agent.Summary; m != nil {
		list = append(list, expr.TemplateReads(m.Instructions)...)
	}
	return list
}
