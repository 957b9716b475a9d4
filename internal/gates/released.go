package gates

import (
	"context"
	"slices"

	"belay/internal/steps"
)

// Released reports whether a run waits for nothing but gates that were opened: it goes on when its turn comes, and nobody has to do anything.
// The log says so only once that has come. Where it cannot be found out the run waits for people.
func (k *Book) Released(ctx context.Context, s *steps.State) bool {
	if s.Status() != steps.RunWaiting || s.HeldBack() == 0 || asks(s) {
		return false
	}
	all, err := k.List(ctx)
	if err != nil {
		return false
	}
	for i := range s.Units {
		if h, _ := s.Units[i].HeldBack(); h != nil && h.Why == steps.HoldGate && !isOpen(all, h.Gate) {
			return false
		}
	}
	return true
}

// asks reports whether a run has asked people something that nobody has decided.
func asks(s *steps.State) bool {
	return slices.ContainsFunc(s.Escalations, func(e steps.Escalation) bool { return e.State == steps.EscalationOpen })
}

func isOpen(all []Progress, id string) bool {
	return slices.ContainsFunc(all, func(p Progress) bool { return p.ID == id && !p.Closed() })
}
