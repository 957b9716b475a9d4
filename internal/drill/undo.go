package drill

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"belay/internal/plan"
	"belay/internal/sim"
	"belay/internal/steps"
)

// undoing is a step, or a call of an agent, that is done and then undone: somebody cancels the run with its result. For a compensation that is no
// other than a run that fails or is aborted; and it can be played for every step, the last one too.
type undoing struct {
	step *steps.Step
	tool *plan.ToolDef // that undoes it
	unit string        // whose result it is: of a list, the first item's
	base *sim.Played   // without a fault; nil where that was not played
	asks []*target     // what people may be asked about the compensation
}

const undoSuffix = "~undo"

// undone reports whether it is undone without a fault: the plan does not leave the step out.
func (u *undoing) undone() bool { return u.base != nil && u.base.State.Unit(u.undo()) >= 0 }

// stays says why a step is not undone without a fault.
func (u *undoing) stays() string {
	if i := u.base.State.Unit(u.unit); i >= 0 && u.base.State.Units[i].State() == steps.StepSucceeded {
		return "the run is over once " + u.of() + " is done" // an agent: it is not done before the log has its last turn
	}
	return "the plan leaves " + u.of() + " out"
}

// of is the step that is undone, or the call of an agent.
func (u *undoing) of() string {
	if steps.IsCall(u.unit) {
		return u.unit
	}
	return u.step.ID
}

// undo is the unit that undoes it.
func (u *undoing) undo() string { return u.unit + undoSuffix }

// undoings are the steps and the calls of agents that a plan or a tool says how to undo.
func (d *Drill) undoings() []*undoing {
	var all []*undoing
	for i := range d.Doc.Definition.Plan.Steps {
		st := &d.Doc.Definition.Plan.Steps[i]
		switch {
		case st.Compensate != nil:
			all = append(all, &undoing{step: st, tool: d.Tools.Tools[st.Compensate.Tool], unit: unitOf(st)})
		case st.Agent == nil && !st.Stays:
			all = append(all, d.undoingCall(st, st.Tool, unitOf(st))...)
		}
		for k, p := range d.made.calls[st.ID] {
			if !st.Stays {
				all = append(all, d.undoingCall(st, p.tool, st.ID+"~t1."+strconv.Itoa(k+1))...)
			}
		}
	}
	return all
}

// undoingCall is how a unit is undone as its tool says; none where it says nothing.
func (d *Drill) undoingCall(st *steps.Step, tool, unit string) []*undoing {
	t := d.Tools.Tool(tool)
	if t == nil || t.Undo == nil {
		return nil
	}
	return []*undoing{{step: st, tool: d.Tools.Tools[t.Undo.Tool], unit: unit}}
}

// PrepareUndo plays how each step, and each call of an agent, is undone that something undoes, so that [Drill.Run] and [Drill.Cell] can play its
// faults. [Drill.Prepare] comes before it.
func (d *Drill) PrepareUndo() error {
	for _, u := range d.undo {
		u.base = d.play(&play{target: &target{kind: onDispatcher, undoing: u}}).Played
		if err := u.throughWithout(); err != nil {
			return err
		}
		u.asks = d.asksOf(u)
	}
	return nil
}

// throughWithout reports why a compensation does not get through without a fault.
func (u *undoing) throughWithout() error {
	i := u.base.State.Unit(u.undo())
	if i < 0 || u.base.State.Units[i].State() == steps.StepSucceeded {
		return nil // there is nothing to undo where the plan leaves the step out
	}
	unit := &u.base.State.Units[i]
	why := "it is " + string(unit.State())
	if unit.Fault != nil {
		why = unit.Fault.Error()
	}
	return &BaseError{fmt.Sprintf("without any fault the compensation of %s does not get through: %s; outputs and inputs are made up where none are given: "+
		"give what it needs with --input and --outputs", spoken(u), why)}
}

// spoken names what is undone.
func spoken(u *undoing) string {
	if steps.IsCall(u.unit) {
		return "the call " + u.unit
	}
	return "step " + u.step.ID
}

