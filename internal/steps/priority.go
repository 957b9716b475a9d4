package steps

import "slices"

// Priority is in what order attempts leave that wait for their turn to be queued. It follows from the run's log.
type Priority uint8

// The priorities, the first to go first.
const (
	PriorityPeople Priority = iota // a person has decided something about the run, and waits to see what comes of it
	PriorityNew                    // nobody has
	PriorityRedone                 // the run does again what another one did, or goes on by what was decided about many at once
)

// Priorities is how many there are.
const Priorities = 3

var priorityNames = [Priorities]string{"people", "new", "redone"}

func (p Priority) String() string { return priorityNames[p] }

// PriorityNamed is the priority of a name; of one that is not known, that of what is new.
func PriorityNamed(name string) Priority {
	if i := slices.Index(priorityNames[:], name); i >= 0 {
		return Priority(i)
	}
	return PriorityNew
}

// Priority is that of the run's attempts: what was decided last says it.
func (s *State) Priority() Priority {
	for n := len(s.Escalations) - 1; n >= 0; n-- {
		switch d := s.Escalations[n].Decision; {
		case d == nil:
		case d.Many:
			return PriorityRedone
		default:
			return PriorityPeople
		}
	}
	if s.Migrates != nil {
		return PriorityPeople
	}
	if s.RetryOf != "" || s.Replay != nil {
		return PriorityRedone
	}
	return PriorityNew
}
