package steps

import (
	"maps"
	"slices"
	"strings"
)

// MigrationOf says, on the log of a run, which one goes on as it, and what follows from that one's log.
type MigrationOf struct {
	Run string `json:"run"` // the other run
	// Submitters are who submitted that one, and those that went on as it: none of them approves where the submitter may not.
	Submitters []string `json:"submitters,omitempty"`
	Spent      Duration `json:"spent,omitempty"`   // of its work clock
	More       Duration `json:"more,omitempty"`    // that people have given it beyond its plan's deadline
	Dropped    []string `json:"dropped,omitempty"` // steps that it had done and the plan does not have
}

// onMigrated ends the run, because it goes on as another one. What has been said since somebody made sure that nothing is under way
// may have changed that: then nothing happens.
func (c *change) onMigrated(e Migrated) {
	if c.ending != "" || c.final != "" || e.To == "" || e.To == c.Run || e.Seen != c.before || c.underWay() {
		return
	}
	c.Reason, c.migrated = e.why(e.To), &e
	for c.escalationOf(RunUnit) != nil {
		c.supersede(RunUnit)
	}
	for i := range c.Units {
		if !c.Units[i].Over() {
			c.supersede(i)
			c.become(i, PhaseCancelled)
		}
	}
	c.paused, c.ready = false, nil
	c.end(RunMigrated)
}

// Spared is what the run that goes on is submitted with under the spare id, which there must be. A key that is to be its own names it.
func (e *Migrated) Spared() (id string, next Submitted) {
	next = e.Next
	next.Proof, next.Keys = e.Spare.Proof, maps.Clone(next.Keys)
	for name, of := range next.Keys {
		if of == e.To {
			next.Keys[name] = e.Spare.To
		}
	}
	return e.Spare.To, next
}

// GoneOnAs is the end of a run that goes on under this id.
func (c Closed) GoneOnAs(id string, e *Migrated) Closed {
	if id != e.To {
		c.GoesOnAs, c.Reason = id, e.why(id)
	}
	return c
}

// why says in words how the run ended.
func (e *Migrated) why(id string) string {
	by := ""
	if e.By != "" {
		by = ", as " + e.By + " said"
	}
	if id != e.To {
		id += ", because " + e.To + " is another run,"
	}
	return "it goes on as " + id + " under another plan" + by + because(e.Reason)
}

// underWay reports whether anything of the run is under way, or may have happened and is not settled.
func (s *State) underWay() bool {
	return slices.ContainsFunc(s.Units, func(u Unit) bool {
		return u.phase.out() || u.phase == PhaseUnknown || !u.Over() && u.doubt != 0
	})
}

// GoesOnAs is the run that this one goes on as; empty: it does not.
func (s *State) GoesOnAs() string {
	if s.migrated == nil {
		return ""
	}
	if s.spared {
		return s.migrated.Spare.To
	}
	return s.migrated.To
}

// MigratedBy is the decision by which the run goes on as another one; nil: it does not.
func (s *State) MigratedBy() *Migrated { return s.migrated }

// submittedBefore reports whether somebody submitted a run that goes on as this one.
func (s *State) submittedBefore(by string) bool {
	return s.Migrates != nil && slices.ContainsFunc(s.Migrates.Submitters, func(who string) bool { return s.Person(who) == by })
}

// submitters are who submitted the run, and those that went on as it.
func (s *State) submitters() (list []string) {
	if s.Migrates != nil {
		list = slices.Clone(s.Migrates.Submitters)
	}
	if s.By != "" && !slices.Contains(list, s.By) {
		list = append(list, s.By)
	}
	return list
}

// stepOf is the plan step that unit id is a part of.
func stepOf(id string) string {
	base, _, _ := strings.Cut(id, "~")
	return base
}
