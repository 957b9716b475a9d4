package steps

import (
	"maps"
	"slices"
)

// clone is a copy of s that can be folded further while s stays as it is. What is behind a pointer that Apply only
// replaces, never writes through, is shared.
func (s *State) clone() *State {
	c := *s
	c.Units = slices.Clone(s.Units)
	for i := range c.Units {
		c.Units[i].detach()
	}
	c.Escalations = slices.Clone(s.Escalations)
	for n := range c.Escalations {
		c.Escalations[n].Approvals = slices.Clone(s.Escalations[n].Approvals)
	}
	c.faults, c.alarms, c.completed = maps.Clone(s.faults), maps.Clone(s.alarms), slices.Clone(s.completed)
	return &c
}

// detach gives a copied unit its own of everything that is written in place.
func (u *Unit) detach() {
	u.Attempts, u.grants, u.counts = slices.Clone(u.Attempts), slices.Clone(u.grants), slices.Clone(u.counts)
	if u.fan != nil {
		f := *u.fan
		u.fan = &f
	}
}
