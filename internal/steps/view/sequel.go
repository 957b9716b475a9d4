package view

import "belay/internal/steps"

// Sequel is what the core has decided after an attempt failed. People and metrics see these words.
type Sequel string

const (
	SequelRetry  Sequel = "again"     // the same rung once more, after AttemptRecord.Wait of the next attempt
	SequelRung   Sequel = "next_rung" // the next rung of the ladder
	SequelProbe  Sequel = "probe"     // the tool's probe looks whether it has happened
	SequelPerson Sequel = "person"    // an escalation is open
	SequelFail   Sequel = "fail"      // the run fails
	SequelNone   Sequel = "none"      // nobody waits for it any more, or the run goes on without it
)

// SequelOf says what follows a failed attempt of unit i, and the unit's newest attempt, which is the one that follows when
// there is one.
func SequelOf(s *steps.State, i int, rec *steps.AttemptRecord) (Sequel, *steps.AttemptRecord) {
	u := &s.Units[i]
	last := &u.Attempts[len(u.Attempts)-1]
	switch {
	case u.State().InQueue() && s.Probing(i) && rec.Rung < last.Rung:
		return SequelProbe, last
	case u.State().InQueue() && last.Round == rec.Round && last.Rung == rec.Rung && last.Try > rec.Try:
		return SequelRetry, last
	case u.State().InQueue() && last.Round == rec.Round && last.Rung > rec.Rung:
		return SequelRung, last
	case u.State() == steps.StepEscalated, u.State() == steps.StepUnknown:
		return SequelPerson, last
	case u.State() == steps.StepFailed:
		return SequelFail, last
	}
	return SequelNone, last
}
