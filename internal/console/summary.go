package console

import (
	"strings"

	"belay/internal/steps"
)

// summaryOf is what is at stake, in one line; outside text. A question's own text says it, and of what is about no step
// there is none.
func summaryOf(d steps.Dossier) string {
	if d.Kind == steps.KindQuestion || d.Failing == nil {
		return ""
	}
	v := shown(d.Failing.Params)
	if len(v.Rows) == 0 {
		return ""
	}
	return d.Failing.Tool + " " + strings.ReplaceAll(v.Brief(), " · ", ", ")
}
