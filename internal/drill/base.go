package drill

import (
	"fmt"

	"belay/internal/steps"
)

// BaseError says that the plan does not get through without faults, so that there is nothing to drill.
type BaseError struct{ Text string }

func (e *BaseError) Error() string { return e.Text }

// throughWithout reports why the plan does not get through, and what to do about it.
func (d *Drill) throughWithout(base *play) error {
	switch base.judged.Outcome {
	case OK, Degraded:
		return nil
	}
	return &BaseError{"without any fault the plan does not get through: " + base.stops()}
}

// stops says what a play without a fault does not get past: a limit of an agent, a failure, a question that nobody decides.
func (p *play) stops() string {
	s := p.State
	for i := range s.Units {
		if why := p.limitOf(i); why != "" {
			return fmt.Sprintf("step %s: %s; in a drill its model calls its tools in one turn and answers in the next one: raise the limit in the plan", s.Units[i].Spoken(), why)
		}
	}
	for i := range s.Units {
		if u := &s.Units[i]; u.Fault != nil && !u.Loops() && !u.IsCall() {
			return fmt.Sprintf("step %s: %s; its outputs and inputs are made up where none are given: give what the plan needs with --input and --outputs", u.Spoken(), u.Fault.Error())
		}
	}
	for n := range s.Escalations {
		if e := &s.Escalations[n]; e.State == steps.EscalationExpired {
			return fmt.Sprintf("nobody decides about the %s of %s before its deadline", e.Kind, spokenUnit(s, e.Unit))
		}
	}
	for n := range s.Escalations {
		if e := &s.Escalations[n]; e.Kind != steps.KindApproval && e.Kind != steps.KindQuestion {
			return fmt.Sprintf("people are asked about %s (%s): %s; give what the plan needs with --input and --outputs", spokenUnit(s, e.Unit), e.Kind, e.Fault.Error())
		}
	}
	if p.judged.Why != "" {
		return p.judged.Why
	}
	return "the run is " + string(s.Status())
}

// limitOf is the limit that unit i, an agent, has reached; empty where there is none.
func (p *play) limitOf(i int) string {
	u := &p.State.Units[i]
	for n := range p.State.Escalations {
		if e := &p.State.Escalations[n]; e.Unit == i && e.Kind == steps.KindLimit {
			return e.Fault.Message
		}
	}
	if u.Loops() && u.Fault != nil && u.Fault.Class == steps.BudgetExceeded {
		return u.Fault.Message
	}
	return ""
}

func spokenUnit(s *steps.State, unit int) string {
	if unit == steps.RunUnit {
		return "the run"
	}
	return "step " + s.Units[unit].Spoken()
}
