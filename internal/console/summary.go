package console

import "belay/internal/steps"

// summaryOf is what is at stake, in one line; outside text. A question's own text says it, and of what is about no step
// there is none.
func summaryOf(v steps.EscalationView) string {
	if v.Kind == steps.KindQuestion {
		return ""
	}
	return v.Summary
}
