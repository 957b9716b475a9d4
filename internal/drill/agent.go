package drill

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"belay/internal/plan"
	"belay/internal/sim"
	"belay/internal/steps"
)

// An agent is played with a model that proposes one call of each of its tools in its first turn, and answers in the next one:
// what a real model would say nobody knows. So each of its tools meets every fault, and its model does in both turns. What only
// a model can do wrong is in model.go.

// proposal is a call as the model of an agent proposes it.
type proposal struct {
	ID        string         `json:"id"`
	Name      string         `json:"name"` // for the model
	Arguments map[string]any `json:"arguments"`

	tool string // that is called
}

// NotDrilled is a tool of an agent that its model does not call in a drill.
type NotDrilled struct {
	Step string `json:"step"`
	Tool string `json:"tool"`
	Why  string `json:"why"`
}

// script is what the model of an agent proposes in a drill, as far as its limits allow: none, where it answers at once.
func (d *Drill) script(st *steps.Step) (calls []proposal, left []NotDrilled) {
	limits := st.Agent.Limits
	for _, name := range st.Agent.Tools {
		p, why := d.proposed(name)
		switch {
		case limits.Turns < 2 && st.Agent.OnLimit != steps.LimitFinish:
			why = "limits.turns leaves no turn for the answer after a call"
		case why == "" && len(calls) >= limits.Calls:
			why = fmt.Sprintf("the calls of the tools before it use up limits.calls, which is %d", limits.Calls)
		}
		if why != "" {
			left = append(left, NotDrilled{st.ID, name, why})
			continue
		}
		calls = append(calls, p)
	}
	return calls, left
}

// proposed is a call of a tool with arguments that are made up; or why says why they do not do.
func (d *Drill) proposed(name string) (p proposal, why string) {
	t := d.Tools.Tool(name)
	args, is := sampleOf(object(t.InputSchema), 0).(map[string]any)
	if !is {
		args = map[string]any{}
	}
	if t.CheckInput != nil {
		if err := t.CheckInput(encode(args)); err != nil {
			return p, "the arguments that the drill makes up do not fit its input_schema: " + err.Error() + "; give the schema an example that does, as `examples: [...]`"
		}
	}
	return proposal{name, steps.CallName(name), args, name}, ""
}

// turnSaid is what an agent's model says in a turn. A turn in which it says something odd comes before those that it would have.
func (a *acting) turnSaid(st *steps.Step, unit string) json.RawMessage {
	n := turnOf(unit)
	for odd := range a.odd {
		if sameAgent(odd, unit) && turnOf(odd) < turnOf(unit) {
			n--
		}
	}
	switch {
	case n >= a.answerTurn(st):
		return a.answerSaid(st)
	case n > 1:
		return filler
	}
	return encode(map[string]any{"text": "", "calls": a.made.calls[st.ID]})
}

// answerSaid is the answer of an agent's model, as it says it.
func (d *Drill) answerSaid(st *steps.Step) json.RawMessage {
	out := d.made.steps[st.ID]
	if len(st.Agent.OutputSchema) > 0 {
		return encode(map[string]any{"text": "", "object": out})
	}
	return out
}

// agentTargets are the rungs of an agent's model, in its first turn and in the one in which it answers, those of the tools that it
// calls, and those of what makes its summary.
func (d *Drill) agentTargets(st *steps.Step) []*target {
	model, calls := d.Tools.Tools[st.Tool], d.made.calls[st.ID]
	all := rungsOf(st, st.ID+"~t1", model)
	for k, p := range calls {
		all = append(all, rungsOf(st, st.ID+"~t1."+strconv.Itoa(k+1), d.Tools.Tool(p.tool))...)
	}
	if d.made.sums[st.ID] {
		all = append(all, rungsOf(st, st.ID+"~s1", d.Tools.Tools[st.Agent.Summary.Model])...)
	}
	if n := d.answerTurn(st); n > 1 {
		all = append(all, rungsOf(st, st.ID+"~t"+strconv.Itoa(n), model)...)
	}
	return all
}

// agentOutput is the answer of an agent's model.
func (s *sampler) agentOutput(st *steps.Step) (json.RawMessage, error) {
	out, given := s.d.Outputs[st.ID]
	if !given {
		read := s.reads.roots["steps"].field(st.ID).fields["output"]
		var base any = map[string]any{"text": "done"}
		if len(st.Agent.OutputSchema) > 0 {
			base = sampleOf(object(st.Agent.OutputSchema), 0)
		}
		if out = encode(base); read != nil {
			out = encode(read.sample(base))
		}
	}
	fits, err := plan.CompileSchema(st.Agent.OutputSchema)
	if err != nil || fits == nil {
		return out, err
	}
	return out, fits(out)
}

// turnOf is the number of a turn in the id of its unit; 0 for others.
func turnOf(unit string) int {
	if !steps.IsTurn(unit) {
		return 0
	}
	_, rest, _ := cutUnit(unit)
	n, _ := steps.Number(strings.TrimPrefix(rest, "t"))
	return n
}

// sameAgent reports whether two units are turns of one agent.
func sameAgent(a, b string) bool {
	of, _, _ := cutUnit(a)
	other, _, _ := cutUnit(b)
	return of == other && steps.IsTurn(a) && steps.IsTurn(b)
}

// agentOf is the step whose agent a call is a turn of; nil for others.
func (d *Drill) agentOf(c sim.Call) *steps.Step {
	if !steps.IsTurn(c.Step) {
		return nil
	}
	id, _, _ := cutUnit(c.Step)
	for i := range d.Doc.Definition.Plan.Steps {
		if st := &d.Doc.Definition.Plan.Steps[i]; st.ID == id {
			return st
		}
	}
	return nil
}
