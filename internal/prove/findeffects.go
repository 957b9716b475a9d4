package prove

import (
	"fmt"
	"slices"

	"belay/internal/expr"
	"belay/internal/plan"
	"belay/internal/steps"
)

// findShared looks for ladders of which two rungs lean on one dependency.
func (c *checker) findShared() {
	for _, t := range c.usedTools() {
		first := map[string]*rung{}
		for _, k := range machines(slices.Concat(newCall(t, 0).segments...), all) {
			if k.depends == "" {
				continue
			}
			before := first[k.depends]
			if before == nil {
				first[k.depends] = k
				continue
			}
			users := c.usersOf(t.Name)
			c.add(plan.SharedDependency, about{at: k.def.Place(k.Executor), steps: users, tool: t.Name, key: k.Name, witness: []string{users[0], k.depends + " is down", before.where + " fails", k.where + " fails"}},
				"%s and %s both lean on %s", before.where, k.where, k.depends)
		}
	}
}

// findUnproven looks for unsafe tools without a probe.
func (c *checker) findUnproven() {
	for _, t := range c.usedTools() {
		if !t.Effects.Unsafe() || t.Probe != nil || !acts(t) {
			continue
		}
		users := c.usersOf(t.Name)
		c.add(plan.NoProbe, about{at: t.Place("effects"), steps: users, tool: t.Name, witness: []string{users[0], "timeout", "it may have happened", "no probe", "a person finds out"}},
			"%s is unsafe%s and has no probe: what a call did that was cut off only a person can say", t.Name, byDefault(t))
	}
}

func byDefault(t *plan.ToolDef) string {
	if t.Says("effects") {
		return ""
	}
	return " (effects are unsafe unless the tools file says otherwise)"
}

// acts reports whether a tool has a rung that does something outside.
func acts(t *plan.ToolDef) bool {
	return slices.ContainsFunc(t.Rungs, func(r plan.RungDef) bool { return !r.Harmless() })
}

// findUnasked looks for steps that do what nothing undoes, without an approval.
func (c *checker) findUnasked() {
	for i := range c.plan.Steps {
		s := &c.plan.Steps[i]
		t := c.tool(s.Tool)
		if s.Agent != nil {
			c.findUnaskedAgent(s)
			continue
		}
		if !t.Effects.Unsafe() || t.Approval != nil || s.Compensate != nil || undoneByTool(s, t) || !acts(t) {
			continue
		}
		c.add(plan.NoApproval, about{at: c.doc.Place(s.ID, ""), steps: []string{s.ID}, tool: t.Name, witness: []string{s.ID, "done", "no compensation", "stays done"}, fix: fmt.Sprintf("in the tool %s: approval: always, or undo: {tool: ...}; or in the step: compensate: {tool: ...}", t.Name)},
			"step %s does what nothing undoes, and nobody approves it: %s is unsafe%s", s.ID, t.Name, byDefault(t))
	}
}

// findUnaskedAgent looks for what a model decides alone. A compensation of the step undoes nothing where the agent does not
// come to an end.
func (c *checker) findUnaskedAgent(s *steps.Step) {
	undone := "nothing undoes"
	if s.Compensate != nil {
		undone = "nothing undoes where the agent fails"
	}
	for _, t := range c.unaskedOf(s) {
		c.add(plan.NoApproval, about{at: c.doc.Place(s.ID, "agent.tools"), steps: []string{s.ID}, tool: t.Name, witness: []string{s.ID, "its model calls " + t.Name, "done", "nobody is asked", "stays done"}, fix: fmt.Sprintf("in the tool %s: approval: always, or undo: {tool: ...}", t.Name)},
			"the agent of step %s may call %s, which %s, and nobody approves it: it is unsafe%s", s.ID, t.Name, undone, byDefault(t))
	}
}

// findUnbounded looks for lists that may have any length.
func (c *checker) findUnbounded() {
	for i := range c.nodes {
		n := &c.nodes[i]
		if n.n.known {
			continue
		}
		c.add(plan.UnknownLength, about{at: c.doc.Place(n.ID, "for_each"), steps: []string{n.ID}, witness: []string{n.ID, "a list of any length", fmt.Sprintf("%d attempts for each element", n.call.attempts(all))}, fix: c.boundFix(n.Step)},
			"step %s runs once for each element of a list whose length nothing bounds", n.ID)
	}
}

// boundFix is where a bound of the list of a step belongs.
func (c *checker) boundFix(s *steps.Step) string {
	reads := expr.Reads(s.ForEach)
	if len(reads) == 0 {
		return ""
	}
	read := reads[0]
	list := "{type: array, maxItems: 100}"
	for i := len(read) - 1; i >= 0; i-- {
		if id, field, ok := read[:i+1].Of(); ok && i == 2 && field == "output" {
			if from := &c.plan.Steps[c.index[id]]; from.Agent == nil {
				return fmt.Sprintf("in the tool %s: output_schema: %s", from.Tool, list)
			}
			return fmt.Sprintf("in the agent of step %s: output_schema: %s", id, list)
		}
		if i == 0 {
			break
		}
		list = fmt.Sprintf("{type: object, properties: {%s: %s}}", read[i], list)
	}
	if read[0] == "input" {
		return "in the plan: input_schema: " + list
	}
	return ""
}

