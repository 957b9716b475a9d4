package sim

import (
	"fmt"
	"slices"

	"belay/internal/steps"
)

// Wrong is what must never be.
type Wrong uint8

// What can be wrong.
const (
	Right      Wrong = iota
	Lost             // an effect that the run knows nothing of, one that it reports and that has never happened, or one that is not undone
	Twice            // an effect that happened more than once
	Stuck            // the run does not end, and nobody is asked
	Late             // a call that must not be repeated began although its attempt was over
	Unapproved       // an effect that needed an approval and had none
)

// Wrong says what is wrong with how a play ended. Whether an effect is lost or doubled is seen in the world, and not in what
// the run believes.
func (p *Played) Wrong() (w Wrong, why string) {
	switch {
	case p.Endless:
		return Stuck, "it goes on for ever"
	case !p.State.Closed() && !p.asks():
		return Stuck, "the run is " + string(p.State.Status()) + ", and nobody is asked"
	}
	if i := slices.IndexFunc(p.Effects, func(e Effect) bool { return e.Unapproved }); i >= 0 {
		return Unapproved, p.Effects[i].Tool + " has had its effect for " + p.Effects[i].Step + " without an approval"
	}
	if i := slices.IndexFunc(p.Late, func(c Call) bool { return c.Claimed() }); i >= 0 {
		return Late, p.Late[i].Tool + " was called for " + p.Late[i].Step + " after the attempt was over"
	}
	if why = p.twice(); why != "" {
		return Twice, why
	}
	if why = p.lost(); why != "" {
		return Lost, why
	}
	return Right, ""
}

func (p *Played) asks() bool {
	for n := range p.State.Escalations {
		if p.State.Escalations[n].State == steps.EscalationOpen {
			return true
		}
	}
	return false
}

// twice says which effect has happened more than once. What is idempotent may be called twice with one key.
func (p *Played) twice() string {
	keys := map[string]map[string]int{}
	for _, e := range p.Effects {
		if keys[e.Step] == nil {
			keys[e.Step] = map[string]int{}
		}
		keys[e.Step][e.Key]++
		switch {
		case e.Effects.Unsafe() && keys[e.Step][e.Key] > 1:
			return fmt.Sprintf("%s has had its effect %d times for %s", e.Tool, keys[e.Step][e.Key], e.Step)
		case len(keys[e.Step]) > 1 && !p.edited(e.Step) && p.Restarts == 0: // else a decision may be lost that was acted on
			return fmt.Sprintf("%s has had its effect under %d keys for %s", e.Tool, len(keys[e.Step]), e.Step)
		}
	}
	return ""
}

// edited reports whether a person has changed the parameters of a unit: then it is another call.
func (p *Played) edited(unit string) bool {
	i := p.State.Unit(unit)
	for n := range p.State.Escalations {
		if e := &p.State.Escalations[n]; e.Unit == i && e.Decision != nil && e.Decision.Verb == steps.VerbEdit {
			return true
		}
	}
	return false
}

// lost says what the run believes of an effect that is not so.
func (p *Played) lost() string {
	if !p.State.Closed() {
		return ""
	}
	acted := map[string]bool{}
	for _, e := range p.Effects {
		acted[e.Step] = true
	}
	for i := range p.State.Units {
		u, tool := &p.State.Units[i], p.State.Tool(i)
		if u.FannedOut() || len(u.Attempts) == 0 {
			continue
		}
		switch done := u.State() == steps.StepSucceeded; {
		case done && p.byCall(i) && !acted[u.ID]:
			return u.Spoken() + " is said to have succeeded, and " + tool.Name + " has never had its effect"
		case !done && tool.Effects.Unsafe() && acted[u.ID] && !p.known(i):
			return u.Spoken() + " is " + string(u.State()) + ", and nobody knows that " + tool.Name + " has had its effect"
		}
	}
	return p.left(acted)
}

// left says what was done and is left so by a run that ended before it was through, although the plan says what undoes it:
// nothing did, and no person said that nothing should.
func (p *Played) left(acted map[string]bool) string {
	if as, _, _ := p.State.EndingSince(); as == "" {
		return ""
	}
	for i := range p.State.Units {
		u := &p.State.Units[i]
		if !p.undoable(i) || u.State() != steps.StepSucceeded || !p.leaves(i, acted) {
			continue
		}
		switch n := p.State.Unit(u.ID + "~undo"); {
		case n < 0 && p.undoingAborted():
		case n < 0:
			return u.Spoken() + " was done, and nothing undoes it"
		case !acted[u.ID+"~undo"] && !p.actsOnNothing(n) && !p.leftByPerson(n):
			return u.Spoken() + " was done, and its compensation ended as " + string(p.State.Units[n].State()) + " without an effect; nobody was asked"
		}
	}
	return ""
}

