package prove

import (
	"slices"
	"time"

	"belay/internal/expr"
	"belay/internal/plan"
	"belay/internal/steps"
)

// checker is one check of one plan.
type checker struct {
	doc   *plan.Document
	tools *plan.Tools
	plan  *steps.Plan
	nodes []node
	index map[string]int // step id -> index of nodes
	found []Finding

	never   map[string]bool     // by step: whether its condition never holds, as far as it was asked
	flows   map[int]flow        // by step: how its output may come to be degraded, as far as it was asked
	failing []failing           // steps that may fail the run; nil before they are asked for
	users   map[string][]string // by tool: the steps that call it; nil before they are asked for
	asks    *plan.ToolDef       // the tool with which agents ask a person; nil before it is asked for
}

// node is a step with what may become of it.
type node struct {
	*steps.Step
	call  *call  // of its tool; of an agent its model
	agent *agent // nil for any other step
	undo  []part // what undoes it, one call after the other
	n     length
	asks  []expr.Read // what its condition reads
	reads []expr.Read // what its parameters and its list read, or the texts of its agent
}

func newChecker(doc *plan.Document, tools *plan.Tools) *checker {
	c := &checker{doc: doc, tools: tools, plan: &doc.Definition.Plan, index: map[string]int{}, never: map[string]bool{}, flows: map[int]flow{}}
	for i := range c.plan.Steps {
		c.index[c.plan.Steps[i].ID] = i
	}
	for i := range c.plan.Steps {
		s := &c.plan.Steps[i]
		n := node{Step: s, asks: expr.Reads(s.When), reads: slices.Concat(expr.TemplateReads(s.With), expr.Reads(s.ForEach), promptReads(s)), call: newCall(tools.Tools[s.Tool], c.plan.EscalateAfter), n: c.lengthOf(s)}
		if s.Agent != nil {
			n.agent = c.newAgent(s)
		}
		n.undo = c.undoParts(s)
		c.nodes = append(c.nodes, n)
	}
	return c
}

func (c *checker) worst() Worst {
	w := Worst{Deadline: time.Duration(c.plan.Deadline).Seconds(), Steps: []StepCost{}, People: c.questions(), Agents: c.agents()}
	w.Work = c.work()
	if tail := c.tail(); c.overtime(w.Work) && !tail.Endless {
		w.Work, w.Cut, w.Tail = Span{Fixed: total(time.Duration(c.plan.Deadline), tail.Fixed)}, true, tail.Fixed.Seconds()
	}
	for i := range c.nodes {
		n := &c.nodes[i]
		w.add(n, StepCost{Tool: n.Tool, Rungs: n.call.size(), Work: n.active()}, n.parts())
		for _, p := range n.undo {
			work := p.once(all).by(p.waves).times(n.n, n.ID, 1)
			w.add(n, StepCost{Tool: p.tools(), Rungs: p.most((*call).size), Work: work, Undo: true}, []part{p})
			w.Undo = w.Undo.plus(work)
		}
	}
	w.Dependencies = c.dependencies()
	return w
}

func (w *Worst) add(n *node, cost StepCost, asks []part) {
	cost.Step, cost.Attempts = n.ID, n.n.times(attemptsOf(asks), n.ID)
	w.Attempts = w.Attempts.plus(cost.Attempts)
	w.Steps = append(w.Steps, cost)
}

// size is how many rungs may be tried.
func (c *call) size() int { return len(slices.Concat(c.segments...)) }

func (n *node) parallel() int {
	if n.ForEach == "" {
		return 1
	}
	return max(n.MaxParallel, 1)
}

// dependencies are what the plan's steps and compensations lean on, with what each may be asked to bear.
func (c *checker) dependencies() []Dependency {
	list := []Dependency{}
	for i := range c.nodes {
		n := &c.nodes[i]
		for _, p := range slices.Concat(n.parts(), n.undo) {
			for _, name := range p.dependencies() {
				at := slices.IndexFunc(list, func(d Dependency) bool { return d.Name == name })
				if at < 0 {
					at = len(list)
					list = append(list, Dependency{Name: name})
				}
				list[at].add(n, p)
			}
		}
	}
	for i := range list {
		list[i].Amp = (list[i].Calls.atLeastOne() + list[i].normal - 1) / list[i].normal
	}
	sortedByWeight(list)
	return list
}

