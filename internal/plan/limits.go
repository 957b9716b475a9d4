package plan

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"belay/internal/steps"
	"belay/internal/steps/view"
	"belay/internal/yamldoc"
)

// readLimits reads how many calls of a tool may begin and be in hand.
func (f *toolsFile) readLimits(t *ToolDef, n *yaml.Node) {
	l := &steps.Limits{}
	if f.settleLimits(n, l, f.limitFields(l)) {
		t.Limits = l
	}
}

// settleLimits reads limits, which need at least one number.
func (f *toolsFile) settleLimits(n *yaml.Node, l *steps.Limits, keys yamldoc.Fields) bool {
	found := f.Object(n, "limits", keys)
	if found != nil && found["rate"] == nil && found["concurrency"] == nil {
		f.At(n, "for example {rate: 50/s}, {concurrency: 10} or both", "limits need a rate or a concurrency")
	}
	return l.Rate > 0 || l.Concurrency > 0
}

// limitFields are the keys of a tool's limits.
func (f *toolsFile) limitFields(l *steps.Limits) yamldoc.Fields {
	keys := f.targetFields(l)
	keys["per"] = func(n *yaml.Node) {
		s, ok := f.Text(n)
		if l.Per = s; ok && s != steps.PerTarget {
			f.checkBare(n, s, inTools, false)
		}
	}
	return keys
}

// mostSlots is how many calls a limit may let be in hand at once: all of them are named in one small record.
const mostSlots = 1000

// targetFields are the keys of a target's limits.
func (f *toolsFile) targetFields(l *steps.Limits) yamldoc.Fields {
	return yamldoc.Fields{
		"rate":        func(n *yaml.Node) { f.readRate(l, n) },
		"concurrency": f.Int(&l.Concurrency, 1, mostSlots),
	}
}

// target is what calls of several tools may talk to, with the limits that they share.
type target struct {
	node   *yaml.Node
	limits steps.Limits
}

// readTargets reads the limits of targets.
func (f *toolsFile) readTargets(n *yaml.Node) {
	f.targets = map[string]target{}
	f.Mapping(n, "targets", func(key, value *yaml.Node) {
		t := target{node: key}
		what := `target "` + yamldoc.Shorten(key.Value) + `"`
		found := f.Object(value, what, f.limitedTarget(&t))
		f.Require(value, what, found, "limits")
		f.targets[strings.ToLower(key.Value)] = t
	})
}

// limitedTarget are the keys of a target.
func (f *toolsFile) limitedTarget(t *target) yamldoc.Fields {
	return yamldoc.Fields{"limits": func(n *yaml.Node) { f.settleLimits(n, &t.limits, f.targetFields(&t.limits)) }}
}

// settleTargets gives each tool the limits of what its rungs talk to, or may talk to, where their parameters say to what.
func (f *toolsFile) settleTargets() {
	used, open := map[string]bool{}, false
	for _, t := range f.tools.Tools {
		for i := range t.Tool.Rungs {
			host := view.HostOf(t.Tool.Rungs[i].Target)
			for name, g := range f.targets {
				if host != name && !strings.Contains(host, "${") {
					continue
				}
				if t.Tool.Targets == nil {
					t.Tool.Targets = map[string]steps.Limits{}
				}
				t.Tool.Targets[name], used[name] = g.limits, true
			}
			open = open || strings.Contains(host, "${")
		}
	}
	for name, g := range f.targets {
		if !used[name] && !open {
			f.At(g.node, yamldoc.OneOf(name, f.hosts()), "no rung talks to %q", yamldoc.Shorten(name))
		}
	}
}

// hosts are what the rungs talk to.
func (f *toolsFile) hosts() []string {
	all := map[string]bool{}
	for _, t := range f.tools.Tools {
		for i := range t.Tool.Rungs {
			if host := view.HostOf(t.Tool.Rungs[i].Target); host != "" {
				all[host] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// mostRate is how many calls a second a rate may allow: beyond that it limits nothing.
const mostRate = 10_000

// readRate reads `50/s`, `100/m` or `1000/h`.
func (f *toolsFile) readRate(l *steps.Limits, n *yaml.Node) {
	s := n.Value // of a number too: whoever forgets the time is told so
	if n.Kind != yaml.ScalarNode {
		f.Text(n)
		return
	}
	count, unit, _ := strings.Cut(s, "/")
	per := map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour}[unit]
	calls, err := strconv.ParseFloat(count, 64)
	if per == 0 || err != nil || !(calls >= 1) || strings.ContainsAny(count, "eExXpP_+") {
		f.At(n, "50/s, 100/m or 1000/h", "%q is not a rate: a number of calls, at least 1, and the time in which they may begin", yamldoc.Shorten(s))
		return
	}
	if calls/per.Seconds() > mostRate {
		f.At(n, "10000/s", "at most 10,000 calls a second")
		return
	}
	l.Rate, l.Text = calls/per.Seconds(), s
}
