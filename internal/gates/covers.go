package gates

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Covers says which calls a gate is about: those that fit all that is given.
type Covers struct {
	All    bool              `json:"all,omitempty"`    // every call; nothing else is given then
	Run    string            `json:"run,omitempty"`    // id of a run
	Plan   string            `json:"plan,omitempty"`   // name of a plan; * stands for any letters, here and below
	Tool   string            `json:"tool,omitempty"`   // name of a tool
	Target string            `json:"target,omitempty"` // host that a call talks to, with its port as the tools file has it
	Labels map[string]string `json:"labels,omitempty"` // of the run
}

// Call is what is asked about.
type Call struct {
	Run, Plan, Tool string
	Labels          map[string]string
	Target          func() string // asked for only where a gate is about targets
}

// Fits reports whether a call is covered.
func (c *Covers) Fits(call *Call) bool {
	switch {
	case c.Run != "" && c.Run != call.Run, !fits(c.Plan, call.Plan), !fits(c.Tool, call.Tool):
		return false
	}
	for k, v := range c.Labels {
		if got, ok := call.Labels[k]; !ok || !fits(v, got) {
			return false
		}
	}
	return c.Target == "" || call.Target != nil && fits(c.Target, call.Target())
}

// fits matches a text against a pattern; an empty one fits everything.
func fits(pattern, s string) bool {
	if pattern == "" || pattern == s {
		return true
	}
	parts := strings.Split(pattern, "*")
	first, last := parts[0], parts[len(parts)-1]
	if len(parts) == 1 || len(s) < len(first)+len(last) || !strings.HasPrefix(s, first) || !strings.HasSuffix(s, last) {
		return false
	}
	s = s[len(first) : len(s)-len(last)]
	for _, part := range parts[1 : len(parts)-1] {
		i := strings.Index(s, part)
		if i < 0 {
			return false
		}
		s = s[i+len(part):]
	}
	return true
}

// mostText is how long a selector, a name and a reason may be.
const mostText = 200

// Check says what is wrong with it, by the names of the settings; nil = nothing.
func (c *Covers) Check() error {
	some := c.Run != "" || c.Plan != "" || c.Tool != "" || c.Target != "" || len(c.Labels) > 0
	switch {
	case !c.All && !some:
		return errors.New("say what the gate is to hold back: a tool, a plan, a run, a target, a label, or all")
	case c.All && some:
		return errors.New("all is everything: leave out the tool, plan, run, target and label, or leave out all")
	case len(c.Labels) > 16:
		return errors.New("label: at most 16")
	}
	texts := []string{c.Run, c.Plan, c.Tool, c.Target}
	for k, v := range c.Labels {
		if k == "" || v == "" || strings.ContainsAny(k, "=,") {
			return fmt.Errorf("label %q: must be name=value", k+"="+v)
		}
		texts = append(texts, k, v)
	}
	for _, t := range texts {
		if len(t) > mostText || strings.ContainsFunc(t, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
			return fmt.Errorf("%.40q: without blanks, and at most %d bytes", t, mostText)
		}
	}
	return nil
}

// String says in a few words which calls are covered, in the words of the command line.
func (c *Covers) String() string {
	if c.All {
		return "all"
	}
	var words []string
	for _, w := range [][2]string{{"tool", c.Tool}, {"plan", c.Plan}, {"run", c.Run}, {"target", c.Target}} {
		if w[1] != "" {
			words = append(words, w[0]+" "+w[1])
		}
	}
	for _, k := range slices.Sorted(maps.Keys(c.Labels)) {
		words = append(words, "label "+k+"="+c.Labels[k])
	}
	return strings.Join(words, " ")
}

// ParseCovers is the reverse of [Covers.String].
func ParseCovers(text string) (c Covers, err error) {
	if text == "all" {
		return Covers{All: true}, nil
	}
	words := strings.Fields(text)
	if len(words)%2 != 0 {
		return c, fmt.Errorf("%q is not what a gate covers", text)
	}
	for ; len(words) > 0; words = words[2:] {
		switch words[0] {
		case "tool":
			c.Tool = words[1]
		case "plan":
			c.Plan = words[1]
		case "run":
			c.Run = words[1]
		case "target":
			c.Target = words[1]
		case "label":
			k, v, _ := strings.Cut(words[1], "=")
			if c.Labels == nil {
				c.Labels = map[string]string{}
			}
			c.Labels[k] = v
		default:
			return c, fmt.Errorf("%q is not what a gate covers", text)
		}
	}
	return c, c.Check()
}
