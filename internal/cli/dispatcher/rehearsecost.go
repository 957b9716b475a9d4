package dispatcher

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"belay/internal/drill"
	"belay/internal/plan"
	"belay/internal/text"
)

// costs are what the calls of all rehearsed runs cost, before and after. An amount is missing where it is not known.
type costs struct {
	Was     *drill.Cost `json:"was,omitempty"`
	Is      *drill.Cost `json:"is,omitempty"`
	WasFrom string      `json:"was_from"` // tools file that says what the calls before cost
	IsFrom  string      `json:"is_from"`  // the same of the calls after
	Unknown []string    `json:"unknown"`  // why an amount is missing, in sentences

	unused bool // neither file says what a call costs
}

// costsOf adds up the runs of which the log says how they would go. One that is not known makes the sum unknown: it may be
// the very one in which the change matters.
func costsOf(runs []*drill.Rehearsal, old, tools *plan.Tools) costs {
	was, is := &side{tools: old}, &side{tools: tools}
	for _, one := range runs {
		if one.Verdict != drill.OutOfSupport {
			was.add(&one.Was)
			is.add(&one.Is)
		}
	}
	c := costs{WasFrom: old.File, IsFrom: tools.File, Unknown: []string{}, unused: !old.SayCosts() && !tools.SayCosts()}
	hint := ""
	if old == tools {
		hint = "; give the tools file that the runs had with --old-tools"
	}
	c.Was = was.sum(&c.Unknown, "before", hint)
	c.Is = is.sum(&c.Unknown, "after", "")
	return c
}

// side is what the calls cost before, or after.
type side struct {
	tools   *plan.Tools
	cost    drill.Cost
	unknown []string // rungs that the tools file does not have
}

func (s *side) add(e *drill.Ended) {
	if e.Cost != nil {
		s.cost.Plus(e.Cost)
	}
	for _, rung := range e.UnknownCosts {
		if !slices.Contains(s.unknown, rung) {
			s.unknown = append(s.unknown, rung)
		}
	}
}

// sum is what the side costs; where that is not known it adds to why.
func (s *side) sum(why *[]string, when, hint string) *drill.Cost {
	switch {
	case !s.tools.SayCosts():
		*why = append(*why, fmt.Sprintf("The cost %s is not known: %s says of no rung what a call costs.", when, s.tools.File))
	case len(s.unknown) > 0:
		*why = append(*why, fmt.Sprintf("The cost %s is not known: %s does not have %s, which runs have called%s.", when, s.tools.File, someOf(s.unknown), hint))
	default:
		return &s.cost
	}
	return nil
}

// someOf are the first names of a list, and how many more there are.
func someOf(names []string) string {
	const most = 3
	shown := strings.Join(names[:min(len(names), most)], ", ")
	if more := len(names) - most; more > 0 {
		shown += fmt.Sprintf(" and %d more", more)
	}
	return shown
}

func (c *costs) known() bool { return c.Was != nil && c.Is != nil }

// change is the cost before and after, with the difference.
func (c *costs) change() string {
	more := c.Is.Less(c.Was)
	sign := ""
	if more.Sign() >= 0 {
		sign = "+"
	}
	return fmt.Sprintf("%s -> %s (%s%s)", c.Was, c.Is, sign, more)
}

// text says where the costs come from, or why they are not known. Nobody is told of costs who has written none.
func (c *costs) text(w io.Writer) {
	switch {
	case c.unused:
	case !c.known():
		for _, why := range c.Unknown {
			fmt.Fprintln(w, text.Line(why))
		}
	case c.WasFrom == c.IsFrom:
		fmt.Fprintln(w, text.Line(fmt.Sprintf("What a call costs is what %s says of a rung with its name, before and after.", c.IsFrom)))
	default:
		fmt.Fprintln(w, text.Line(fmt.Sprintf("What a call costs is what %s says before, and %s after.", c.WasFrom, c.IsFrom)))
	}
}
