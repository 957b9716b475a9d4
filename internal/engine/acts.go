package engine

import (
	"belay/internal/dispatch"
	"belay/internal/steps"
)

// actsHeard passes on what a dispatcher applies, and lets the audit trail know of what people did to runs as a whole.
type actsHeard struct {
	dispatch.Observer // nil = nobody
	nudge             func()
}

// Applied implements [dispatch.Observer].
func (o actsHeard) Applied(s *steps.State, r steps.Record, touched []int) {
	switch e := r.Event.(type) {
	case steps.Cancelled, steps.Migrated:
		o.nudge()
	case steps.Submitted:
		if e.RetryOf != "" || e.Replay != nil {
			o.nudge()
		}
	}
	if o.Observer != nil {
		o.Observer.Applied(s, r, touched)
	}
}
