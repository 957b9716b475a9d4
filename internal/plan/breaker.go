package plan

import (
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"belay/internal/steps"
	"belay/internal/yamldoc"
)

// DefaultBreaker is the breaker of a tool that asks for one and says no more. A tool with few calls never trips it.
func DefaultBreaker() steps.Breaker {
	return steps.Breaker{
		Failures: 0.5, Min: 20, Window: steps.Duration(10 * time.Second), Open: steps.Duration(30 * time.Second), MaxHold: steps.Duration(15 * time.Minute), Retries: 0.2,
	}
}

func (f *toolsFile) readBreaker(t *ToolDef, n *yaml.Node) {
	b := DefaultBreaker()
	f.Object(n, "breaker", f.breakerFields(&b))
	t.Breaker = &b
}

// breakerFields are the keys of a tool's breaker.
func (f *toolsFile) breakerFields(b *steps.Breaker) yamldoc.Fields {
	return yamldoc.Fields{
		"failures": f.share(&b.Failures, 1),
		"min":      f.Int(&b.Min, 1, 1_000_000),
		"window":   f.duration(&b.Window, time.Second),
		"open":     f.duration(&b.Open, time.Second),
		"max_hold": f.duration(&b.MaxHold, time.Second),
		"retries":  f.share(&b.Retries, 0),
	}
}

// share reads a percentage, of at least so many percent.
func (f *toolsFile) share(into *float64, least float64) yamldoc.Field {
	return func(n *yaml.Node) {
		digits, ok := strings.CutSuffix(yamldoc.Resolve(n).Value, "%")
		percent, err := strconv.ParseFloat(digits, 64)
		if !ok || err != nil || !(percent >= least && percent <= 100) || strings.ContainsAny(digits, "+-eExX_") {
			f.At(n, "for example 50%", "must be a share between %g%% and 100%%", least)
			return
		}
		*into = percent / 100
	}
}
