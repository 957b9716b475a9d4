package steps

import "slices"

// What was done is only in the log. Where the log has lost its end, or is an old copy, it may have forgotten a call that was
// made; so the first call of each unit from there on that must not happen twice is not made, but counts as one that may have
// happened, and the probe of its tool or a person settles it.

// onDamaged puts the run's calls in doubt; once for each damage.
func (c *change) onDamaged(e Damaged) {
	if c.final != "" || e.Damage == "" || slices.Contains(c.damages, e.Damage) || len(c.damages) >= maxDamages {
		return
	}
	c.damages = append(c.damages, e.Damage)
	c.damage = e.What + onWhose(e)
	for i := range c.Units {
		u := &c.Units[i]
		if u.phase.out() && u.State() != StepRunning && c.forgotten(i) {
			c.recall(i, c.mayBeForgotten()) // a worker may have it in hand
		}
	}
	if e.Hole && c.ending == "" && !c.holed {
		c.holed = true
		c.ask(RunUnit, KindFailure, Fault{Class: Unknown, Acted: ActedMaybe, Message: "the log has lost part of what it had about this run, so nothing of it goes on: " + e.What})
	}
	c.touch(RunUnit)
}

// maxDamages bounds how many are kept of a run.
const maxDamages = 1000

func onWhose(e Damaged) string {
	if e.By == "" {
		return ""
	}
	return "; " + e.By + " said that work may go on" + because(e.Reason)
}

// First is the sequence of the run's first record.
func (s *State) First() uint64 { return s.first }

// Knows reports whether the run's log says of a damage that it has happened.
func (s *State) Knows(damage string) bool { return slices.Contains(s.damages, damage) }

// forgotten reports whether the log may have forgotten that the call of unit i was made, and nobody was told so yet. What only
// looks, or a person does, was not made.
func (c *change) forgotten(i int) bool {
	u := &c.Units[i]
	return int(u.sure) < len(c.damages) && c.effects(i).Unsafe() && !c.Tool(i).Rung(u.Rung).Harmless()
}

// mayBeForgotten is the fault of a call that the log may have forgotten.
func (c *change) mayBeForgotten() Fault {
	return Fault{Class: Unknown, Acted: ActedMaybe, Message: "not made: the log may have forgotten that it was made before; " + c.damage}
}

// putInDoubt ends the current attempt of unit i, which nobody has begun since the log was damaged. That is done once for each
// damage: whoever sends the step back then knows of it.
func (c *change) putInDoubt(i int, f Fault) {
	c.Units[i].sure = int32(len(c.damages))
	c.failed(i, f)
}

// pausing reports whether nothing new is queued, because people are asked about the run as a whole.
func (s *State) pausing() bool { return s.paused || s.holed }

// AboutDamage reports whether e asks if a damaged run goes on.
func (e *Escalation) AboutDamage() bool {
	return e.Unit == RunUnit && e.Kind == KindFailure && e.Fault.Class == Unknown
}
