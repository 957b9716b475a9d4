package prove

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"belay/internal/plan"
	"belay/internal/steps"
)

// findEndless looks for attempts that nothing ends: neither a timeout, nor a budget, nor the run's deadline.
func (c *checker) findEndless() {
	for _, t := range c.usedTools() {
		if t.Timeout > 0 || c.plan.Deadline > 0 && !c.undoes(t.Name) {
			continue
		}
		for _, k := range newCall(t, 0).rungs() {
			users := c.usersOf(t.Name)
			a := about{at: k.def.Place("timeout"), steps: users, tool: t.Name, key: k.Name}
			switch {
			case k.Human != nil:
			case k.attempt == 0:
				a.witness = []string{users[0], k.where, "no answer", "no timeout", "nobody is asked"}
				c.add(plan.WayWithoutEnd, a, "nothing ends an attempt of %s: the rung has no timeout, the tool has none, and %s", k.where, c.noDeadline(t.Name))
			case k.named > 0 && k.namedNoEnd:
				a.at, a.fix = k.def.Place("retry"), "retry_after_max: 5m"
				a.witness = []string{users[0], k.where, "429, Retry-After: a year", "it waits", "nobody is asked"}
				c.add(plan.WayWithoutEnd, a, "whoever answers %s may name any wait: retry_after_max is 0s, the tool has no timeout, and %s", k.where, c.noDeadline(t.Name))
			}
		}
	}
}

func (c *checker) noDeadline(tool string) string {
	if c.undoes(tool) && c.plan.Deadline > 0 {
		return "the run's deadline does not count for a compensation"
	}
	return "the run has no deadline"
}

// undoes reports whether a tool is called by a compensation.
func (c *checker) undoes(tool string) bool {
	for i := range c.plan.Steps {
		if slices.Contains(c.undoers(&c.plan.Steps[i]), tool) {
			return true
		}
	}
	return false
}

// findContradictions looks for times of which both are written and one can never be reached.
func (c *checker) findContradictions() {
	for _, t := range c.usedTools() {
		if t.Timeout <= 0 || !t.Says("timeout") {
			continue
		}
		rungs := make([]*plan.RungDef, 0, len(t.Rungs)+1)
		for i := range t.Rungs {
			rungs = append(rungs, &t.Rungs[i])
		}
		if t.Probe != nil {
			rungs = append(rungs, t.Probe)
		}
		for _, r := range rungs {
			if r.Says("timeout") && r.Timeout > t.Timeout {
				users := c.usersOf(t.Name)
				c.add(plan.TimesContradict, about{at: r.Place("timeout"), steps: users, tool: t.Name, key: r.Name, witness: []string{users[0], t.Name + "/" + r.Name, "its timeout of " + spokenOf(r.Timeout), "never reached"}},
					"an attempt of %s/%s may take %s, all of the step only %s", t.Name, r.Name, spokenOf(r.Timeout), spokenOf(t.Timeout))
			}
		}
	}
}

func spokenOf(d steps.Duration) string { return spoken(time.Duration(d)) }

// findShortBudgets looks for ladders whose budget may be used up before the last rung gets its turn. Each try is taken to
// fail alike, as when the other side hangs: what a mixture of faults may do is in the table.
func (c *checker) findShortBudgets() {
	for _, t := range c.usedTools() {
		if t.Timeout <= 0 {
			continue
		}
		for _, segment := range newCall(t, 0).segments {
			c.findShortBudget(t, segment)
		}
	}
}

func (c *checker) findShortBudget(t *plan.ToolDef, segment []*rung) {
	var used time.Duration
	var names []string
	for _, k := range segment {
		if used >= time.Duration(t.Timeout) {
			users := c.usersOf(t.Name)
			c.add(plan.BudgetTooShort, about{
				at: t.Place("timeout"), steps: users, tool: t.Name, witness: []string{users[0], strings.Join(names, ", then "), "the budget of " + spokenOf(t.Timeout) + " is used up", k.where + " is not tried", "on_failure"},
				fix: "timeout: " + spoken(roundUp(used)),
			}, "%s may never be tried: the rungs above it may take %s, all of the step only %s", k.where, spoken(used), spokenOf(t.Timeout))
			return
		}
		used = total(used, k.steady)
		names = append(names, fmt.Sprintf("%s fails %s", k.where, times(k.steadyTries)))
	}
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

// roundUp makes of a time one that people would write.
func roundUp(d time.Duration) time.Duration {
	unit := 10 * time.Second
	if d > 10*time.Minute {
		unit = 5 * time.Minute
	} else if d > 2*time.Minute {
		unit = time.Minute
	}
	return (d/unit + 1) * unit
}

// findShortDeadline looks whether all tries that the tools file grants fit into the run, where each try fails alike.
func (c *checker) findShortDeadline() {
	if c.plan.Deadline <= 0 {
		return
	}
	work := c.longest(func(n *node) Span { return n.steadily() })
	most := work.atLeastOne()
	if most <= time.Duration(c.plan.Deadline) {
		return
	}
	what := "a person is asked whether the run gets its time again"
	if c.plan.OnDeadline == steps.DeadlineFail {
		what = "the run fails"
	}
	c.add(plan.DeadlineTooShort, about{at: c.doc.Place("", "deadline"), witness: append(c.slowest(), "the deadline of "+spokenOf(c.plan.Deadline)+" comes first", what), fix: "deadline: " + spoken(roundUp(most))},
		"the tries of the steps, where each fails alike, may take %s, the whole run only %s", spoken(most), spokenOf(c.plan.Deadline))
}

// slowest is the way through the plan that takes longest, with what each step may take.
func (c *checker) slowest() []string {
	longest := make([]time.Duration, len(c.nodes))
	via := make([]int, len(c.nodes))
	done := make([]bool, len(c.nodes))
	var at func(i int) time.Duration
	at = func(i int) time.Duration {
		if done[i] {
			return longest[i]
		}
		n := &c.nodes[i]
		via[i] = -1
		var before time.Duration
		for _, id := range n.Needs {
			if d := at(c.index[id]); d > before {
				before, via[i] = d, c.index[id]
			}
		}
		longest[i], done[i] = total(before, n.steadily().atLeastOne()), true
		return longest[i]
	}
	last := 0
	for i := range c.nodes {
		if at(i) > at(last) {
			last = i
		}
	}
	var way []string
	for i := last; i >= 0; i = via[i] {
		n := &c.nodes[i]
		way = append(way, n.ID+" takes "+spoken(n.steadily().atLeastOne()))
	}
	slices.Reverse(way)
	return shortened(way)
}

// shortened leaves out the middle of a way that nobody would read.
func shortened(way []string) []string {
	const shown = 8
	if len(way) <= shown {
		return way
	}
	left := len(way) - shown
	return slices.Concat(way[:shown/2], []string{fmt.Sprintf("%d more steps", left)}, way[len(way)-shown/2:])
}
