package plan

import (
	"slices"
	"strings"
)

// Codes are the codes of all findings that a plan may have and its waivers may name, in their order. What each of them
// means is in internal/prove, which finds them.
var Codes = []string{
	WayWithoutEnd, NoAnswer, TimesContradict, WaiverExpired,
	NoDeadline, NoOutcome, BudgetTooShort, DeadlineTooShort, SharedDependency, NoProbe, NoApproval, UnknownLength, NoCompensation,
	NeverTrue, MayBeNull, NeverProduced, DegradedUnguarded, RungOutOfReach, WaivesNothing, DegradedMisread, AgentMoney,
	AttemptTooLong, WaitsTooLong, ToolTooLong, HostChosen, OptionChosen, AnswerRefused, ModelUnsafe, ModelActs, TrustUnasked,
}

// The codes. One that has been given never means anything else later.
const (
	WayWithoutEnd   = "BLY001" // nothing ends an attempt
	NoAnswer        = "BLY002" // people are asked what nobody can answer so that the step goes on
	TimesContradict = "BLY003" // two times that are written cannot both hold
	WaiverExpired   = "BLY004" // the day until which a finding was waived is over

	NoDeadline        = "BLY010" // a question has no deadline
	NoOutcome         = "BLY011" // a question's deadline decides nothing
	BudgetTooShort    = "BLY012" // the step's budget ends before the last rung is tried
	DeadlineTooShort  = "BLY013" // the run's deadline comes before all tries
	SharedDependency  = "BLY014" // two rungs of a ladder lean on one dependency
	NoProbe           = "BLY015" // nothing but a person can say what an unsafe call did
	NoApproval        = "BLY016" // what nothing undoes is done unasked
	UnknownLength     = "BLY017" // a list may have any length
	NoCompensation    = "BLY018" // what a failed run leaves behind
	NeverTrue         = "BLY019" // a condition that never holds
	MayBeNull         = "BLY020" // an expression reads what may be null
	NeverProduced     = "BLY021" // an expression reads what no path gives
	DegradedUnguarded = "BLY022" // a degraded result reaches an unsafe step
	RungOutOfReach    = "BLY023" // a rung that is never tried
	WaivesNothing     = "BLY024" // a waiver without a finding
	DegradedMisread   = "BLY025" // degraded is read as something else than true or false
	AgentMoney        = "BLY026" // nothing bounds what a model costs

	AttemptTooLong = "BLY030" // an attempt may take longer than its step
	WaitsTooLong   = "BLY031" // the waits of a retry policy do not fit into the step
	ToolTooLong    = "BLY032" // a tool or a rung has more time than the run
	HostChosen     = "BLY033" // a parameter chooses whom a worker talks to
	OptionChosen   = "BLY034" // a parameter may be taken for an option, or chooses the program
	AnswerRefused  = "BLY035" // an answer that is offered would be refused
	ModelUnsafe    = "BLY036" // a tool that only asks models counts as unsafe
	ModelActs      = "BLY037" // the model of an agent is unsafe, or waits for an approval
	TrustUnasked   = "BLY038" // an approval rule does not ask about untrusted output
)

// coded gives the warnings that do finds a code.
func (r *reader) coded(code string, do func()) {
	before := len(r.Warnings)
	do()
	for i := before; i < len(r.Warnings); i++ {
		r.Warnings[i].Code = code
	}
}

// codeRemarks gives what expressions should mind its code.
func (r *reader) codeRemarks(before int) {
	for i := before; i < len(r.Warnings); i++ {
		r.Warnings[i].Code = MayBeNull
		if strings.HasPrefix(r.Warnings[i].Message, "steps") {
			r.Warnings[i].Code = DegradedMisread
		}
	}
}

func knownCode(code string) bool { return slices.Contains(Codes, code) }
