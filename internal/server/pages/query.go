package pages

import (
	"strings"
	"time"

	"belay/internal/handoff"
)

// query is what a person types to filter the inbox: words that must all occur, and `name:value` pairs.
//
//	kind:approval tool:payments.refund class:timeout workflow:refund claimed:no snoozed:yes zip
type query struct {
	words   []string
	pairs   map[string]string
	snoozed bool // show snoozed items too
}

func parseQuery(text string) query {
	q := query{pairs: map[string]string{}}
	for _, word := range strings.Fields(strings.ToLower(text)) {
		name, value, ok := strings.Cut(word, ":")
		switch {
		case ok && name == "snoozed":
			q.snoozed = value != "no"
		case ok && value != "" && isColumn(name):
			q.pairs[name] = value
		default:
			q.words = append(q.words, word)
		}
	}
	return q
}

func isColumn(name string) bool {
	switch name {
	case "kind", "tool", "class", "workflow", "claimed", "assigned", "run", "step":
		return true
	}
	return false
}

// matches reports whether an item matches the query.
func (q query) matches(it *handoff.Item, now time.Time) bool {
	if isSnoozed(it, now) && !q.snoozed {
		return false
	}
	for name, value := range q.pairs {
		if !holds(it, name, value, now) {
			return false
		}
	}
	if len(q.words) == 0 {
		return true
	}
	text := strings.ToLower(strings.Join([]string{it.ID, string(it.Kind), it.Workflow, it.Step, it.Tool, string(it.Class), it.Message, holder(it, now), summaryOf(it.Escalation)}, " "))
	for _, w := range q.words {
		if !strings.Contains(text, w) {
			return false
		}
	}
	return true
}

func holds(it *handoff.Item, name, value string, now time.Time) bool {
	is := ""
	switch name {
	case "kind":
		is = string(it.Kind)
	case "tool":
		is = it.Tool
	case "class":
		is = string(it.Class)
	case "workflow":
		is = it.Workflow
	case "step":
		is = it.Step
	case "run":
		return strings.HasSuffix(strings.ToLower(it.Run), value)
	case "assigned":
		is = it.Assigned
	case "claimed":
		is = holder(it, now)
		if value == "no" || value == "yes" {
			return (is != "") == (value == "yes")
		}
	}
	return strings.ToLower(is) == value
}

// holder is who has claimed an item, if the claim has not run out. Empty means nobody.
func holder(it *handoff.Item, now time.Time) string {
	if it.Claim == nil || !it.Claim.Until.After(now) {
		return ""
	}
	return it.Claim.By
}

// isSnoozed reports whether an item is snoozed. One whose deadline is over never is.
func isSnoozed(it *handoff.Item, now time.Time) bool {
	return it.Snoozed.After(now) && (it.Deadline == nil || it.Deadline.After(now))
}
