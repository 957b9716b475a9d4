package view

import "belay/internal/steps"

// Sequel is what the core has decided after an attempt failed. People and metrics see these words.
type Sequel string

const (
	SequelRetry  Sequel = "again"     // the same rung once more, after AttemptRecord.Wait of the next attempt
	SequelRung   Sequel = "next_rung" // the next rung of the ladder
	SequelProbe  Sequel = "probe"     // the tool's probe looks whether it has happened
	SequelPerson Sequel = "person"    // an escalation is open
	SequelModel  Sequel = "model"     // the agent whose call it is: its model is told
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
		return failedFor(s, i), last
	}
	return SequelNone, last
}

// failedFor says what follows after unit i has failed. What fails of an agent need not end the run.
func failedFor(s *steps.State, i int) Sequel {
	u := &s.Units[i]
	switch {
	case u.Agent() < 0 || s.Ending() != "" || s.Status().Ended():
		return SequelFail
	case s.TakenBack(i):
		return SequelNone
	case u.IsCall():
		return SequelModel
	case s.Units[u.Agent()].State() == steps.StepEscalated:
		return SequelPerson
	}
	return SequelNone
}

// AfterDeadline says what happens if nobody decides in time, after "then". Silence is never consent.
func (e Escalation) AfterDeadline() string {
	switch e.OnExpiry {
	case steps.ExpiryFail:
		if steps.IsCall(e.Step) {
			return "the agent's model is told that nobody has decided"
		}
		return "the step fails, and the run with it"
	case steps.ExpiryFallback:
		return "the next rung that needs no approval is tried; if there is none, it is asked again"
	case steps.ExpiryPark:
		return "it is asked again, without a deadline"
	}
	return "the next people are asked"
}
