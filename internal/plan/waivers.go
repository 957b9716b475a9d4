package plan

import (
	"maps"
	"slices"
	"time"

	"go.yaml.in/yaml/v4"

	"belay/internal/yamldoc"
)

// Waiver accepts one finding about a plan, for a reason and for a time. It is for whoever reviews the plan, and no part of
// what is pinned into runs.
type Waiver struct {
	Code   string    // of the finding, one of [Codes]
	Step   string    // the finding is about; empty = about any, or about the plan as a whole
	Reason string    // why it is accepted
	Until  time.Time // end of the last day, in UTC, on which it counts
	Place  Place     // where it stands
}

// Expired reports whether the waiver's last day is over.
func (w *Waiver) Expired(now time.Time) bool { return !now.Before(w.Until) }

// waiverNode is a waiver with the places of what is checked once all steps are read.
type waiverNode struct {
	Waiver
	step *yaml.Node
}

func (p *planFile) readWaivers(n *yaml.Node) {
	p.List(n, "waivers", func(_ int, e *yaml.Node) {
		w := &waiverNode{Waiver: Waiver{Place: p.placeOf(e)}}
		p.waivers = append(p.waivers, w)
		found := p.Object(e, "the waiver", p.waiverFields(w))
		p.Require(e, "the waiver", found, "code", "reason", "until")
	})
}

// waiverFields are the keys of a waiver.
func (p *planFile) waiverFields(w *waiverNode) yamldoc.Fields {
	return yamldoc.Fields{
		"code": func(n *yaml.Node) {
			if s, ok := p.Text(n); ok {
				if w.Code = s; !knownCode(s) {
					p.At(n, yamldoc.OneOf(s, Codes), "there is no finding %q", yamldoc.Shorten(s))
				} else if s == WaiverExpired || s == WaivesNothing {
					p.At(n, "remove the waiver that it is about", "%s is about waivers, and cannot be waived", s)
				}
			}
		},
		"step": func(n *yaml.Node) {
			if s, ok := p.Text(n); ok {
				w.Step, w.step = s, n
			}
		},
		"reason": func(n *yaml.Node) {
			if s, ok := p.Text(n); ok {
				if w.Reason = s; s == "" {
					p.At(n, "say why the finding is accepted", "the reason is empty")
				}
			}
		},
		"until": func(n *yaml.Node) {
			s, ok := p.Text(n)
			day, err := time.Parse(time.DateOnly, s)
			if ok && err != nil {
				p.At(n, "like 2027-03-01; it counts until the end of that day (UTC)", "%q is not a date", yamldoc.Shorten(s))
			}
			w.Until = day.AddDate(0, 0, 1)
		},
	}
}

// checkWaivers reports waivers of steps that there are not.
func (p *planFile) checkWaivers(index map[string]int) {
	for _, w := range p.waivers {
		if w.step == nil {
			continue
		}
		if _, ok := index[w.Step]; !ok {
			p.At(w.step, yamldoc.OneOf(w.Step, slices.Collect(maps.Keys(index))), "unknown step %q", yamldoc.Shorten(w.Step))
		}
	}
}
