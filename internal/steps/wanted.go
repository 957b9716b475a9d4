package steps

import "bytes"

// Want is what a run says about a message that a worker has in hand.
type Want uint8

const (
	WantsNot  Want = iota + 1 // it wanted the attempt once, and does no more
	WantsThis                 // exactly this
	NeverDid                  // it never asked for this
)

// Wanted compares a message with what the run wants. The attempt must be out, and the call must be the one that the run
// makes: its tool, rung, parameters and key, begun or gone on with. Whoever can publish to the queue can write anything there. A run that does
// not exist has never wanted anything.
func Wanted(s *State, m StepMessage) Want {
	if s == nil || s.Run != m.Run {
		return NeverDid
	}
	c := change{State: s}
	i, out := c.current(m.Attempt)
	switch {
	case !out && c.known(m.Attempt):
		return WantsNot
	case !out:
		return NeverDid
	}
	is := s.message(i)
	if is.Tool != m.Tool || is.RungName != m.RungName || is.Key != m.Key || is.Continues != m.Continues || !sameParams(is.Params, m.Params) {
		return NeverDid
	}
	if s.Units[i].Recalled() || s.Stopping(i) && s.Units[i].State() != StepRunning {
		return WantsNot
	}
	return WantsThis
}

// sameParams compares parameters as they were written, and in canonical form where one side has put them into it.
func sameParams(a, b []byte) bool {
	if bytes.Equal(a, b) {
		return true
	}
	x, err := Canonical(a)
	if err != nil {
		return false
	}
	y, err := Canonical(b)
	return err == nil && bytes.Equal(x, y)
}
