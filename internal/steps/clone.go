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
		e := &c.Escalations[n]
		e.Approvals, e.votes = slices.Clone(e.Approvals), slices.Clone(e.votes)
	}
	c.denials = slices.Clone(s.denials)
	c.heard = maps.Clone(s.heard)
	for tool, h := range c.heard {
		own := *h
		own.digests, own.said = slices.Clone(h.digests), slices.Clone(h.said)
		c.heard[tool] = &own
	}
	c.faults, c.alarms, c.completed = maps.Clone(s.faults), maps.Clone(s.alarms), slices.Clone(s.completed)
	return &c
}

// detach gives a copied unit its own of everything that is written in place.
func (u *Unit) detach() {
	u.Attempts, u.grants, u.counts = slices.Clone(u.Attempts), slices.Clone(u.grants), slices.Clone(u.counts)
	for n := range u.Attempts {
		u.Attempts[n].Lost = slices.Clone(u.Attempts[n].Lost)
	}
	if u.fan != nil {
		f := *u.fan
		u.fan = &f
	}
}
