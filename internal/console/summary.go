package console

import (
	"strings"

	"belay/internal/handoff"
	"belay/internal/steps"
)

// summaryOf is what is at stake, in one line; outside text. A question's own text says it, and of what is about no step
// there is none.
func summaryOf(d steps.Dossier) string {
	if d.Kind == steps.KindQuestion || d.Failing == nil {
		return ""
	}
	list, _ := members(d.Failing.Params)
	var parts []string
	for _, m := range list {
		if r := rowOf(m); r.Kind != "json" && r.Text != "" {
			parts = append(parts, r.Name+" "+strings.Join(strings.Fields(r.Text), " "))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return cut(d.Failing.Tool+" "+strings.Join(parts, ", "), 100)
}

// summaryOfItem is the same for a list.
func summaryOfItem(it *handoff.Item) string {
	if it.Kind == steps.KindQuestion {
		return ""
	}
	names := make([]string, len(it.Facts))
	for i, f := range it.Facts {
		names[i] = f.Name
	}
	return facts(it, names)
}
