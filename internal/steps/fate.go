package steps

// Fate is what became of the matter that an escalation asked about, once it was decided.
type Fate string

const (
	FateOpen     Fate = "open"      // nobody has decided
	FateUnderWay Fate = "under_way" // decided, and at work
	FateDone     Fate = "done"      // the step is done, or its run is over
	FateBack     Fate = "back"      // the same is asked again: the same tool, rung, class and target
	FateOther    Fate = "other"     // something else is asked about it now
)

// FateOf says what became of escalation n of s.
func FateOf(s *State, n int) Fate {
	e := &s.Escalations[n]
	switch {
	case e.State == EscalationOpen:
		return FateOpen
	case s.Status().Ended():
		return FateDone
	}
	for k := n + 1; k < len(s.Escalations); k++ {
		next := &s.Escalations[k]
		if next.Unit != e.Unit || next.State != EscalationOpen {
			continue
		}
		if ViewEscalation(s, k).Fingerprint() == ViewEscalation(s, n).Fingerprint() {
			return FateBack
		}
		return FateOther
	}
	if e.Unit != RunUnit && !s.Units[e.Unit].over() {
		return FateUnderWay
	}
	return FateDone
}