func (c *call) dependencies() []string {
	var names []string
	for _, k := range c.rungs() {
		if k.depends != "" && !slices.Contains(names, k.depends) {
			names = append(names, k.depends)
		}
	}
	return names
}

// add takes in what a part of a step may ask of the dependency.
func (d *Dependency) add(n *node, p part) {
	fits := func(r *rung) bool { return r.depends == d.Name }
	d.Calls = d.Calls.plus(n.n.times(p.executions(fits), n.ID))
	d.Time = d.Time.plus(p.once(fits).by(p.n).times(n.n, n.ID, 1))
	d.costless = d.costless || slices.ContainsFunc(p.of, func(k *call) bool { return k.costless(fits) })
	if cost := p.cost(fits); cost > 0 {
		if d.Cost == nil {
			d.Cost = new(float64)
		}
		if n.n.known {
			cost *= float64(n.n.most)
		}
		*d.Cost += cost
	}
	if d.costless {
		d.Cost = nil
	}
	if !slices.Contains(d.Steps, n.ID) {
		d.Steps = append(d.Steps, n.ID)
	}
	normal := p.n
	if n.n.known {
		normal *= n.n.most
	}
	d.normal += max(normal, 1)
}

// questions are what people may be asked on purpose.
func (c *checker) questions() []Question {
	list := []Question{}
	for _, t := range c.usedTools() {
		if a := t.Approval; a != nil {
			list = append(list, Question{Steps: c.usersOf(t.Name), Tool: t.Name, Kind: "approval", Deadline: a.Deadline, OnDeadline: string(a.OnDeadline), Approvers: a.Approvers, agents: c.agentsWith(t.Name)})
		}
		for _, r := range t.Rungs {
			if r.Human != nil {
				list = append(list, Question{Steps: c.usersOf(t.Name), Tool: t.Name, Kind: "question", Deadline: r.Human.Deadline, OnDeadline: string(r.Human.OnDeadline), agents: c.agentsWith(t.Name)})
			}
		}
	}
	return list
}

// agentsWith counts the agents that may call a tool.
func (c *checker) agentsWith(tool string) (n int) {
	for i := range c.plan.Steps {
		if s := &c.plan.Steps[i]; s.Agent != nil && slices.Contains(s.Agent.Tools, tool) {
			n++
		}
	}
	return n
}

// usedTools are the tools that the plan calls, in the order in which it names them.
func (c *checker) usedTools() []*plan.ToolDef {
	var list []*plan.ToolDef
	seen := map[string]bool{}
	add := func(name string) {
		if !seen[name] {
			seen[name] = true
			list = append(list, c.tool(name))
		}
	}
	for i := range c.plan.Steps {
		add(c.plan.Steps[i].Tool)
		if a := c.plan.Steps[i].Agent; a != nil {
			for _, name := range a.Tools {
				add(name)
			}
			if a.Summary != nil {
				add(a.Summary.Model)
			}
		}
		for _, name := range c.undoers(&c.plan.Steps[i]) {
			add(name)
		}
	}
	return list
}

// usersOf are the steps that call a tool, or whose agent may: to act, or to undo.
func (c *checker) usersOf(tool string) []string {
	if c.users == nil {
		c.users = map[string][]string{}
		for i := range c.plan.Steps {
			s := &c.plan.Steps[i]
			names := []string{s.Tool}
			if s.Agent != nil {
				names = append(names, s.Agent.Tools...)
				if s.Agent.Summary != nil {
					names = append(names, s.Agent.Summary.Model)
				}
			}
			names = append(names, c.undoers(s)...)
			for _, name := range names {
				if users := c.users[name]; len(users) == 0 || users[len(users)-1] != s.ID {
					c.users[name] = append(users, s.ID)
				}
			}
		}
	}
	return c.users[tool]
}