// undoable reports whether the plan or a tool says what undoes unit i. A step's compensation is for the step and for each item
// of a list; what a tool says is for the calls of agents too, unless the agent has come to its end and is undone as a whole. What
// plan and tools say counts, not what the program has made of it.
func (p *Played) undoable(i int) bool {
	u := &p.State.Units[i]
	st := p.State.Program.Nodes[u.Node].Step
	isList := u.FannedOut() && !u.Loops()
	switch {
	case u.IsUndo(), u.IsTurn(), u.IsSummary(), isList, st.Stays:
		return false
	case u.IsCall():
		whole := st.Compensate != nil && p.State.Units[u.Agent()].State() == steps.StepSucceeded
		return !whole && p.ofTool(i)
	}
	return st.Compensate != nil || st.Agent == nil && p.ofTool(i)
}

// ofTool reports whether the tool of unit i says what undoes its calls.
func (p *Played) ofTool(i int) bool { return p.State.Program.Tools[p.State.Tool(i).Name].Undo != nil }

// leaves reports whether unit i, which is done, leaves something in the world: an agent what its calls have done.
func (p *Played) leaves(i int, acted map[string]bool) bool {
	if !p.State.Units[i].Loops() {
		return p.State.Tool(i).Effects != steps.EffectsNone
	}
	for n := range p.State.Units {
		if u := &p.State.Units[n]; u.Agent() == i && acted[u.ID] {
			return true
		}
	}
	return false
}

// Stands says what a step did although it did not succeed, and what stands because its run ended without it: the plan says
// what undoes it, a step that has failed is not undone, and nobody was asked. An agent does what its calls do, and those of which
// no tool says what undoes them stand however well they went. That is by the rules, and so it is not [Wrong]; a plan need not let such a step fail the run.
func (p *Played) Stands() string {
	if as, _, _ := p.State.EndingSince(); as == "" || !p.State.Closed() {
		return ""
	}
	for _, e := range p.Effects {
		i := p.State.Unit(e.Step)
		of := i
		if agent := p.State.Units[i].Agent(); agent >= 0 && !p.undoable(i) {
			of = agent
		}
		u := &p.State.Units[of]
		if !p.undoable(of) || u.State() == steps.StepSucceeded || p.decided(of) {
			continue
		}
		text := e.Tool + " has had its effect for " + p.State.Units[i].Spoken()
		if of != i {
			return text + ", and " + u.Spoken() + " is " + string(u.State()) + " and not undone, and nobody was asked: let a person be asked (on_limit: escalate)"
		}
		return text + ", which is " + string(u.State()) + " and not undone, and nobody was asked: let a person be asked (on_failure: escalate), or declare its tool unsafe"
	}
	return ""
}

// decided reports whether a person has decided about unit i or, of an agent, about one of its turns: how the agent goes on. Who
// decides about a call says nothing about the others.
func (p *Played) decided(i int) bool {
	return slices.ContainsFunc(p.State.Escalations, func(e steps.Escalation) bool {
		if e.Decision == nil || e.Unit == steps.RunUnit {
			return false
		}
		u := &p.State.Units[e.Unit]
		return e.Unit == i || u.IsTurn() && u.Agent() == i
	})
}

// undoingAborted reports whether a person has said that nothing more is to be undone.
func (p *Played) undoingAborted() bool {
	return slices.ContainsFunc(p.State.Escalations, func(e steps.Escalation) bool {
		return e.Unit != steps.RunUnit && p.State.Units[e.Unit].IsUndo() && e.Decision != nil && e.Decision.Verb == steps.VerbAbort
	})
}

// actsOnNothing reports whether unit i succeeded by a tool that says of itself that it acts on nothing.
func (p *Played) actsOnNothing(i int) bool {
	return p.State.Units[i].State() == steps.StepSucceeded && p.State.Tool(i).Effects == steps.EffectsNone
}

// leftByPerson reports whether a person has said what becomes of unit i.
func (p *Played) leftByPerson(i int) bool {
	u := &p.State.Units[i]
	if u.AnswerBy != "" || u.Rejected != nil {
		return true
	}
	return slices.ContainsFunc(p.State.Escalations, func(e steps.Escalation) bool {
		return e.Unit == i && e.Decision != nil && (e.Decision.Verb == steps.VerbSkip || e.Decision.Verb == steps.VerbAbort)
	})
}

// byCall reports whether the result of unit i came from a call that does something to the world, and not from a person, a
// probe or a rung that acts on nothing.
func (p *Played) byCall(i int) bool {
	u, t := &p.State.Units[i], p.State.Tool(i)
	return u.AnswerBy == "" && u.Rung < len(t.Rungs) && !t.Rungs[u.Rung].Harmless() && t.Effects != steps.EffectsNone
}

// known reports whether the run knows that the effect of unit i may have happened: it says unknown, a person has been asked
// about it, or it has been undone.
func (p *Played) known(i int) bool {
	u := &p.State.Units[i]
	if u.State() == steps.StepUnknown || p.State.Unit(u.ID+"~undo") >= 0 {
		return true
	}
	for n := range p.State.Escalations {
		if p.State.Escalations[n].Unit == i {
			return true
		}
	}
	return false
}
