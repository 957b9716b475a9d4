package pages

import "belay/internal/steps"

// hint says what a fault usually means for the person who decides.
func hint(c steps.Class, r steps.Reason) string {
	if said := reasons[r]; said != "" {
		return said
	}
	return hints[c]
}

// reasons are the hints of faults that say more than their classes.
var reasons = map[steps.Reason]string{
	steps.ContextTooLong: "The conversation does not fit into the model. A retry would fail again; ask for less.",
	steps.Refusal:        "The model declines. A retry usually fails again; an edit may help.",
	steps.ContentFilter:  "The provider's filter has stopped it. A retry usually fails again; an edit may help.",
	steps.Truncated:      "The answer was cut off at its longest output. A retry would fail again; ask for less, or allow more.",
	steps.Overloaded:     "The provider has too much to do. A later retry usually works.",
	steps.BreakerOpen:    "No call was made: most calls to it have failed of late. It is tried again by itself; look at Gates.",
	steps.RetryBudget:    "No call was made: too many of the calls to it are retries. A later retry usually works.",
}

var hints = map[steps.Class]string{
	steps.Timeout:          "No answer came in time. It may have acted nevertheless.",
	steps.RateLimited:      "The other side asks for fewer calls. A later retry usually works.",
	steps.Unavailable:      "The other side cannot serve calls now. A retry works once it is back.",
	steps.Connection:       "It could not be reached. Check the network, and whether it is running.",
	steps.Crashed:          "Workers died while executing this. A retry may kill another one.",
	steps.InvalidOutput:    "It answered, but not with a valid result.",
	steps.InvalidInput:     "It refused these parameters. A retry would fail again; an edit may help.",
	steps.Unauthorized:     "It did not accept the worker's credentials. Check them, then retry.",
	steps.Forbidden:        "The worker's credentials do not allow this. A retry fails until somebody grants access.",
	steps.NotFound:         "What was asked for is not there. A retry would fail again; an edit may help.",
	steps.Conflict:         "It is not in the state that the call expects. Look at it before you retry.",
	steps.ToolError:        "The tool reported an error. A retry usually fails again.",
	steps.BadExpression:    "An expression of the plan cannot be evaluated with these values.",
	steps.NeedsHuman:       "The tool itself asks for a person.",
	steps.PolicyDenied:     "The worker's own policy forbids the call.",
	steps.BudgetExceeded:   "The parameters are too large for a message.",
	steps.DeadlineExceeded: "The run's time budget is used up.",
	steps.NoWorker:         "No worker serves this tool. Start one, then retry.",
	steps.Unknown:          "Nobody knows whether it acted. Look at the other side before you retry.",
}

// reaction says why an attempt was or was not retried.
func reaction(c steps.Class, r steps.Reason) string {
	if c == "" {
		return ""
	}
	switch r {
	case "", steps.Overloaded:
	case steps.BreakerOpen, steps.RetryBudget:
		return "no call was made"
	default:
		return "permanent: the same call fails again"
	}
	switch c.Reaction() {
	case steps.Retry:
		return "can be retried"
	case steps.Ask:
		return "needs a person"
	}
	return "permanent: the same call fails again"
}
