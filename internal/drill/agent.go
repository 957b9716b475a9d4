package drill

import (
	"encoding/json"
	"strconv"
	"strings"

	"belay/internal/plan"
	"belay/internal/sim"
	"belay/internal/steps"
)

// An agent is played with a model that proposes one call of each of its tools in its first turn, and answers in the next one:
// what a real model would say nobody knows. So each of its tools, and its model, meets every fault.

// turnSaid is what an agent's model says in a turn.
func (d *Drill) turnSaid(st *steps.Step, unit string) json.RawMessage {
	if n, _, isCall := turnOf(unit); n == 1 && !isCall && len(st.Agent.Tools) > 0 {
		return encode(map[string]any{"text": "", "calls": d.proposals(st)})
	}
	out := d.made.steps[st.ID]
	if len(st.Agent.OutputSchema) > 0 {
		return encode(map[string]any{"text": "", "object": out})
	}
	return out
}

// proposals are calls of the tools of an agent, as many as it may make.
func (d *Drill) proposals(st *steps.Step) []any {
	var all []any
	for _, name := range st.Agent.Tools[:min(len(st.Agent.Tools), st.Agent.Limits.Calls)] {
		t := d.Doc.Definition.Tools[name]
		args, is := sampleOf(object(t.InputSchema), 0).(map[string]any)
		if !is {
			args = map[string]any{}
		}
		all = append(all, map[string]any{"id": name, "name": steps.CallName(name), "arguments": args})
	}
	return all
}

// agentTargets are the rungs of an agent's model, in its first turn, and those of the tools that it calls then.
func (d *Drill) agentTargets(st *steps.Step) []*target {
	turn := st.ID + "~t1"
	all := rungsOf(st, turn, d.Tools.Tools[st.Tool])
	for k := range d.proposals(st) {
		if t := d.Tools.Tools[st.Agent.Tools[k]]; t != nil {
			all = append(all, rungsOf(st, turn+"."+strconv.Itoa(k+1), t)...)
		}
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

// turnOf reads the number of a turn and of a call in the id of a unit of an agent; 0 for others.
func turnOf(unit string) (turn, call int, isCall bool) {
	_, rest, _ := cutUnit(unit)
	number, position, isCall := strings.Cut(strings.TrimPrefix(rest, "t"), ".")
	if !strings.HasPrefix(rest, "t") {
		return 0, 0, false
	}
	turn, _ = steps.Number(number)
	call, _ = steps.Number(position)
	return turn, call, isCall
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
