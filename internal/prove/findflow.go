package prove

import (
	"fmt"
	"slices"
	"strings"

	"belay/internal/expr"
	"belay/internal/plan"
	"belay/internal/steps"
)

// findConditions looks for conditions that hold in no run. It says so only where every value that the condition reads is
// known: constants, what an enum or a boolean of the input schema allows, and the states that a step may be in once it is
// done.
func (c *checker) findConditions() {
	for i := range c.plan.Steps {
		s := &c.plan.Steps[i]
		if s.When != "" && c.neverTrue(s) {
			c.add(plan.NeverTrue, about{at: c.doc.Place(s.ID, "when"), steps: []string{s.ID}, witness: []string{s.ID, "when is false, whatever it reads", "skipped in every run"}},
				"the condition of step %s never holds: %s", s.ID, s.When)
		}
	}
}

// mostCases bounds how many combinations of values are tried.
const mostCases = 256

func (c *checker) neverTrue(s *steps.Step) bool {
	if is, known := c.never[s.ID]; known {
		return is
	}
	c.never[s.ID] = c.holdsNever(s)
	return c.never[s.ID]
}

func (c *checker) holdsNever(s *steps.Step) bool {
	e, err := expr.CompileBare(s.When, expr.Readable{Roots: []string{"input", "steps"}, Steps: c.index}, true)
	if err != nil {
		return false // it reads the element of a list, or the run
	}
	cases := []map[string]any{{}}
	for _, read := range distinct(c.nodes[c.index[s.ID]].asks) {
		values, ok := c.valuesOf(read)
		if !ok || len(cases)*len(values) > mostCases {
			return false
		}
		cases = multiplied(cases, read, values)
	}
	for _, roots := range cases {
		v, err := e.Given(roots)
		if err != nil || v == true {
			return false
		}
	}
	return true
}

func distinct(reads []expr.Read) (list []expr.Read) {
	for _, r := range reads {
		if !slices.ContainsFunc(list, func(o expr.Read) bool { return slices.Equal(o, r) }) {
			list = append(list, r)
		}
	}
	return list
}

// valuesOf are all values that a read may give; ok is false where that is not known.
func (c *checker) valuesOf(read expr.Read) (values []any, ok bool) {
	if _, field, of := read.Of(); of && len(read) == 3 {
		switch field {
		case "state":
			return []any{string(steps.StepSucceeded), string(steps.StepSkipped)}, true // people may skip whatever has failed
		case "degraded":
			return []any{true, false}, true
		}
		return nil, false
	}
	if read[0] != "input" {
		return nil, false
	}
	at, ok := property(c.plan.InputSchema, read[1:])
	if !ok || len(read) < 2 {
		return nil, false
	}
	if v, is := at["const"]; is {
		return []any{v}, true
	}
	if list, is := at["enum"].([]any); is {
		return list, true
	}
	if at["type"] == "boolean" {
		return []any{true, false}, true
	}
	return nil, false
}

// multiplied is every case with every value at the place that is read.
func multiplied(cases []map[string]any, read expr.Read, values []any) []map[string]any {
	var all []map[string]any
	for _, one := range cases {
		for _, v := range values {
			next := cloneTree(one)
			at := next
			for _, name := range read[:len(read)-1] {
				below, _ := at[name].(map[string]any)
				if below == nil {
					below = map[string]any{}
					at[name] = below
				}
				at = below
			}
			at[read[len(read)-1]] = v
			all = append(all, next)
		}
	}
	return all
}

func cloneTree(m map[string]any) map[string]any {
	next := make(map[string]any, len(m))
	for k, v := range m {
		if below, ok := v.(map[string]any); ok {
			v = cloneTree(below)
		}
		next[k] = v
	}
	return next
}

// place is where an expression or a template stands.
type place struct {
	step, key string
	reads     []expr.Read
}

// places are all that a plan reads, by where it does so.
func (c *checker) places() []place {
	var list []place
	for i := range c.plan.Steps {
		s := &c.plan.Steps[i]
		list = append(list, place{s.ID, "when", c.nodes[i].asks}, place{s.ID, paramsKey(s), c.nodes[i].reads})
		if s.Compensate != nil {
			list = append(list, place{s.ID, "compensate", expr.TemplateReads(s.Compensate.With)})
		}
	}
	return append(list, place{"", "output", expr.TemplateReads(c.plan.Output)})
}

// paramsKey is where a step says what it is called with.
func paramsKey(s *steps.Step) string {
	if s.Agent != nil {
		return "agent"
	}
	return "with"
}

// findUnproduced looks for reads of what a step never gives: its condition never holds, or its tool's schema rules it out.
func (c *checker) findUnproduced() {
	for _, p := range c.places() {
		for _, read := range distinct(p.reads) {
			id, field, ok := read.Of()
			if !ok || field != "output" {
				continue
			}
			a := about{at: c.doc.Place(p.step, p.key), key: p.key + " " + strings.Join(read, ".")}
			if p.step != "" {
				a.steps = []string{p.step}
			}
			name := strings.Join(read, ".")
			s := &c.plan.Steps[c.index[id]]
			switch {
			case s.When != "" && p.step != id && c.neverTrue(s):
				a.witness = []string{id, "skipped in every run", name + " is null"}
				c.add(plan.NeverProduced, a, "%s reads %s, and step %s never runs", where(p), name, id)
			case s.ForEach == "":
				c.findRuledOut(a, p, id, read)
			}
		}
	}
}

