package plan

import (
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"belay/internal/steps"
	"belay/internal/yamldoc"
)

// readLimits reads how many calls of a tool may begin.
func (f *toolsFile) readLimits(t *ToolDef, n *yaml.Node) {
	var l steps.Limits
	found := f.Object(n, "limits", f.limitFields(&l))
	f.Require(n, "limits", found, "rate")
	if l.Rate > 0 {
		t.Limits = &l
	}
}

// limitFields are the keys of limits.
func (f *toolsFile) limitFields(l *steps.Limits) yamldoc.Fields {
	return yamldoc.Fields{
		"rate": func(n *yaml.Node) { f.readRate(l, n) },
		"per": func(n *yaml.Node) {
			s, ok := f.Text(n)
			if l.Per = s; ok && s != steps.PerTarget {
				f.checkBare(n, s, inTools, false)
			}
		},
	}
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
