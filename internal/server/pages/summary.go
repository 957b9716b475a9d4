package pages

import (
	"belay/internal/steps"
	"belay/internal/steps/view"
)

// summaryOf says what is at stake, in one line; outside text. It is empty for a question, whose own text says it, and for
// an escalation about the run as a whole.
func summaryOf(v view.Escalation) string {
	if v.Kind == steps.KindQuestion {
		return ""
	}
	return v.Summary
}