// asksOf are the questions about a compensation: what its tool asks without a fault, and what people are asked once it has
// failed, or may have happened.
func (d *Drill) asksOf(u *undoing) []*target {
	all := d.questions(u.base, u, nil)
	for _, h := range u.provocations() {
		p := d.play(&play{target: &target{kind: onQuestion, undoing: u, unit: u.undo(), tool: u.tool}, happens: &h})
		for _, t := range d.questions(p.Played, u, &h) {
			if !slices.ContainsFunc(all, func(o *target) bool { return o.matter == t.matter }) {
				all = append(all, t)
			}
		}
	}
	return all
}

// provocations are what the calls of a compensation do, so that people are asked.
func (u *undoing) provocations() []sim.Happens {
	down := fails(steps.NotFound, steps.ActedNo, "down, so that a person is asked")
	down.Took = usual
	if u.tool.Effects != steps.EffectsUnsafe {
		return []sim.Happens{down}
	}
	lost := fails(steps.Timeout, steps.ActedMaybe, "no answer, so that a person is asked")
	lost.Took, lost.Acts = usual, true
	return []sim.Happens{down, lost}
}

// questions are what people were asked in a play about the compensation of u.
func (d *Drill) questions(base *sim.Played, u *undoing, provoked *sim.Happens) []*target {
	var all []*target
	for _, id := range base.Asked {
		if t := d.question(base, id); t.unit == u.undo() {
			t.undoing, t.tool, t.provoked = u, u.tool, provoked
			all = append(all, t)
		}
	}
	return all
}

// targets are the rungs of the compensation, and what people may be asked about it.
func (u *undoing) targets() []*target {
	var all []*target
	for _, t := range rungsOf(u.step, u.undo(), u.tool) {
		t.undoing, t.base = u, u.base
		all = append(all, t)
	}
	return append(all, u.asks...)
}

// undoing is what is undone in a play; nil where its run goes on.
func (p *play) undoing() *undoing {
	for ; p != nil; p = p.second {
		if p.target != nil && p.target.undoing != nil {
			return p.target.undoing
		}
	}
	return nil
}

// endedUndoing says how a play ended in which the run was cancelled, so that what was done is undone.
func (p *play) endedUndoing(base *sim.Played) judgement {
	if what := asked(p.Played, base); what != "" {
		return judgement{Outcome: Person, By: what}
	}
	rungs := []string{}
	for i := range p.State.Units {
		u := &p.State.Units[i]
		switch {
		case !u.IsUndo():
		case u.State() != steps.StepSucceeded && doneIn(base, u.ID):
			return judgement{Outcome: Person, By: decisionOn(p.State, i)}
		case u.Degraded != nil && u.Rung > 0 && !slices.Contains(rungs, u.Degraded.Rung):
			rungs = append(rungs, u.Degraded.Rung)
		}
	}
	if len(rungs) > 0 {
		return judgement{Outcome: Degraded, By: strings.Join(rungs, ", ")}
	}
	return judgement{Outcome: OK}
}

// doneIn reports whether a unit is done in a play without the fault; nil: it should be.
func doneIn(base *sim.Played, unit string) bool {
	if base == nil {
		return true
	}
	i := base.State.Unit(unit)
	return i < 0 || base.State.Units[i].State() == steps.StepSucceeded
}

// decisionOn is what a person has decided last about a unit.
func decisionOn(s *steps.State, i int) string {
	if n := s.Units[i].Escalation(); n >= 0 && s.Escalations[n].Decision != nil {
		return string(s.Escalations[n].Decision.Verb)
	}
	return string(s.Units[i].State())
}

// asking are the plays of a question: where nobody knows whether the call has had its effect, with and without it. People
// know it, and do not say what is not so.
func (t *target) asking(like play) []*play {
	like.target = t
	if t.provoked == nil {
		like.reached = true
		return []*play{&like}
	}
	var all []*play
	for _, acted := range []bool{false, true} {
		if t.provoked.Acts && like.denies(acted) || acted && !t.provoked.Acts {
			continue
		}
		one, h := like, *t.provoked
		h.Acts = acted
		one.happens = &h
		all = append(all, &one)
	}
	return all
}

// denies reports whether a decision says of a call the contrary of what has happened.
func (p *play) denies(acted bool) bool {
	switch p.verb {
	case steps.VerbRetry, steps.VerbEdit:
		return acted
	case steps.VerbAnswer:
		return !acted
	}
	return false
}
