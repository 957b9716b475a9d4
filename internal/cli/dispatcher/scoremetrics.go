package dispatcher

import (
	"belay/internal/engine"
	"belay/internal/observe"
)

// scoreOf is how it went a moment ago.
func scoreOf(e *engine.Engine) (s observe.Score) {
	if e.Score == nil {
		return s
	}
	r := e.Score.Last()
	if r == nil {
		return s
	}
	for i := range r.Tools {
		o := &r.Tools[i]
		if b := o.Objective; b != nil {
			s.Objectives = append(s.Objectives, observe.Objective{Tool: o.Tool, Budget: b.Budget, Burn: map[string]float64{"5m": b.Burn.M5, "30m": b.Burn.M30, "1h": b.Burn.H1, "6h": b.Burn.H6, "1d": b.Burn.D1}})
		}
		for _, rung := range o.Rungs {
			if !rung.Dead.IsZero() {
				s.Dead = append(s.Dead, observe.DeadRung{Tool: o.Tool, Rung: rung.Rung, Since: rung.Dead})
			}
		}
	}
	for i := range r.Spikes {
		if r.Spikes[i].Over.IsZero() {
			s.Spikes++
		}
	}
	return s
}
