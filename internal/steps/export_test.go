package steps

// What the tests in package steps_test look at.
const MaxPolicies = maxPolicies

var SaferEffects = saferEffects

// ApplyWatched is Apply; watch sees every transition of a unit.
var ApplyWatched = fold

// Legal reports whether the table of transitions has a move.
func Legal(from, to Phase) bool { return moves[from].has(to) }

// Phases is how many phases there are.
const Phases = Phase(phases)
