package prove

import (
	"fmt"
	"slices"
	"strings"

	"belay/internal/plan"
)

// scope says what a report of this plan is worth.
func scope(c *checker) Scope {
	s := Scope{
		Proves: []string{
			"each attempt, wait and rung ends by what the documents say, and then come a result, another try, another rung or a person, but for the findings above",
			"between two decisions of people, no fault of any tool makes a step try more often, or work longer, than the table says",
		},
		Assumes: []string{
			"rungs report the faults that docs/faults.md lists for their executors",
			"workers go by the same tools file, have room for the calls, report within 5s of the end of a step's budget, and hear within 500ms that an attempt is taken back",
			"of each step, at most 2 executions that are repeated were cut off with their workers: a worker that is stopped on purpose, or lost before the log has heard that it began, repeats a call uncounted",
			fmt.Sprintf("the ack wait of workers is %s, and a wait before a retry may be as short as its jitter allows", spoken(ackWait)),
			"a step with no tries left asks people; each of their decisions to try once more may cost the same again",
		},
		Cannot: []string{
			"whether tools do what their effects say, and answers are true: of models, programs and people",
			"whether a worker serves each rung, who is notified of questions, and whether they read it: that is in the settings of the server",
			"questions after a failure have no deadline: they stay open until somebody decides",
		},
	}
	if c.plan.EscalateAfter > 0 {
		s.Assumes = append(s.Assumes, "escalate_after is counted for each step alone: where steps share a tool, there may be fewer attempts than the table says")
	}
	if len(c.lists()) > 0 {
		s.Cannot = append(s.Cannot, "how long the lists of "+strings.Join(c.lists(), ", ")+" are: the table says what each element adds")
	}
	if agents := c.agents(); len(agents) > 0 {
		s.Proves = append(s.Proves, "whatever the model of an agent says, it has no more turns and calls than its limits allow, and no more summaries than one for each keep_turns turns; each call counts as one of the tool that is the worst")
		s.Assumes = append(s.Assumes,
			"the calls of one turn of an agent are at work at the same time, and of each turn and each call at most 2 executions are repeated",
			"a person who extends an agent that has reached a limit, or has it finish, lets it cost as much again")
		if slices.ContainsFunc(agents, func(a AgentCost) bool { return a.USD > 0 }) {
			s.Assumes = append(s.Assumes, "each try of a turn of an agent begins only if it fits into limits.usd; one that is executed again because its worker was lost may be paid for once more for each lost worker",
				"a token is at least a byte of what a model reads, and a provider and the rung's own instructions and prompt add at most 1000 tokens to what a run sends it: that much is reserved for them")
		}
	}
	if names := c.unpriced(); len(names) > 0 {
		s.Cannot = append(s.Cannot, "what the calls of "+strings.Join(names, ", ")+" cost: what a model reads is counted only when it is asked; a rung's cost is what the table reckons with")
	}
	for _, t := range c.usedTools() {
		if t.Probe != nil {
			s.Assumes = append(s.Assumes, "the worker of a call that a probe looks for says nothing more of it: if it says later that nothing happened, the ladder goes on with a new budget")
			break
		}
	}
	return s
}

// unpriced are the rungs that ask models and say nothing of what a call costs.
func (c *checker) unpriced() (names []string) {
	for _, t := range c.usedTools() {
		for i := range t.Rungs {
			if r := &t.Rungs[i]; r.Spec.Model != nil && !r.Says("cost") {
				names = append(names, t.Name+"/"+r.Name)
			}
		}
	}
	return names
}

// lists are the steps whose lists may have any length.
func (c *checker) lists() (ids []string) {
	for i := range c.nodes {
		if !c.nodes[i].n.known {
			ids = append(ids, c.nodes[i].ID)
		}
	}
	return ids
}

// headline is the one sentence by which a report is read first.
func (r *Report) headline() string {
	every := "every way ends"
	for i := range r.Findings {
		if f := &r.Findings[i]; f.Counts() && (f.Code == plan.WayWithoutEnd || f.Code == plan.NoAnswer) {
			every = "not every way ends"
		}
	}
	s := fmt.Sprintf("%s: %s, %s: %s, %s", r.File, plural(r.Steps, "step"), every, orNo(r.Errors, "error"), orNo(r.Warnings, "warning"))
	if r.Waived > 0 {
		s += fmt.Sprintf(", %d waived", r.Waived)
	}
	s += ". Worst case " + r.Worst.sentence() + "."
	return s
}

func (w *Worst) sentence() string {
	if len(w.Work.Each) > 0 || len(w.Dependencies) > 0 && len(w.Dependencies[0].Calls.Each) > 0 {
		return w.formulas()
	}
	s := w.Work.String() + " of work"
	if w.Work.Endless {
		s = "without an end"
	}
	if w.Cut {
		s += " (cut by the deadline)"
	}
	if len(w.Dependencies) > 0 {
		d := w.Dependencies[0]
		s += fmt.Sprintf(", %s to %s", callsOf(d.Calls), d.Name)
	}
	return s
}

// formulas is the sentence where the length of a list is not known.
func (w *Worst) formulas() string {
	s := "of work: " + w.Work.String()
	if w.Cut {
		s += " (cut by the deadline)"
	}
	if len(w.Dependencies) > 0 {
		s += fmt.Sprintf("; calls to %s: %s", w.Dependencies[0].Name, w.Dependencies[0].Calls)
	}
	return s
}

func callsOf(a Amount) string {
	if len(a.Each) == 0 {
		return plural(a.Fixed, "call")
	}
	return a.String() + " calls"
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func orNo(n int, what string) string {
	if n == 0 {
		return "no " + what + "s"
	}
	return plural(n, what)
}
