package steps

import (
	"maps"
)

// How the run of a migration begins is played, and compared with the run that it goes on from.

// play plays how the new run begins, and refuses what does not go on there as it has to.
func (m *migrating) play() {
	m.out.next = m.submitted()
	next, _ := Apply(nil, Record{Seq: 1, Time: m.old.Now, Run: m.Run, Event: m.out.next})
	if next == nil {
		m.refuse("", "the new plan cannot be begun", "correct the plan")
		return
	}
	if m.old.toBegin() {
		m.out.next.At = m.old.Scheduled
	}
	if len(m.out.Refused) == 0 {
		m.compareDone(next)
	}
	m.compareBegun(next)
	m.compareFaults(next)
}

// compareDone refuses what the new run would not have, or would undo in another way.
func (m *migrating) compareDone(next *State) {
	old, then := change{State: m.old}, change{State: next}
	for i := range m.old.Units {
		u := &m.old.Units[i]
		_, stays := m.Program.index[stepOf(u.ID)]
		if !stays || !u.State().Done() || u.origin.kind != planStep && u.origin.kind != fanItem {
			continue
		}
		j := next.Unit(u.ID)
		if j < 0 {
			continue // an item of a list that is taken over as a whole
		}
		if k, is := next.carried[u.ID]; is && next.Units[j].phase == PhaseWaiting { // an item that has to wait for its turn
			next.Units[j].takeOver(k)
		} else if v := &next.Units[j]; v.State() != u.State() || written(v.Output, nil) != written(u.Output, nil) || len(v.Attempts) > 0 {
			m.refuse(u.ID, "it is done, and the new run would not have its result", doOwnPlan)
			continue
		}
		if u.phase == PhaseSucceeded && old.mayBeUndone(u) {
			m.compareUndo(old, i, then, j)
		}
	}
}

// compareUndo refuses to take unit i over where the new run, in which it is unit j, would undo it in another way.
func (m *migrating) compareUndo(old change, i int, then change, j int) {
	id, was, is := m.old.Units[i].ID, old.undoing(i), then.undoing(j)
	differs := func(what string) {
		m.refuse(id, "it is done, and "+what, "keep in the plan and in its tools what undoes it")
	}
	switch {
	case was == nil && is == nil:
	case was == nil:
		differs("the new plan would undo it with " + is.Tool.Name + ", which nothing did before")
	case is == nil:
		differs("nothing would undo it any more, which " + was.Tool.Name + " does")
	case was.Tool.Name != is.Tool.Name:
		differs("the new plan undoes it with " + is.Tool.Name + " in place of " + was.Tool.Name)
	default:
		for _, what := range sameActs(was.Tool, is.Tool) {
			differs(what + " of " + is.Tool.Name + ", which undoes it")
		}
		if before, after := written(old.undoParams(i)), written(then.undoParams(j)); before != after {
			differs("what undoes it would be called with " + cut(after, 200) + ", and " + cut(before, 200) + " before")
		}
	}
}

// sameActs names in what two versions of a tool's policy differ that say what its calls do, and who is asked about them.
func sameActs(was, is *Tool) (list []string) {
	plain := func(t *Tool) Tool {
		same := Tool{Effects: t.Effects, Trust: t.Trust, InputSchema: t.InputSchema, OutputSchema: t.OutputSchema, Approval: t.Approval, Verify: t.Verify, Definition: t.Definition}
		for _, r := range t.Rungs {
			same.Rungs = append(same.Rungs, Rung{Name: r.Name, Executor: r.Executor, Target: r.Target, Human: r.Human})
		}
		return same
	}
	return differences("", plain(was), plain(is))
}

// compareBegun keeps the idempotency keys of calls that may have acted, and gives new ones to those that surely did not and are other
// calls now.
func (m *migrating) compareBegun(next *State) {
	keys := maps.Clone(m.old.keyRuns)
	for i := range m.old.Units {
		u := &m.old.Units[i]
		if u.origin.kind != planStep && u.origin.kind != fanItem || !begun(u) {
			continue
		}
		j := next.Unit(u.ID)
		_, stays := m.Program.index[stepOf(u.ID)]
		if u.State().Done() && stays || u.Over() && u.State() == StepCancelled {
			continue
		}
		if j >= 0 && m.sameCall(i, next, j) {
			continue
		}
		if stays && !u.State().Done() && m.old.mayHaveHappened(i) {
			m.refuse(u.ID, "an attempt of it may have acted under the key "+m.old.Key(i)+", and the new run would make another call or make it under another key",
				"leave the step as it was, or give its result first, "+doAsk)
			continue
		}
		if keys == nil {
			keys = map[string]string{}
		}
		keys[m.old.keyName(i)] = m.Run
	}
	m.out.next.Keys = keys
}

// sameCall reports whether unit j of the new run makes the call that unit i has made an attempt of.
func (m *migrating) sameCall(i int, next *State, j int) bool {
	u, v, was, is := &m.old.Units[i], &next.Units[j], m.old.Tool(i), next.Tool(j)
	return !u.State().Done() && was.Name == is.Name && was.Effects == is.Effects && v.Params != nil && sameParams(u.Params, v.Params) && m.old.Key(i) == next.Key(j)
}

// compareFaults refuses a plan whose next steps cannot be made of what is done.
func (m *migrating) compareFaults(next *State) {
	for n := range next.Escalations {
		e := &next.Escalations[n]
		if e.Unit != RunUnit && e.Kind == KindFailure {
			m.refuse(next.Units[e.Unit].ID, "it cannot begin: "+e.Fault.Message, "correct the plan")
		}
	}
	if next.ending != "" {
		m.refuse("", "the new run would end at once: "+next.Reason, "correct the plan")
	}
}
