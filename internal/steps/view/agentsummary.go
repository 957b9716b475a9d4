package view

import (
	"fmt"
	"strings"

	"belay/internal/steps"
	"belay/internal/text"
)

// AgentSummary is what an agent's model reads in place of its first turns: another model has summarised them.
type AgentSummary struct {
	Step     string          `json:"step"`                // the unit's id
	Number   int             `json:"number"`              // from 1
	State    steps.StepState `json:"state"`               // where it stands
	Rung     string          `json:"rung"`                // of the tool that makes it
	After    int             `json:"after"`               // turns that had begun when it was asked for
	First    int             `json:"first"`               // the first turn that it is made of, beside the summary before it
	Upto     int             `json:"upto"`                // the last turn that it stands for
	Missing  int             `json:"missing,omitempty"`   // turns up to that one which are in no summary
	Text     string          `json:"text,omitempty"`      // what it says; cut. None: the agent goes on without it
	Read     bool            `json:"read,omitempty"`      // it is the one that the agent's model reads now
	Degraded string          `json:"degraded,omitempty"`  // why another rung than the first has made it
	AnswerBy string          `json:"answer_by,omitempty"` // the person who answered in the model's place
	Class    steps.Class     `json:"class,omitempty"`     // of the fault that it was given up for
	Message  string          `json:"message,omitempty"`   // of that fault
	People   []Asked         `json:"people,omitempty"`    // what people were asked about it
	Took     steps.Duration  `json:"took,omitempty"`      // all its attempts, in seconds
	Tokens   int64           `json:"tokens,omitempty"`    // read and written; where nobody knows, those that were reserved
	Cost     steps.Money     `json:"cost,omitempty"`      // in US dollars
}

// SummaryOf shows unit i, if it is a summary of an agent's turns.
func SummaryOf(s *steps.State, i int) (AgentSummary, bool) {
	w, _ := s.AgentWork(s.Units[i].Agent())
	for n := range w.Summaries {
		if w.Summaries[n].Unit == i {
			return run{s}.agentSummary(n+1, w.Summaries[n], nil), true
		}
	}
	return AgentSummary{}, false
}

// agentSummaries shows those that were made since turn number first, counted from 0, and the one that the model reads now.
func (s run) agentSummaries(w steps.AgentWork, first int, asked map[string][]Asked) (list []AgentSummary) {
	for n, m := range w.Summaries {
		if m.Made > first || m.Read {
			list = append(list, s.agentSummary(n+1, m, asked))
		}
	}
	return list
}

func (s run) agentSummary(number int, m steps.AgentSummary, asked map[string][]Asked) AgentSummary {
	u := &s.Units[m.Unit]
	v := AgentSummary{
		Step: u.ID, Number: number, State: u.State(), Rung: s.RungName(m.Unit), After: m.Made, First: m.From, Upto: m.Upto, Missing: m.Missing,
		Text: text.Cut(m.Text, maxSaid), Read: m.Read, Degraded: causeOf(u), AnswerBy: u.AnswerBy, People: asked[u.ID], Took: tookAll(u),
	}
	if u.Fault != nil {
		v.Class, v.Message = u.Fault.Class, u.Fault.Message
	}
	for k := range u.Attempts {
		v.Cost += u.Attempts[k].Cost
		v.Tokens += u.Attempts[k].Tokens()
	}
	return v
}

// Covers names the turns that a summary stands for: "turns 1 to 10".
func (m *AgentSummary) Covers() string {
	if m.Upto == 1 {
		return "turn 1"
	}
	return fmt.Sprintf("turns 1 to %d", m.Upto)
}

// Use says in words what comes of a summary.
func (m *AgentSummary) Use() string {
	switch {
	case m.Text != "" && m.Read:
		return "the agent reads it in their place"
	case m.Text != "":
		return "the agent has read it in their place"
	case !m.State.Ended():
		return "it is being made"
	}
	return "there is none, and the agent goes on without it"
}

// Outcome says in words how a summary went that is not simply done; empty where it is.
func (m *AgentSummary) Outcome() string {
	t := AgentTurn{Rung: m.Rung, State: m.State, Degraded: m.Degraded, AnswerBy: m.AnswerBy, Class: m.Class, Message: m.Message, People: m.People}
	parts := []string{t.Outcome()}
	if m.Missing > 0 {
		parts = append(parts, fmt.Sprintf("without %d of these turns, which could not be summarised", m.Missing))
	}
	if parts[0] == "" {
		parts = parts[1:]
	}
	return strings.Join(parts, ", ")
}