// findUncompensated looks for effects that stay where a later step makes the run fail.
func (c *checker) findUncompensated() {
	for i := range c.plan.Steps {
		s := &c.plan.Steps[i]
		acting := c.leaving(s)
		if s.Agent != nil && len(acting) > 0 {
			c.findUnfinished(s, acting[0])
		}
		if len(acting) == 0 || s.Compensate != nil {
			continue
		}
		k, why := c.failsAfter(i)
		if k < 0 {
			continue
		}
		later := c.plan.Steps[k].ID
		c.add(plan.NoCompensation, about{at: c.doc.Place(s.ID, ""), steps: []string{s.ID}, tool: acting[0].Name, key: later, witness: []string{s.ID + " is done", later + " " + why, "the run fails", s.ID + " stays done"}},
			"step %s has no compensation, and step %s may fail the run after it", s.ID, later)
	}
}

// findUnfinished looks for agents that fail the run themselves: where its tool does not say so, nothing undoes a call that was
// made until then, a compensation of the step included, which is for one that has come to an end.
func (c *checker) findUnfinished(s *steps.Step, t *plan.ToolDef) {
	why := failsBy(s, c.tool(s.Tool))
	if why == "" {
		return
	}
	c.add(plan.NoCompensation, about{at: c.doc.Place(s.ID, "agent"), steps: []string{s.ID}, tool: t.Name, key: s.ID, witness: []string{s.ID + " has called " + t.Name, s.ID + " " + why, "the run fails", "the call stays done"}, fix: fmt.Sprintf("in the tool %s: undo: {tool: ...}; or let people decide: on_limit: escalate, on_failure: escalate", t.Name)},
		"the agent of step %s may fail the run, and nothing undoes what it has done with %s until then", s.ID, t.Name)
}

// mostCandidates bounds how many steps that may fail the run are looked at, the last ones of the plan first.
const mostCandidates = 64

// failsAfter is a step that may end the run as failed once step i is done, by what is declared; -1 if there is none.
func (c *checker) failsAfter(i int) (k int, why string) {
	if c.failing == nil {
		c.failing = c.mayFail()
	}
	for _, f := range c.failing {
		if f.step != i && !f.after[i] {
			return f.step, f.why
		}
	}
	return -1, ""
}

// failing is a step that may fail the run, and the steps that only begin once it is done.
type failing struct {
	step  int
	why   string
	after map[int]bool
}

func (c *checker) mayFail() []failing {
	list := []failing{}
	for k := len(c.plan.Steps) - 1; k >= 0 && len(list) < mostCandidates; k-- {
		why := failsBy(&c.plan.Steps[k], c.tool(c.plan.Steps[k].Tool))
		if why == "" && c.plan.Deadline > 0 && c.plan.OnDeadline == steps.DeadlineFail {
			why = "is at work when the run's deadline comes (on_deadline: fail)"
		}
		if why != "" {
			list = append(list, failing{k, why, c.after(k)})
		}
	}
	return list
}

// failsBy is how a step may end its run as failed, by what is declared; empty if it may not.
func failsBy(s *steps.Step, t *plan.ToolDef) string {
	if s.OnFailure == steps.OnFailureFail {
		return "fails (on_failure: fail)"
	}
	if s.Agent != nil && s.Agent.OnLimit == steps.LimitFail {
		return "reaches a limit (on_limit: fail)"
	}
	if slices.ContainsFunc(t.Rungs, func(r plan.RungDef) bool {
		return r.Human != nil && r.Human.Deadline > 0 && r.Human.OnDeadline == steps.ExpiryFail
	}) {
		return "is answered by nobody in time (on_deadline: fail)"
	}
	a := t.Approval
	if a == nil {
		return ""
	}
	if a.Deadline > 0 && a.OnDeadline == steps.ExpiryFail {
		return "is approved by nobody in time (on_deadline: fail)"
	}
	if slices.Contains(a.Decisions, steps.VerbReject) && (a.OnReject == steps.RejectFail || a.OnReject == "" && s.OnFailure != steps.OnFailureSkip) {
		return "is rejected"
	}
	return ""
}

// after are the steps that surely begin only once step k is done.
func (c *checker) after(k int) map[int]bool {
	found := map[int]bool{}
	for open := []int{k}; len(open) > 0; {
		next := open[len(open)-1]
		open = open[:len(open)-1]
		for _, d := range c.doc.Program.Nodes[next].Dependents {
			if !found[d] {
				found[d] = true
				open = append(open, d)
			}
		}
	}
	return found
}

// cost is what the tries on rungs that fit may cost at most, executions that are repeated included.
func (c *call) cost(fits func(*rung) bool) float64 {
	var sum, dearest float64
	for _, k := range c.rungs() {
		if k.Human != nil || !fits(k) {
			continue
		}
		sum += k.def.Cost * float64(k.plainTries()+k.named)
		dearest = max(dearest, k.def.Cost)
	}
	return sum + dearest*float64(c.repeated(fits))
}

// costless reports whether a rung that fits asks a model and says nothing of what a call costs: then nobody knows what the calls
// cost. Of any other rung it means that they cost nothing.
func (c *call) costless(fits func(*rung) bool) bool {
	return slices.ContainsFunc(c.rungs(), func(k *rung) bool { return fits(k) && k.def.Spec.Model != nil && !k.def.Says("cost") })
}
