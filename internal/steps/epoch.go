package steps

// Epoch is the newest version of the core's rules. A run is folded by those that it was submitted under, on every
// machine and for ever, so that a log that was folded one way is never folded another:
//
//	1  everything before epochs were written down
//	2  a stop is confirmed before a run ends; a worker's stricter policy counts; denials stick; waits that the other
//	   side names are bounded; names that differ only in case, width or blanks are one person's
//
// A log that asks for a newer one is not folded at all: its run waits until the program is upgraded.
const Epoch = 2

// epochOf is the epoch of a submission; the first ones did not say.
func epochOf(e Submitted) int { return max(1, e.Epoch) }

// since reports whether the run is folded by the rules of an epoch, or newer ones.
func (s *State) since(epoch int) bool { return s.epoch >= epoch }
