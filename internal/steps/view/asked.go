package view

import (
	"time"

	"belay/internal/steps"
)

// Asked is one question that a run has asked people: how long it waited for them, and what came of it.
type Asked struct {
	ID        string                `json:"id"`                  // `<run>-<n>`
	Kind      steps.EscalationKind  `json:"kind"`                // what people were asked
	State     steps.EscalationState `json:"state"`               // whether it is still open
	Step      string                `json:"step"`                // empty: the run itself
	Rung      string                `json:"rung,omitempty"`      // that its step stood on
	Message   string                `json:"message"`             // what it is about, in words
	Opened    time.Time             `json:"opened"`              // the log's time
	Ended     *time.Time            `json:"ended"`               // null while it is open
	Deadline  *time.Time            `json:"deadline"`            // null = none
	Needed    int                   `json:"needed,omitempty"`    // how many people must approve
	Approvals []string              `json:"approvals,omitempty"` // who has
	Verb      steps.Verb            `json:"decision,omitempty"`  // what was decided; empty = nothing
	By        string                `json:"by,omitempty"`        // who decided
	Via       string                `json:"via,omitempty"`       // cli, console, api
	Reason    string                `json:"reason,omitempty"`    // in that person's words
}

// askedViews are all questions of a run, in the order in which they were asked.
func (s run) askedViews() []Asked {
	list := make([]Asked, 0, len(s.Escalations))
	for n := range s.Escalations {
		e := &s.Escalations[n]
		v := Asked{
			ID: e.ID, Kind: e.Kind, State: e.State, Rung: e.Rung, Message: e.Fault.Message, Opened: e.Opened.UTC(), Ended: moment(e.Ended),
			Deadline: moment(e.Deadline), Needed: e.Needed, Approvals: e.ApprovedBy(),
		}
		if e.Unit != steps.RunUnit {
			v.Step = s.Units[e.Unit].ID
		}
		if d := e.Decision; d != nil {
			v.Verb, v.By, v.Via, v.Reason = d.Verb, d.By, d.Via, d.Reason
		}
		list = append(list, v)
	}
	return list
}
