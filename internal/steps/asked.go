package steps

import "time"

// AskedView is one question that a run has asked people: how long it waited for them, and what came of it.
type AskedView struct {
	ID        string          `json:"id"`
	Kind      EscalationKind  `json:"kind"`
	State     EscalationState `json:"state"`
	Step      string          `json:"step"` // empty: the run itself
	Rung      string          `json:"rung,omitempty"`
	Message   string          `json:"message"`
	Opened    time.Time       `json:"opened"`
	Ended     *time.Time      `json:"ended"`
	Deadline  *time.Time      `json:"deadline"`
	Needed    int             `json:"needed,omitempty"`    // how many people must approve
	Approvals []string        `json:"approvals,omitempty"` // who has
	Verb      Verb            `json:"decision,omitempty"`
	By        string          `json:"by,omitempty"`
	Via       string          `json:"via,omitempty"`
	Reason    string          `json:"reason,omitempty"`
}

// askedViews are all questions of a run, in the order in which they were asked.
func (s *State) askedViews() []AskedView {
	list := make([]AskedView, 0, len(s.Escalations))
	for n := range s.Escalations {
		e := &s.Escalations[n]
		v := AskedView{
			ID: e.ID, Kind: e.Kind, State: e.State, Rung: e.Rung, Message: e.Fault.Message, Opened: e.Opened.UTC(), Ended: moment(e.Ended),
			Deadline: moment(e.Deadline), Needed: e.Needed, Approvals: e.givenBy(),
		}
		if e.Unit != RunUnit {
			v.Step = s.Units[e.Unit].ID
		}
		if d := e.Decision; d != nil {
			v.Verb, v.By, v.Via, v.Reason = d.Verb, d.By, d.Via, d.Reason
		}
		list = append(list, v)
	}
	return list
}
