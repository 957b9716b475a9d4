package steps

import (
	"encoding/json"
	"slices"
)

// undoSuffix ends the id of the unit that undoes another.
const undoSuffix = "~undo"

// undoing is what undoes unit i if the run ends otherwise than planned: what its step says or, where that says nothing, the
// tool that it called. Nil: nothing does. A list is undone item by item, and an agent call by call, unless its step has a
// compensation of its own and has come to an end, which is what that one undoes.
func (s *State) undoing(i int) *Undo {
	u := &s.Units[i]
	n := &s.Program.Nodes[u.Node]
	switch {
	case u.origin.kind == undo, u.asksModel(), u.fan != nil, u.shows != 0:
		return nil
	case u.origin.kind != agentCall:
		return s.inForce(n.Undo)
	case u.origin.item < 0, n.Undo != nil && s.Units[u.origin.parent].phase == PhaseSucceeded:
		return nil
	}
	return s.inForce(n.Agent.Tools[u.origin.item].Undo)
}

// inForce is u, but nil for what a tool says in a run of older rules: nothing was undone by it.
func (s *State) inForce(u *Undo) *Undo {
	if u != nil && u.OfTool && !s.since(7) {
		return nil
	}
	return u
}

// undone reports whether something undoes what unit i does, if the run ends otherwise than planned.
func (s *State) undone(i int) bool { return s.undoing(i) != nil }

// compensate undoes completed units in the reverse order of their completion, one at a time, once every other unit of
// the ending run is over.
func (c *change) compensate() {
	if c.left > 0 || c.noUndo {
		return
	}
	if !c.askedLeft {
		c.askedLeft = true
		if c.askLeft(); c.left > 0 {
			return
		}
	}
	for len(c.completed) > 0 {
		i := c.completed[len(c.completed)-1]
		c.completed = c.completed[:len(c.completed)-1]
		if c.undoing(i) == nil {
			continue
		}
		c.undo(i)
		if c.left > 0 {
			return
		}
	}
}

// undo begins to undo unit i.
func (c *change) undo(i int) {
	c.Units = append(c.Units, Unit{
		ID: c.Units[i].ID + undoSuffix, Node: c.Units[i].Node, Since: c.Seq, origin: origin{kind: undo, parent: int32(i)}, stranger: c.Units[i].stranger,
	})
	c.left++
	c.prepare(len(c.Units) - 1)
}

// askLeft asks people about calls of agents that have failed, may have happened and would be undone if they have. Their models
// were told so and went on; now that the run ends otherwise, the answer decides. Of several calls under one key the last one
// answers for all, once it is over.
func (c *change) askLeft() {
	answered := map[string]bool{}
	var ask []int
	for i := len(c.Units) - 1; i >= len(c.Program.Nodes); i-- {
		u := &c.Units[i]
		if u.origin.kind != agentCall || u.call == "" || answered[c.Key(i)] {
			continue
		}
		happened := c.mayHaveHappened(i)
		answered[c.Key(i)] = happened || u.phase == PhaseSucceeded || !u.Over()
		if happened && u.phase == PhaseFailed && c.undone(i) && !c.abortedBy(i) {
			ask = append(ask, i)
		}
	}
	for _, i := range slices.Backward(ask) {
		c.reopenDoubt(i)
	}
}

// abortedBy reports whether a person has ended the run when they were asked about unit i, and so left it as it is.
func (c *change) abortedBy(i int) bool {
	n := c.Units[i].question.index()
	return n >= 0 && c.Escalations[n].Decision != nil && c.Escalations[n].Decision.Verb == VerbAbort
}

// reopenDoubt asks people whether call i, which was over, has happened.
func (c *change) reopenDoubt(i int) {
	f := *c.Units[i].Fault
	f.Class, f.Acted = Unknown, ActedMaybe
	c.Units[i].Fault = &f
	c.left++
	c.become(i, PhaseUnknown)
	c.stopUnknown(i)
}

// undoParams are the parameters of the call that undoes unit i.
func (c *change) undoParams(i int) (json.RawMessage, error) {
	u := c.undoing(i)
	switch {
	case u.With == nil:
		return noParams, nil
	case u.OfTool:
		return u.With(c.CallScope(i, c.Units[i].Output))
	}
	return u.With(c.scope(i))
}
