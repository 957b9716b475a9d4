package pages

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"belay/internal/handoff"
	"belay/internal/people"
	"belay/internal/steps"
)

// maxDiffering is how many of the parameters that differ a line names.
const maxDiffering = 4

// differing lists the parameters in which the items of a group differ, in the order of the first item.
func differing(items []*handoff.Item) []string {
	var names []string
	for _, it := range items {
		for _, f := range it.Facts {
			if !slices.Contains(names, f.Name) {
				names = append(names, f.Name)
			}
		}
	}
	return slices.DeleteFunc(names, func(name string) bool {
		first := factOf(items[0], name)
		return !slices.ContainsFunc(items, func(it *handoff.Item) bool { return factOf(it, name) != first })
	})
}

// factOf is the value of an item's parameter; empty if it has none.
func factOf(it *handoff.Item, name string) string {
	for _, f := range it.Facts {
		if f.Name == name {
			return f.Value
		}
	}
	return ""
}

// spread says how the items of a group differ: "amount 12 to 340, customer differs".
func spread(items []*handoff.Item, names []string) string {
	var parts []string
	for _, name := range names[:min(len(names), maxDiffering)] {
		parts = append(parts, name+" "+spreadOf(items, name))
	}
	if more := len(names) - maxDiffering; more > 0 {
		parts = append(parts, count(more, "more parameter differs", "more parameters differ"))
	}
	return strings.Join(parts, ", ")
}

// spreadOf is the range of a parameter's numbers, or its two values if there are only two.
func spreadOf(items []*handoff.Item, name string) string {
	if r := rangeOf(items, name); r != "" {
		return r
	}
	var values []string
	for _, it := range items {
		if v := factOf(it, name); !slices.Contains(values, v) {
			values = append(values, v)
		}
		if len(values) > 2 {
			return "differs"
		}
	}
	if slices.Contains(values, "") || len(values[0])+len(values[1]) > 40 {
		return "differs"
	}
	return values[0] + " or " + values[1]
}

// rangeOf is the range from the least number to the greatest, as written; empty if not all are numbers.
func rangeOf(items []*handoff.Item, name string) string {
	var low, high string
	var least, most float64
	for i, it := range items {
		text := factOf(it, name)
		n, err := strconv.ParseFloat(text, 64)
		if err != nil || !isNumber(text) {
			return ""
		}
		if i == 0 || n < least {
			low, least = text, n
		}
		if i == 0 || n > most {
			high, most = text, n
		}
	}
	return low + " to " + high
}

// facts shows some of an item's parameters on one line.
func facts(it *handoff.Item, names []string) string {
	var parts []string
	for _, name := range names[:min(len(names), maxDiffering)] {
		if v := factOf(it, name); v != "" {
			parts = append(parts, name+" "+v)
		}
	}
	return strings.Join(parts, " · ")
}

// groupedKind reports whether alike items of this kind share a line. Each question has its own text, and each dead letter
// its own entry.
func groupedKind(k steps.EscalationKind) bool {
	return k != steps.KindQuestion && k != steps.KindDeadLetter
}

// stake puts what is at stake into the line of an item, and what is asked beside it.
func (l *line) stake(text string) {
	if text != "" {
		l.Asks = l.What
		l.What, l.Outside = cut(text, 140), true
	}
}

// likeness is how the items of a group differ, and what they have in common.
type likeness struct {
	names          []string // parameters that differ
	message, place bool     // all say the same; all are the same step
}

func likenessOf(items []*handoff.Item) likeness {
	v := likeness{differing(items), true, true}
	for _, it := range items {
		v.message = v.message && it.Message == items[0].Message
		v.place = v.place && it.Workflow == items[0].Workflow && it.Step == items[0].Step
	}
	return v
}

// oneOf is the line of one item of a group: how it differs, without what the group's line says.
func oneOf(it *handoff.Item, alike likeness, p people.Actor, now time.Time) line {
	l := writeItem(it, p, now)
	text := facts(it, alike.names)
	l.stake(cmp.Or(text, summaryOf(it.Escalation)))
	if text != "" {
		l.Asks = ""
	}
	if alike.message {
		l.Why = ""
	}
	if alike.place {
		l.Where = ""
	}
	return l
}
