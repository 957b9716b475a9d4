package steps

// Sequel is what the core has decided after an attempt failed. People and metrics are told in these words.
type Sequel string

const (
	SequelAgain  Sequel = "again"     // the same rung once more, after AttemptRecord.Wait of the next attempt
	SequelRung   Sequel = "next_rung" // the next rung of the ladder
	SequelProbe  Sequel = "probe"     // the tool's probe looks whether it has happened
	SequelPerson Sequel = "person"    // an escalation is open
	SequelFail   Sequel = "fail"      // the run fails
	SequelNone   Sequel = "none"      // nobody waits for it any more, or the run goes on without it
)

// After says what follows a failed attempt of unit i, and the unit's newest attempt, which is the one that follows when
// there is one.
func After(s *State, i int, rec *AttemptRecord) (Sequel, *AttemptRecord) {
	u := &s.Units[i]
	last := &u.Attempts[len(u.Attempts)-1]
	switch {
	case u.State.InQueue() && s.probing(i) && rec.Rung < last.Rung:
		return SequelProbe, last
	case u.State.InQueue() && last.Round == rec.Round && last.Rung == rec.Rung && last.Try > rec.Try:
		return SequelAgain, last
	case u.State.InQueue() && last.Round == rec.Round && last.Rung > rec.Rung:
		return SequelRung, last
	case u.State == StepEscalated, u.State == StepUnknown:
		return SequelPerson, last
	case u.State == StepFailed:
		return SequelFail, last
	}
	return SequelNone, last
}
