package steps

// Epoch is the newest version of the core's rules. A run is folded by those that it was submitted under, on every
// machine and for ever, so that a log that was folded one way is never folded another:
//
//	1  everything before epochs were written down
//	2  nothing is over before nobody can begin it any more; a worker's stricter policy counts; a rejection sticks to its
//	   call; waits that the other side names are bounded; a fault that the same call brings again is not retried; one
//	   person's name may be written in several ways
//
// A log that asks for a newer one is not folded at all: its run waits until the program is upgraded.
const Epoch = 2

// epochOf is the epoch of a submission; the first ones did not say.
func epochOf(e Submitted) int { return max(1, e.Epoch) }

// since reports whether the run is folded by the rules of an epoch, or newer ones.
func (s *State) since(epoch int) bool { return s.epoch >= epoch }
