package console

import "belay/internal/steps"

// hint says what a fault class usually means for the person who decides.
func hint(c steps.Class) string { return hints[c] }

var hints = map[steps.Class]string{
	steps.Timeout:          "No answer came in time. It may have acted all the same.",
	steps.RateLimited:      "The other side asks for fewer calls. A later retry usually works.",
	steps.Unavailable:      "The other side cannot serve now. A retry works once it is back.",
	steps.Connection:       "It could not be reached. Look at the network, or whether it runs at all.",
	steps.Crashed:          "Workers died while executing this. A retry may kill another one.",
	steps.InvalidOutput:    "It answered, but not with what its schema promises.",
	steps.InvalidInput:     "It refuses these parameters. A retry fails again; an edit may help.",
	steps.Unauthorized:     "It does not know us. Check the credentials of the worker, then retry.",
	steps.Forbidden:        "It knows us and says no. A retry fails again until somebody grants access.",
	steps.NotFound:         "What was asked for is not there. A retry fails again; an edit may help.",
	steps.Conflict:         "Something else changed it first. Look at it before you retry.",
	steps.ToolError:        "The tool itself says that it cannot do this. A retry usually fails again.",
	steps.BadExpression:    "An expression of the plan cannot be evaluated with these values.",
	steps.NeedsHuman:       "The tool itself asks for a person.",
	steps.PolicyDenied:     "A policy does not allow it.",
	steps.BudgetExceeded:   "The budget is used up.",
	steps.DeadlineExceeded: "The time for it is used up.",
	steps.NoWorker:         "No worker serves this tool. Start one, then retry.",
	steps.Unknown:          "Nobody knows whether it acted. Look at the other side before you repeat it.",
}

// reaction says why an attempt was, or was not, followed by another one.
func reaction(c steps.Class) string {
	if c == "" {
		return ""
	}
	switch c.Reaction() {
	case steps.Retry:
		return "worth a retry"
	case steps.Ask:
		return "for a person"
	}
	return "permanent: the same call fails again"
}
