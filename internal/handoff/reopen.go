package handoff

import (
	"fmt"

	"belay/internal/people"
	"belay/internal/steps"
)

// reopen lets a retry or an edit take back an earlier rejection of the same call. It takes an approver and a reason;
// without them the run would ignore the decision without saying so.
func reopen(s *steps.State, n int, who people.Actor, d steps.Decided, many bool) (steps.Decided, error) {
	den, why := steps.Reopens(s, n, d)
	if den == nil {
		return d, nil
	}
	if err := who.May(people.Approve); err != nil {
		return d, fmt.Errorf("%s has rejected exactly this call (%s: %s), and only an approver may reopen it: %w", den.By, den.Escalation, den.Reason, err)
	}
	switch {
	case many:
		return d, fmt.Errorf("%w: %s has rejected exactly this call (%s: %s): look at it alone", ErrNotAllowed, den.By, den.Escalation, den.Reason)
	case why != "" && d.Reason == "":
		return d, fmt.Errorf("%w: %s", ErrInvalid, why)
	case why != "":
		return d, fmt.Errorf("%w: %s", people.ErrForbidden, why)
	}
	d.Reopens = den.Escalation
	return d, nil
}
