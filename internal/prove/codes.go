package prove

import (
	"strings"

	"belay/internal/plan"
)

// Entry is what there is to say about a code, wherever it is found. docs/findings.md has the same table.
type Entry struct {
	Code     string
	Severity Severity
	Title    string // what is so
	Why      string // why it matters
	Fix      string // what can be done
}

// Entries are all codes in their order.
var Entries = []Entry{
	{plan.WayWithoutEnd, Error, "A way without an end", "Nothing ends the attempt if the other side never answers: the run hangs, and nobody is asked.", "timeout: 30s"},
	{plan.NoAnswer, Error, "A question that nobody can answer", "People are asked, and nothing that they may decide lets the step go on.", "decisions: [approve, reject, edit, abort]"},
	{plan.TimesContradict, Error, "A contradiction in times", "Of two times that are written, one can never be reached: one of them is not meant.", "give the tool a longer timeout, or the rung a shorter one"},
	{plan.WaiverExpired, Error, "An expired waiver", "The finding was accepted for a time, and the time is over.", "fix what was waived, or decide anew and set a later day: until: YYYY-MM-DD"},

	{plan.NoDeadline, Warning, "A question without a deadline", "Nothing happens if nobody answers: the run waits for good.", "deadline: 30m"},
	{plan.NoOutcome, Warning, "A question whose deadline decides nothing", "At its deadline the question is only asked again.", "on_deadline: fail"},
	{plan.BudgetTooShort, Warning, "The step's budget ends before the last rung", "When a rung fails slowly, the rungs below it are never tried: the fallback is not there when it is needed.", "timeout: 30m"},
	{plan.DeadlineTooShort, Warning, "The run's deadline comes before all tries", "The retries that the tools file grants do not fit into the run.", "deadline: 1h"},
	{plan.SharedDependency, Warning, "Two rungs lean on one dependency", "When it is down, both rungs fail: the fallback is none.", "let the second rung lean on something else, for example cache: {max_age: 24h}"},
	{plan.NoProbe, Warning, "An unsafe tool without a probe", "When nobody knows whether a call has happened, only a person can find out.", `verify: {http: {url: "https://..."}, happened: "output.found"}`},
	{plan.NoApproval, Warning, "An irreversible call that nobody approves", "It is unsafe, nothing undoes it, and nobody is asked before it.", "approval: always"},
	{plan.UnknownLength, Warning, "A list of any length", "The number of calls is up to whatever gives the list.", "maxItems: 100"},
	{plan.NoCompensation, Warning, "A step that a failed run leaves done", "A later step can fail the run, and nothing undoes what this one did.", "compensate: {tool: ..., with: {...}}"},
	{plan.NeverTrue, Warning, "A condition that never holds", "The step is skipped in every run.", "remove the step, or mend its condition"},
	{plan.MayBeNull, Warning, "An expression reads what may be null", "It fails in every run in which that step gives nothing.", "write ?. or give a default with ??"},
	{plan.NeverProduced, Warning, "An expression reads what no path produces", "It is null, or fails, in every run.", "read what the step gives, or mend its output_schema"},
	{plan.DegradedUnguarded, Warning, "A degraded result reaches an unsafe step", "A stale or default value is acted on as if it was a good one.", "when: \"!steps.ID.degraded\""},
	{plan.RungOutOfReach, Warning, "A rung that is never tried", "The ladder ends above it.", "remove the rung, or let the question above it fall back: deadline: 30m, on_deadline: fallback"},
	{plan.WaivesNothing, Warning, "A waiver without a finding", "What it accepts is no longer so, or was never so.", "remove it"},
	{plan.DegradedMisread, Warning, "degraded is true or false", "The comparison never holds, or the field is not there.", "read steps.ID.degraded_by"},
	{plan.AgentMoney, Warning, "A model whose money nothing bounds", "How often a model is asked says nothing of what it costs: that goes by what it reads, and each turn of an agent reads all before it.", "limits: {usd: 1.00}"},

	{plan.AttemptTooLong, Warning, "An attempt may take longer than its step", "The step's budget ends it before its own timeout does.", "give the tool a longer timeout, or the rung a shorter one"},
	{plan.WaitsTooLong, Warning, "The waits of a retry policy do not fit into the step", "The later tries are never begun.", "fewer attempts, shorter waits, or a longer timeout of the tool"},
	{plan.ToolTooLong, Warning, "A tool has more time than the run", "The run's deadline comes first.", "the run's deadline comes first"},
	{plan.HostChosen, Warning, "A parameter chooses the host among all that there are", "Whoever gives the parameter chooses whom the worker talks to, and shows its secrets.", "allow_hosts: [api.example.com]"},
	{plan.OptionChosen, Warning, "A parameter may be an option of a program", "Whoever gives the parameter may change what the program does.", `put "--" before it`},
	{plan.AnswerRefused, Warning, "An answer that is offered is refused", "People are offered what does not fit the tool's output_schema.", "make an output of it with the rung's output, or fix output_schema"},
	{plan.ModelUnsafe, Warning, "A tool that only asks models is unsafe", "An answer that was lost is an unknown outcome: people are asked, where it could be asked for again.", "effects: none"},
	{plan.ModelActs, Warning, "The model of an agent is unsafe, needs approval, or is not told of the conversation", "A turn is nothing that is done to the world: the calls that it proposes are, and they have tools of their own.", "effects: none"},
	{plan.TrustUnasked, Warning, "An approval rule does not ask about untrusted output", "What a stranger has written may choose parameters for which the rule does not ask.", "when: untrusted || ..., or always"},
}

func entryOf(code string) Entry {
	for _, e := range Entries {
		if e.Code == code {
			return e
		}
	}
	return Entry{Code: code, Severity: Warning, Title: "A remark"}
}

func severityOf(code string) Severity { return entryOf(code).Severity }

// pageOf is where the manual explains a code.
func pageOf(code string) string { return "docs/findings.md#" + strings.ToLower(code) }
