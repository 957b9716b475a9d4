package prove

import (
	"fmt"
	"slices"
	"strings"

	"belay/internal/plan"
	"belay/internal/steps"
)

// AgentCost is what an agent may do until it has answered, people are asked, or the run fails.
type AgentCost struct {
	Step      string      `json:"step"`
	Turns     int         `json:"turns"`               // times that its model is asked, with the last one of `on_limit: finish`
	Calls     int         `json:"calls"`               // of its tools
	Summaries int         `json:"summaries,omitempty"` // times that its turns are summarised
	USD       steps.Money `json:"usd,omitempty"`       // for the model, by limits.usd; 0 where a rung of it has no price, or there is no limit
	MostUSD   steps.Money `json:"usd_worst,omitempty"` // where the try that uses up USD is executed once more for each worker that is lost under it
	Priced    bool        `json:"priced"`              // each rung of its model that asks somebody has a price
	silent    bool        // nobody speaks of money: no rung has a price, and there is no limit
}

// agents are those of the plan. Each try of a turn begins only if it fits into limits.usd; that it is executed once more because
// its worker was lost is not asked.
func (c *checker) agents() []AgentCost {
	list := []AgentCost{}
	for i := range c.nodes {
		n := &c.nodes[i]
		if n.agent == nil {
			continue
		}
		usd := n.Agent.Limits.USD
		priced, unpriced := n.prices()
		a := AgentCost{Step: n.ID, Turns: n.agent.turns, Calls: n.agent.calls, Summaries: n.agent.summaries, Priced: priced && len(unpriced) == 0, silent: !priced && usd == 0}
		if a.Priced {
			repeated := n.call.repeated(all)
			if n.agent.summaries > 0 {
				repeated = max(repeated, n.agent.summary.repeated(all))
			}
			a.USD, a.MostUSD = usd, usd*steps.Money(2+repeated) // one of them may have been lost before the log heard of it
		}
		list = append(list, a)
	}
	return list
}

// prices says whether any rung of an agent's models has a price, and which ones have none and ask somebody: what they answer
// counts as nothing, and so no limit bounds it.
func (n *node) prices() (priced bool, unpriced []string) {
	models := []*plan.ToolDef{n.call.tool}
	if n.agent.summaries > 0 && n.agent.summary.tool != n.call.tool {
		models = append(models, n.agent.summary.tool)
	}
	for _, t := range models {
		for i := range t.Tool.Rungs {
			switch r := &t.Tool.Rungs[i]; {
			case r.Price != nil:
				priced = true
			case !r.Harmless():
				unpriced = append(unpriced, t.Name+"/"+r.Name)
			}
		}
	}
	return priced, unpriced
}

func (a *AgentCost) sentence() string {
	s := fmt.Sprintf("Agent: %s may ask its model %s and make %s", a.Step, times(a.Turns), plural(a.Calls, "call"))
	if a.Summaries > 0 {
		s = fmt.Sprintf("Agent: %s may ask its model %s, have its turns summarised %s and make %s", a.Step, times(a.Turns), times(a.Summaries), plural(a.Calls, "call"))
	}
	switch {
	case a.USD > 0 && a.MostUSD > a.USD:
		s += fmt.Sprintf(", and spend %s on the model, or %s where workers are lost under its last try", cents(a.USD), cents(a.MostUSD))
	case a.USD > 0:
		s += fmt.Sprintf(", and spend %s on the model", cents(a.USD))
	case !a.silent:
		s += ", and spend any amount on the model"
	}
	return s + "."
}

// cents is an amount of at least a cent as it is shown, to the cent and never less than it is.
func cents(m steps.Money) steps.Money {
	const cent = steps.Money(10_000_000)
	return (m + cent - 1) / cent * cent
}

// money is what the agent may spend on its model.
func (a *AgentCost) money() string {
	if a.USD == 0 {
		return "any amount"
	}
	return cents(a.USD).String()
}

// findSpenders looks for agents, and for other steps that ask models, whose money nothing bounds.
func (c *checker) findSpenders() {
	for i := range c.nodes {
		n := &c.nodes[i]
		if n.agent != nil {
			c.findSpender(n)
		}
	}
	if !c.tools.SayCosts() {
		return // nothing is said about anybody's money
	}
	for _, t := range c.usedTools() {
		if r, users := costless(t), c.asking(t.Name); r != nil && len(users) > 0 {
			name := t.Name + "/" + r.Name
			a := about{steps: users, tool: t.Name, at: r.Place("model"), fix: "in the tool " + t.Name + ": cost, at the rung " + r.Name,
				witness: []string{users[0], name + " is asked", "no cost, where other rungs have one", "what it costs is in no figure"}}
			c.add(plan.AgentMoney, a, "nothing bounds what %s costs: it asks a model, and has no cost", name)
		}
	}
}

// findSpender looks at the money of an agent.
func (c *checker) findSpender(n *node) {
	usd := n.Agent.Limits.USD
	priced, unpriced := n.prices()
	a := about{steps: []string{n.ID}, tool: n.Tool}
	asks := "asks its model " + times(n.agent.turns)
	switch {
	case priced && usd == 0:
		a.at, a.witness = c.doc.Place(n.ID, "agent"), []string{n.ID, asks, "each turn reads all before it", "nothing bounds what it costs"}
		c.add(plan.AgentMoney, a, "nothing bounds what the agent of step %s spends: %s has a price, and the agent no limits.usd", n.ID, n.Tool)
	case !priced && usd > 0:
		a.at, a.fix = c.doc.Place(n.ID, "agent.limits"), "in the tool "+n.Tool+": price, at a rung of its model; or remove limits.usd"
		a.witness = []string{n.ID, asks, "no price, so each turn counts as nothing", "limits.usd is never reached"}
		c.add(plan.AgentMoney, a, "limits.usd of step %s bounds nothing: no rung of %s has a price", n.ID, n.Tool)
	case len(unpriced) > 0 && usd > 0:
		of, _, _ := strings.Cut(unpriced[0], "/")
		a.at, a.fix = c.doc.Place(n.ID, "agent.limits"), "in the tool "+of+": price, at each rung of its model"
		a.witness = []string{n.ID, asks, unpriced[0] + " answers", "no price, so that counts as nothing", "limits.usd is never reached"}
		c.add(plan.AgentMoney, a, "limits.usd of step %s bounds nothing: without a price %s counts as nothing", n.ID, strings.Join(unpriced, ", "))
	}
}

// asking are the steps that call a tool, but for agents whose model it is, or that of whose summaries: limits.usd bounds those.
func (c *checker) asking(tool string) []string {
	return slices.DeleteFunc(slices.Clone(c.usersOf(tool)), func(id string) bool {
		s := &c.plan.Steps[c.index[id]]
		isModel := s.Agent != nil && (s.Tool == tool || s.Agent.Summary != nil && s.Agent.Summary.Model == tool)
		return isModel && !slices.Contains(s.Agent.Tools, tool) && !slices.Contains(c.undoers(s), tool)
	})
}

// costless is a rung of the tool that asks a model and says nothing of what a call costs; nil where there is none. Of other
// rungs that means that it costs nothing.
func costless(t *plan.ToolDef) *plan.RungDef {
	i := slices.IndexFunc(t.Rungs, func(r plan.RungDef) bool { return r.Spec.Model != nil && !r.Says("cost") })
	if i < 0 {
		return nil
	}
	return &t.Rungs[i]
}