// findRuledOut looks whether what is declared of a step's output rules out that it has what is read.
func (c *checker) findRuledOut(a about, p place, id string, read expr.Read) {
	schema, rules := c.outputOf(id)
	if !never(schema, read[3:]) {
		return
	}
	name := strings.Join(read, ".")
	a.witness = []string{id, "its output fits output_schema", name + " is not there"}
	if agent := c.plan.Steps[c.index[id]].Agent; agent != nil && len(agent.OutputSchema) == 0 {
		a.witness[1], a.fix = "its output is {text: ...}", "read "+stepName(id)+".output.text, or give the agent an output_schema"
	}
	c.add(plan.NeverProduced, a, "%s reads %s, which %s", where(p), name, rules)
}

func where(p place) string {
	switch {
	case p.step == "":
		return "the plan's output"
	case p.key == "with":
		return "step " + p.step
	case p.key == "agent":
		return "the agent of step " + p.step
	}
	return fmt.Sprintf("%s of step %s", p.key, p.step)
}

// mayDegrade reports whether a step may give a degraded result of its own.
func (c *checker) mayDegrade(i int) bool {
	return c.degrading(i) != nil
}

// degrading is the first tool by which a step may get a degraded result, with more than one rung to get it from.
func (c *checker) degrading(i int) *plan.ToolDef {
	for _, k := range c.nodes[i].calls() {
		if k.size() > 1 {
			return k.tool
		}
	}
	return nil
}

// findUnguarded looks for unsafe steps that act on what may be degraded, without having asked.
func (c *checker) findUnguarded() {
	for i := range c.plan.Steps {
		s := &c.plan.Steps[i]
		unasked := c.unaskedOf(s)
		if len(unasked) == 0 {
			continue
		}
		what := fmt.Sprintf("step %s is unsafe and acts", s.ID)
		if s.Agent != nil {
			what = fmt.Sprintf("the agent of step %s may call %s, which is unsafe, and goes", s.ID, unasked[0].Name)
		}
		for _, way := range c.degradedWays(i) {
			from := way[len(way)-1]
			witness := []string{from + " succeeds on " + c.fallbackOf(from)}
			for k := len(way) - 2; k >= 0; k-- {
				witness = append(witness, way[k]+" reads it")
			}
			fix := fmt.Sprintf("when: %q", "!"+stepName(from)+".degraded")
			if s.When != "" {
				fix = fmt.Sprintf("when: %q", "("+s.When+") && !"+stepName(from)+".degraded")
			}
			c.add(plan.DegradedUnguarded, about{at: c.doc.Place(s.ID, paramsKey(s)), steps: []string{s.ID}, tool: unasked[0].Name, key: from, witness: append(witness, "acted on as if it was fresh"), fix: fix},
				"%s on the result of %s, which may be degraded", what, from)
		}
	}
}

// fallbackOf is the first rung on which a step gets a degraded result.
func (c *checker) fallbackOf(step string) string {
	t := c.degrading(c.index[step])
	if t.Name == c.plan.Steps[c.index[step]].Tool {
		return t.Rungs[1].Name
	}
	return t.Name + "/" + t.Rungs[1].Name
}

func stepName(id string) string {
	if strings.Contains(id, "-") {
		return fmt.Sprintf("steps[%q]", id)
	}
	return "steps." + id
}

// mostHops is how many steps of a way are shown before its source.
const mostHops = 6

// degradedWays are the ways on which what may be degraded comes to a step, one for each step whose output it reads without
// having asked whether that is degraded: from the step to the nearest source.
func (c *checker) degradedWays(i int) (ways [][]string) {
	for _, k := range c.unasked(i) {
		source := c.sourceOf(k)
		if source < 0 {
			continue
		}
		way := []string{c.plan.Steps[i].ID}
		for ; k != source && len(way) < mostHops; k = c.flows[k].via {
			way = append(way, c.plan.Steps[k].ID)
		}
		ways = append(ways, append(way, c.plan.Steps[source].ID))
	}
	return ways
}

// flow is how what may be degraded comes to be a step's output.
type flow struct {
	source int // the step whose ladder may give it; -1 if there is none
	via    int // the step through which it comes
}

// sourceOf is the step whose ladder may make the output of step k a degraded one: itself, or one that it reads.
func (c *checker) sourceOf(k int) int {
	if f, known := c.flows[k]; known {
		return f.source
	}
	c.flows[k] = flow{-1, -1}
	if c.mayDegrade(k) {
		c.flows[k] = flow{k, k}
		return k
	}
	for _, n := range c.unasked(k) {
		if source := c.sourceOf(n); source >= 0 {
			c.flows[k] = flow{source, n}
			break
		}
	}
	return c.flows[k].source
}

// unasked are the steps whose outputs a step reads without asking in its condition whether they are degraded.
func (c *checker) unasked(i int) (list []int) {
	asked := map[string]bool{}
	for _, read := range c.nodes[i].asks {
		if of, field, ok := read.Of(); ok && (field == "degraded" || field == "degraded_by") {
			asked[of] = true
		}
	}
	for _, read := range c.nodes[i].reads {
		of, field, ok := read.Of()
		k, there := c.index[of]
		if ok && there && field == "output" && !asked[of] && k != i && !slices.Contains(list, k) {
			list = append(list, k)
		}
	}
	slices.Sort(list)
	return list
}
