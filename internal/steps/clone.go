package steps

import (
	"maps"
	"slices"
)

// Clone is a copy of s that can be folded further while s stays as it is. What is behind a pointer that Apply only
// replaces, and never writes through, is shared.
func (s *State) Clone() *State {
	c := *s
	c.Units = slices.Clone(s.Units)
	for i := range c.Units {
		c.Units[i].detach()
	}
	c.Escalations = slices.Clone(s.Escalations)
	for n := range c.Escalations {
		e := &c.Escalations[n]
		e.Approvals, e.ApprovalSeqs = slices.Clone(e.Approvals), slices.Clone(e.ApprovalSeqs)
	}
	c.denials = slices.Clone(s.denials)
	c.heard = maps.Clone(s.heard)
	for tool, h := range c.heard {
		own := *h
		own.digests, own.said = slices.Clone(h.digests), slices.Clone(h.said)
		c.heard[tool] = &own
	}
	c.faults, c.alarms, c.early, c.completed = maps.Clone(s.faults), maps.Clone(s.alarms), maps.Clone(s.early), slices.Clone(s.completed)
	c.damages = slices.Clone(s.damages)
	return &c
}

// detach gives a copied unit its own copy of everything that is written in place.
func (u *Unit) detach() {
	u.Attempts, u.permit.grants, u.ladder.faults = slices.Clone(u.Attempts), slices.Clone(u.permit.grants), slices.Clone(u.ladder.faults)
	u.ladder.doubted.faults = slices.Clone(u.ladder.doubted.faults)
	for n := range u.Attempts {
		u.Attempts[n].Lost = slices.Clone(u.Attempts[n].Lost)
	}
	if u.loop != nil {
		l := *u.loop
		l.turns, l.summaries, l.made, l.unsettled, l.notes, l.kept = slices.Clone(l.turns), slices.Clone(l.summaries), maps.Clone(l.made), maps.Clone(l.unsettled), slices.Clone(l.notes), slices.Clone(l.kept)
		for n := range l.turns {
			l.turns[n].calls = slices.Clone(l.turns[n].calls)
		}
		u.loop = &l
	}
	if u.fan != nil {
		f := *u.fan
		u.fan = &f
	}
}
