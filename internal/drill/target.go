package drill

import (
	"fmt"

	"belay/internal/executor"
	"belay/internal/plan"
	"belay/internal/sim"
	"belay/internal/steps"
)

// targetKind is where a fault happens.
type targetKind uint8

const (
	onRung targetKind = iota
	onQuestion
	onDispatcher
)

// target is where a fault happens.
type target struct {
	kind    targetKind
	undoing *undoing    // of what compensates a step; nil: the run goes on
	base    *sim.Played // without the fault; nil where that was not played

	// Of a rung.
	step *steps.Step
	unit string // that is hit
	tool *plan.ToolDef
	rung int // len(tool.Rungs) is the probe

	// Of a question.
	escalation string // its id in the play without faults
	matter     string // what it is about, in every play
	about      string // how it is asked for

	provoked *sim.Happens // what the first calls do, so that it is asked; nil: it is asked anyway
}

// Name is how a target is asked for.
func (t *target) Name() string {
	switch t.kind {
	case onQuestion:
		return t.about
	case onDispatcher:
		if t.undoing != nil {
			return "dispatcher" + undoSuffix
		}
		return "dispatcher"
	}
	return t.of() + "." + t.def().Name
}

// of is the step whose rung it is, or the compensation of a step or of a call.
func (t *target) of() string {
	if t.undoing != nil {
		return t.undoing.of() + undoSuffix
	}
	if t.step.Agent != nil {
		return t.unit
	}
	return t.step.ID
}

func (t *target) def() *plan.RungDef {
	if t.rung == len(t.tool.Rungs) {
		return t.tool.Probe
	}
	return &t.tool.Rungs[t.rung]
}

func (t *target) spec() executor.Spec { return t.def().Spec }

// acts reports whether a call of the rung does something to the world.
func (t *target) acts() bool { return acts(t.tool, t.rung) }

func acts(t *plan.ToolDef, rung int) bool {
	return rung < len(t.Rungs) && !t.Rungs[rung].Harmless() && t.Effects != steps.EffectsNone
}

// targets are the rungs of all steps, the questions that the plan asks without a fault, the compensations, and the
// dispatcher.
func (d *Drill) targets() []*target {
	var all []*target
	for i := range d.Doc.Definition.Plan.Steps {
		st := &d.Doc.Definition.Plan.Steps[i]
		for _, t := range d.rungsOfStep(st) {
			t.base = d.base
			all = append(all, t)
		}
	}
	for _, id := range d.base.Asked {
		all = append(all, d.question(d.base, id))
	}
	for _, u := range d.undo {
		all = append(all, u.targets()...)
	}
	all = append(all, &target{kind: onDispatcher, base: d.base})
	if len(d.undo) > 0 {
		all = append(all, &target{kind: onDispatcher, undoing: d.undo[0]})
	}
	return all
}

func (d *Drill) rungsOfStep(st *steps.Step) []*target {
	if st.Agent != nil {
		return d.agentTargets(st)
	}
	return rungsOf(st, unitOf(st), d.Tools.Tools[st.Tool])
}

// rungsOf are the rungs of a tool that a unit calls, and its probe.
func rungsOf(st *steps.Step, unit string, t *plan.ToolDef) []*target {
	var all []*target
	for k := range t.Rungs {
		if t.Rungs[k].Human == nil {
			all = append(all, &target{step: st, unit: unit, tool: t, rung: k})
		}
	}
	if t.Probe != nil {
		all = append(all, &target{step: st, unit: unit, tool: t, rung: len(t.Rungs)})
	}
	return all
}

// question is what was asked in a play without the fault.
func (d *Drill) question(base *sim.Played, id string) *target {
	t := &target{kind: onQuestion, base: base, escalation: id, matter: matterOf(base.State, id)}
	e := t.asked()
	if e.Unit != steps.RunUnit {
		t.unit = base.State.Units[e.Unit].ID
	}
	t.about = string(e.Kind) + " of " + t.unit
	if e.Tier > 0 {
		t.about += fmt.Sprintf(" (%s)", id)
	}
	return t
}

// asked is the question as it was asked without the fault.
func (t *target) asked() *steps.Escalation {
	return &t.base.State.Escalations[t.base.State.FindEscalation(t.escalation)]
}
