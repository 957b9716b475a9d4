package handoff

import (
	"fmt"

	"belay/internal/steps"
)

// reopen makes a retry or an edit take back the rejection of the same call that it runs into. That is for approvers, and
// with a reason; anything else would be refused by the run without a word to whoever decided.
func reopen(s *steps.State, n int, who Person, d steps.Decided, many bool) (steps.Decided, error) {
	den, why := steps.Reopens(s, n, d)
	if den == nil {
		return d, nil
	}
	if err := who.may(Action(steps.VerbApprove)); err != nil {
		return d, fmt.Errorf("%s has rejected exactly this call (%s: %s), and only an approver may reopen it: %w", den.By, den.Escalation, den.Reason, err)
	}
	switch {
	case many:
		return d, fmt.Errorf("%w: %s has rejected exactly this call (%s: %s): look at it alone", ErrNotAllowed, den.By, den.Escalation, den.Reason)
	case why != "" && d.Reason == "":
		return d, fmt.Errorf("%w: %s", ErrInvalid, why)
	case why != "":
		return d, fmt.Errorf("%w: %s", ErrForbidden, why)
	}
	d.Reopens = den.Escalation
	return d, nil
}
