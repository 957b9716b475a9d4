package prove

import (
	"slices"
	"strings"

	"belay/internal/expr"
	"belay/internal/plan"
	"belay/internal/steps"
)

// findUnanswerable looks for questions on which no decision lets the step go on.
func (c *checker) findUnanswerable() {
	for _, t := range c.usedTools() {
		users := c.usersOf(t.Name)
		if a := t.Approval; a != nil && !canGoOn(a) {
			about := about{at: t.Place("approval"), steps: users, tool: t.Name, witness: []string{users[0], "held for approval", "nobody can approve it", "rejected or aborted"}}
			if a.Approvers > 1 {
				about.witness[2] = "an edit asks again"
				c.add(plan.NoAnswer, about, "%s needs two approvals, and nobody may approve: an edit does not count as one there", t.Name)
				continue
			}
			c.add(plan.NoAnswer, about, "%s needs an approval, and its decisions (%s) have none that lets it act", t.Name, verbs(a.Decisions))
		}
		for i := range t.Rungs {
			c.findUnfitting(t, &t.Rungs[i], users)
		}
	}
}

// canGoOn reports whether somebody can decide so that the step gets a result.
func canGoOn(a *steps.Approval) bool {
	for _, v := range a.Decisions {
		switch {
		case v == steps.VerbApprove, v == steps.VerbAnswer, v == steps.VerbSkip, v == steps.VerbEdit && a.Approvers < 2:
			return true
		}
	}
	return false
}

func verbs(list []steps.Verb) string {
	words := make([]string, len(list))
	for i, v := range list {
		words[i] = string(v)
	}
	return strings.Join(words, ", ")
}

// findUnfitting looks for questions all of whose answers the tool refuses.
func (c *checker) findUnfitting(t *plan.ToolDef, r *plan.RungDef, users []string) {
	if r.Human == nil || len(r.Human.Options) == 0 || len(r.Human.Output) > 0 || t.CheckOutput == nil {
		return
	}
	for _, option := range r.Human.Options {
		raw, err := expr.Canonical(option)
		if err != nil || t.CheckOutput(raw) == nil {
			return
		}
	}
	c.add(plan.NoAnswer, about{at: r.Place("human"), steps: users, tool: t.Name, key: r.Name, witness: []string{users[0], t.Name + "/" + r.Name, "any answer", "refused by output_schema"}, fix: "output: {answer: \"${ output }\"}"},
		"every answer that %s/%s offers is refused by the tool's output_schema", t.Name, r.Name)
}

// findQuestions looks for questions without a deadline, and for deadlines that decide nothing.
func (c *checker) findQuestions() {
	for _, t := range c.usedTools() {
		users := c.usersOf(t.Name)
		if a := t.Approval; a != nil {
			c.findQuestion(about{at: t.Place("approval"), steps: users, tool: t.Name, key: "approval"}, "the approval of "+t.Name, a.Deadline, a.OnDeadline, true)
		}
		for i := range t.Rungs {
			if h := t.Rungs[i].Human; h != nil {
				a := about{at: t.Rungs[i].Place("human"), steps: users, tool: t.Name, key: t.Rungs[i].Name}
				if !c.isOwn(t) {
					a.at, a.fix = c.doc.Place(users[0], "agent.tools"), ownQuestion
				}
				c.findQuestion(a, "the question of "+t.Name+"/"+t.Rungs[i].Name, h.Deadline, h.OnDeadline, i+1 < len(t.Rungs))
			}
		}
	}
}

// ownQuestion is how the tool with which agents ask people gets a deadline.
const ownQuestion = "in the tools file: " + steps.AskPerson + `: {rungs: [{name: person, human: {question: "${ params.question }", deadline: 30m, on_deadline: fallback}}, {name: nobody, static: {output: "nobody has answered"}}]}`

func (c *checker) findQuestion(a about, what string, deadline steps.Duration, then steps.OnExpiry, below bool) {
	a.witness = []string{a.steps[0], what, "nobody answers"}
	switch {
	case deadline <= 0:
		a.witness = append(a.witness, "it waits for good")
		c.add(plan.NoDeadline, a, "%s has no deadline", what)
	case then == steps.ExpiryPark:
		a.witness = append(a.witness, "asked again without a deadline")
		c.add(plan.NoOutcome, a, "%s is only asked again at its deadline, without an end (on_deadline: park)", what)
	case then == steps.ExpiryFallback && !below:
		a.witness = append(a.witness, "no rung left", "asked again without a deadline")
		c.add(plan.NoOutcome, a, "%s is to fall back at its deadline, and there is no rung below it", what)
	}
}

// findOutOfReach looks for rungs below a question that never falls back.
func (c *checker) findOutOfReach() {
	for _, t := range c.usedTools() {
		i := slices.IndexFunc(t.Rungs, func(r plan.RungDef) bool { return r.Human != nil && !goesOn(r.Human) })
		if i < 0 || i+1 == len(t.Rungs) || c.fallsBack(t, i+1) {
			continue
		}
		users, next := c.usersOf(t.Name), &t.Rungs[i+1]
		c.add(plan.RungOutOfReach, about{at: next.Place("name"), steps: users, tool: t.Name, key: next.Name, witness: []string{users[0], t.Name + "/" + t.Rungs[i].Name, "answered, skipped or aborted", next.Name + " is never tried"}},
			"%s/%s is never tried: the question above it does not fall back", t.Name, next.Name)
	}
}

// fallsBack reports whether a rejection or an approval's deadline may lead to a rung from k down.
func (c *checker) fallsBack(t *plan.ToolDef, k int) bool {
	a := t.Approval
	if a == nil || a.OnReject != steps.RejectFallback && a.OnDeadline != steps.ExpiryFallback {
		return false
	}
	for i := range t.Rungs {
		if t.Rungs[i].Harmless() {
			return i >= k // the first one is where it falls to
		}
	}
	return false
}
