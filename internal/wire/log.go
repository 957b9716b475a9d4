package wire

import (
	"hash/fnv"
	"strconv"
	"strings"

	"belay/internal/steps"
)

// The kinds of log subjects. The kind decides which event types are accepted from it, because it decides who may write.
const (
	KindPlan     = "plan"     // Submitted, Cancelled, Steered: the submitter
	KindOutcome  = "outcome"  // Started, Progress, Succeeded, Failed, Objected: workers
	KindClaim    = "claim"    // Claimed: workers and the dispatcher
	KindDecision = "decision" // Decided: people, through the handoff service
	KindClock    = "clock"    // Fired, Unserved, Withdrawn, Damaged, Held, Released: the dispatcher
	KindResult   = "result"   // Closed: the dispatcher
)

// Partition is the log partition of a run: a hash of its id over count.
func Partition(run string, count int) int {
	h := fnv.New32a()
	h.Write([]byte(run))
	return int(h.Sum32() % uint32(count))
}

// RunsStream is the log stream of partition p, RunsSubjects what it holds.
func (n Names) RunsStream(p int) string   { return n.stream("RUNS_" + strconv.Itoa(p)) }
func (n Names) RunsSubjects(p int) string { return n.Prefix + ".runs." + strconv.Itoa(p) + ".>" }

// Log is the subject of a run's events of one kind.
func (n Names) Log(p int, run, kind string) string {
	return n.Prefix + ".runs." + strconv.Itoa(p) + "." + run + "." + kind
}

// LogOf matches all events of a run; LogKind all events of one kind in a partition.
func (n Names) LogOf(p int, run string) string    { return n.Log(p, run, ">") }
func (n Names) LogKind(p int, kind string) string { return n.Log(p, "*", kind) }

// Claim is the subject of the one claim of an attempt by whoever may claim those of all tools: dispatchers, and workers that the server lets
// do so.
func (n Names) Claim(p int, run string, a steps.Attempt) string {
	return n.Log(p, run, KindClaim) + "." + unitToken(a.Step) + "." + a.Token()
}

// Outcome is a subject of outcomes for those of one tool alone, to which a worker writes that the server lets report of no other.
func (n Names) Outcome(p int, run, tool string) string {
	return n.Log(p, run, KindOutcome) + "." + toolToken(tool)
}

// Outcomes matches the subjects of outcomes of one tool alone, of every run.
func (n Names) Outcomes(tool string) string {
	return n.Prefix + ".runs.*.*." + KindOutcome + "." + toolToken(tool)
}

// ToolClaim is the subject of the one claim of an attempt by workers that the server lets claim those of the attempt's tool alone. The first
// claim in the log counts, on whichever of the two subjects it is: who claims here has to look whether that is its own.
func (n Names) ToolClaim(p int, run, tool string, a steps.Attempt) string {
	return n.Claim(p, run, a) + "." + toolToken(tool)
}

// ToolClaims matches the subjects of claims of one tool alone, of every run.
func (n Names) ToolClaims(tool string) string {
	return n.Prefix + ".runs.*.*." + KindClaim + ".*.*." + toolToken(tool)
}

// LogTool is the tool of a subject of outcomes or claims; empty where it is that of all tools. Ok is false for one that nobody builds, and for
// those of other kinds.
func (n Names) LogTool(subject string) (tool string, ok bool) {
	rest, ok := strings.CutPrefix(subject, n.Prefix+".runs.")
	if !ok {
		return "", false
	}
	_, rest, _ = strings.Cut(rest, ".")
	_, rest, _ = strings.Cut(rest, ".")
	kind, rest, more := strings.Cut(rest, ".")
	switch kind {
	case KindOutcome:
	case KindClaim:
		_, rest, _ = strings.Cut(rest, ".")    // the step
		_, rest, more = strings.Cut(rest, ".") // the attempt
	default:
		return "", false
	}
	if more && rest == "" || strings.Contains(rest, ".") {
		return "", false
	}
	return toolName(rest), true
}

// ClaimOf is the attempt whose claim belongs on a subject of claims.
func (n Names) ClaimOf(subject string) (a steps.Attempt, ok bool) {
	_, run, kind, _ := n.ParseLog(subject)
	if kind != KindClaim {
		return a, false
	}
	_, rest, _ := strings.Cut(subject, "."+run+"."+KindClaim+".")
	step, rest, _ := strings.Cut(rest, ".")
	token, _, _ := strings.Cut(rest, ".")
	return steps.ParseAttempt(unitName(step), token)
}

// ParseLog is the reverse of [Names.Log], [Names.Outcome], [Names.Claim] and [Names.ToolClaim]. What stands behind the kind is not looked at.
func (n Names) ParseLog(subject string) (p int, run, kind string, ok bool) {
	rest, ok := strings.CutPrefix(subject, n.Prefix+".runs.")
	if !ok {
		return 0, "", "", false
	}
	number, rest, _ := strings.Cut(rest, ".")
	run, rest, ok = strings.Cut(rest, ".")
	if !ok {
		return 0, "", "", false
	}
	kind, _, _ = strings.Cut(rest, ".")
	p, ok = steps.Number(number)
	return p, run, kind, ok
}

// Seal is the subject in partition p to which a dispatcher writes for no other reason than that what stands before it is stored
// then. It names no run, and says nothing.
func (n Names) Seal(p int) string { return n.Prefix + ".runs." + strconv.Itoa(p) + ".~seal" }

// LogRun is the run of a log subject, without looking at the rest of it.
func (n Names) LogRun(subject string) (run string, ok bool) {
	rest, ok := strings.CutPrefix(subject, n.Prefix+".runs.")
	if !ok {
		return "", false
	}
	_, rest, _ = strings.Cut(rest, ".")
	run, _, ok = strings.Cut(rest, ".")
	return run, ok
}

// TimersDue matches every timer that has come due.
func (n Names) TimersDue() string { return n.Prefix + ".timers.due.>" }

// TimerSet is where a run's one schedule is kept; TimerDue is where the server puts it when it is due.
func (n Names) TimerSet(p int, run string) string { return n.timer("set", p, run) }
func (n Names) TimerDue(p int, run string) string { return n.timer("due", p, run) }

func (n Names) timer(verb string, p int, run string) string {
	return n.Prefix + ".timers." + verb + "." + strconv.Itoa(p) + "." + run
}

// ParseTimer is the reverse of [Names.TimerSet] and [Names.TimerDue].
func (n Names) ParseTimer(subject string) (p int, run string, ok bool) {
	t, ok := n.tokens(subject, "timers", 3)
	if !ok {
		return 0, "", false
	}
	p, ok = steps.Number(t[1])
	return p, t[2], ok && (t[0] == "set" || t[0] == "due")
}
