package drill

import (
	"encoding/json"
	"slices"

	"belay/internal/steps"
)

// A drill is played with as few turns as make a summary: keep_turns is 1, and in its second turn the model calls a tool that there
// is not, of which it is told. So its turns are summarised before it answers, in the third one.

// summaryTurns are the turns of an agent before its summary in a drill.
const summaryTurns = 2

// noSuchTool is what the model calls in the second one.
const noSuchTool = "no_such_tool"

// shortened is the program with which the plan is drilled.
func (d *Drill) shortened() *steps.Program {
	p := *d.Doc.Program
	p.Nodes = slices.Clone(p.Nodes)
	for i := range p.Nodes {
		if of := p.Nodes[i].Agent; of != nil && of.Summary != nil && d.made.sums[p.Nodes[i].Step.ID] {
			n, a := *of, *of.Agent
			a.KeepTurns, n.Agent = 1, &a
			p.Nodes[i].Agent = &n
		}
	}
	return &p
}

// summarised reports whether the turns of an agent are summarised in a drill; if they would be and its limits leave no room for
// that, why says so.
func summarised(st *steps.Step, calls []proposal) (is bool, left []NotDrilled) {
	m, limits := st.Agent.Summary, st.Agent.Limits
	if m == nil {
		return false, nil
	}
	why := ""
	switch {
	case len(calls) == 0:
		why = "in a drill the model calls no tool, so there is nothing to summarise"
	case limits.Turns <= summaryTurns:
		why = "limits.turns leaves no turn for the answer after a summary"
	case limits.Calls <= len(calls):
		why = "the calls of the tools use up limits.calls, and a summary comes after one more"
	}
	if why != "" {
		return false, []NotDrilled{{st.ID, m.Model, why}}
	}
	return true, nil
}

// filler is what the model says in the turn before the summary.
var filler = encode(map[string]any{"text": "", "calls": []proposal{{ID: noSuchTool, Name: noSuchTool, Arguments: map[string]any{}}}})

// summarySaid is a summary.
var summarySaid = json.RawMessage(`{"text":"what was done so far"}`)

// answerTurn is the number of the turn in which an agent's model answers in a drill.
func (d *Drill) answerTurn(st *steps.Step) int {
	switch {
	case len(d.made.calls[st.ID]) == 0:
		return 1
	case d.made.sums[st.ID]:
		return summaryTurns + 1
	}
	return 2
}
