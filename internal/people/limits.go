package people

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
)

// Limits are what a submitter may start. The zero value is nothing.
type Limits struct {
	Plans      []string `json:"plans,omitempty"`       // names of the server's plans that it may start; patterns with * and ?
	Tools      []string `json:"tools,omitempty"`       // names of the tools that it may call, and name in whole plans; patterns too
	WholePlans bool     `json:"whole_plans,omitempty"` // it may bring plans of its own, of Tools alone
	Unsafe     bool     `json:"unsafe,omitempty"`      // what it starts may use tools with unsafe effects
}

// IsZero reports whether l allows nothing.
func (l Limits) IsZero() bool {
	return len(l.Plans) == 0 && len(l.Tools) == 0 && !l.WholePlans && !l.Unsafe
}

// Check says what is wrong with the limits of a token of a role; nil = nothing.
func (l Limits) Check(r Role) error {
	for _, pattern := range slices.Concat(l.Plans, l.Tools) {
		if _, err := path.Match(pattern, ""); err != nil || pattern == "" || len(pattern) > 200 {
			return fmt.Errorf("%q is not a pattern of names: use letters, * for any of them and ? for one", pattern)
		}
	}
	switch {
	case r != Submitter && !l.IsZero():
		return fmt.Errorf("limits are for the role submitter; %s may start what the role allows", r)
	case r == Submitter && len(l.Plans)+len(l.Tools) == 0:
		return errors.New("a submitter could start nothing: name plans with --plan, or tools with --tool")
	case l.WholePlans && len(l.Tools) == 0:
		return errors.New("whole plans need tools: name those that they may use with --tool")
	}
	return nil
}

// String says them in a few words.
func (l Limits) String() string {
	var parts []string
	if len(l.Plans) > 0 {
		parts = append(parts, "plans "+strings.Join(l.Plans, " "))
	}
	if len(l.Tools) > 0 {
		parts = append(parts, "tools "+strings.Join(l.Tools, " "))
	}
	if l.WholePlans {
		parts = append(parts, "whole plans")
	}
	if l.Unsafe {
		parts = append(parts, "unsafe")
	}
	return strings.Join(parts, ", ")
}

// allow reports whether a submitter may do a at all, which takes more than its role.
func (l Limits) allow(a Action) bool {
	switch a {
	case SubmitWhole:
		return l.WholePlans
	case CallTool:
		return len(l.Tools) > 0
	}
	return false
}

// MayStart says why a submitter may not start a plan of the server by its name, or call a tool; either name may be empty.
// Everybody else is asked about their role alone, see [Actor.May].
func (p Actor) MayStart(plan, tool string) error {
	switch {
	case p.Role != Submitter:
		return nil
	case plan != "" && !named(p.Limits.Plans, plan):
		return fmt.Errorf("%w: the token of %s does not start the plan %q (--plan of `dispatcher token create`)", ErrForbidden, p.Name, plan)
	case tool != "" && !named(p.Limits.Tools, tool):
		return fmt.Errorf("%w: the token of %s does not use the tool %q (--tool of `dispatcher token create`)", ErrForbidden, p.Name, tool)
	}
	return nil
}

// MayUseUnsafe says why a submitter may not start what uses a tool with unsafe effects.
func (p Actor) MayUseUnsafe(tool string) error {
	if p.Role != Submitter || p.Limits.Unsafe {
		return nil
	}
	return fmt.Errorf("%w: the effects of the tool %q are unsafe, and the token of %s starts nothing that is (--unsafe of `dispatcher token create`)", ErrForbidden, tool, p.Name)
}

// named reports whether one of the patterns is a name's.
func named(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		ok, err := path.Match(pattern, name)
		return ok && err == nil
	})
}
