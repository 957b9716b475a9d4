package steps

import (
	"encoding/json"
	"maps"
	"strconv"
)

// Carry lists what a retry of the ended run s need not do again: units that are done and were not undone, of an agent no call
// included.
func Carry(s *State) []Carried {
	undone := make(map[int]bool)
	for _, of := range s.wasUndone() {
		undone[of] = true
		if o := s.Units[of].origin; o.kind == agentCall || o.kind == fanItem {
			undone[int(o.parent)] = true
		}
	}
	var list []Carried
	for i := range s.Units {
		u := &s.Units[i]
		if u.origin.kind == undo || u.ofAgent() || !u.State().Done() || undone[i] || u.Fault != nil || s.byItem(i) {
			continue
		}
		list = append(list, Carried{
			Step: u.ID, State: u.State(), Rung: u.Rung, Params: s.carriedParams(i), Output: u.Output, Degraded: carriedLabel(s, i), Tainted: u.tainted,
			Untrusted: u.stranger, From: s.carried[u.ID].From, AnswerBy: s.carried[u.ID].AnswerBy, Rejected: s.carried[u.ID].Rejected,
		})
	}
	return list
}

// TakenOverFrom is the run that did unit i, which this one has taken over; empty: it has not.
func (s *State) TakenOverFrom(i int) string {
	k, is := s.carried[s.Units[i].ID]
	if !is || !s.Units[i].State().Done() {
		return ""
	}
	if s.Migrates != nil {
		return orElse(k.From, s.Migrates.Run)
	}
	return orElse(k.From, s.RetryOf)
}

// byItem reports whether unit i is a list that is taken over item by item, because it would be undone so.
func (s *State) byItem(i int) bool {
	return s.Units[i].fan != nil && s.inForce(s.Program.Nodes[s.Units[i].Node].Undo) != nil
}

// wasUndone are the units whose compensation has succeeded.
func (s *State) wasUndone() (list []int) {
	for i := range s.Units {
		if of, ok := s.Undo(i); ok && s.Units[i].State() == StepSucceeded {
			list = append(list, of)
		}
	}
	return list
}

// RetryKeys are the [Submitted.Keys] of a retry of s: what was undone is done again under keys that name the retry.
func RetryKeys(s *State, retry string) map[string]string {
	keys := maps.Clone(s.keyRuns)
	for _, i := range s.wasUndone() {
		if keys == nil {
			keys = map[string]string{}
		}
		keys[s.keyName(i)] = retry
	}
	return keys
}

// carriedParams are the parameters of unit i where what its tool says undoes it reads them.
func (s *State) carriedParams(i int) json.RawMessage {
	if u := s.undoing(i); u == nil || !u.OfTool {
		return nil
	}
	return s.Units[i].Params
}

// carriedLabel says how a step's result came about. Items are not carried over on their own, so the step takes the label of
// the first item that has one.
func carriedLabel(s *State, i int) *Degraded {
	u := &s.Units[i]
	if u.Degraded == nil && u.loop != nil {
		return s.agentLabel(u)
	}
	if u.Degraded != nil || u.fan == nil {
		return u.Degraded
	}
	for n := range u.fan.items {
		if d := s.Units[u.fan.first+n].Degraded; d != nil {
			return &Degraded{Step: u.ID, Rung: d.Rung, Cause: "item " + strconv.Itoa(n) + ": " + d.Cause, Age: d.Age}
		}
	}
	return nil
}

// agentLabel is the label of the first turn, call or summary of an agent that has one.
func (s *State) agentLabel(u *Unit) *Degraded {
	var units []int
	for _, t := range u.loop.turns {
		units = append(append(units, t.unit), t.calls...)
	}
	for k := range u.loop.summaries {
		units = append(units, u.loop.summaries[k].unit)
	}
	for _, k := range units {
		if d := s.Units[k].Degraded; d != nil {
			return &Degraded{Step: u.ID, Rung: d.Rung, Cause: s.Units[k].Spoken() + ": " + d.Cause, Age: d.Age}
		}
	}
	return nil
}

// degradedBy is what the root `steps.<id>.degraded_by` shows: how the result came about where it is degraded, else null.
func (s *State) degradedBy(i int) any {
	d := carriedLabel(s, i)
	if d == nil || !s.Units[i].tainted {
		return nil
	}
	age := strconv.FormatFloat(float64(d.Age)/1e9, 'f', -1, 64)
	return map[string]any{"rung": d.Rung, "cause": d.Cause, "age": json.Number(age)}
}
