package drill

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"belay/internal/plan"
	"belay/internal/sim"
	"belay/internal/steps"
)

// An agent is played with a model that proposes one call of each of its tools in its first turn, and answers in the next one:
// what a real model would say nobody knows. So each of its tools, and its model, meets every fault. A tool that cannot be
// called so is shown, with the reason.

// turnSaid is what an agent's model says in a turn.
func (d *Drill) turnSaid(st *steps.Step, unit string) json.RawMessage {
	if n, _, isCall := turnOf(unit); n == 1 && !isCall {
		if calls := d.proposals(st); len(calls) > 0 {
			return encode(map[string]any{"text": "", "calls": calls})
		}
	}
	out := d.made.steps[st.ID]
	if len(st.Agent.OutputSchema) > 0 {
		return encode(map[string]any{"text": "", "object": out})
	}
	return out
}

// toolCall is a call that an agent's model proposes; none says why it does not.
type toolCall struct {
	tool string
	args map[string]any
	none string
}

// toolCalls are calls of all tools of an agent; as many are proposed as it may make.
func (d *Drill) toolCalls(st *steps.Step) []toolCall {
	var all []toolCall
	left := st.Agent.Limits.Calls
	for _, name := range st.Agent.Tools {
		c := toolCall{tool: name}
		t := d.Tools.Tool(name)
		args, is := sampleOf(object(t.InputSchema), 0).(map[string]any)
		if !is {
			args = map[string]any{}
		}
		c.args = args
		switch {
		case t.CheckInput != nil && t.CheckInput(encode(args)) != nil:
			c.none = fmt.Sprintf("no made-up arguments fit the input_schema of %s: give it a default or an example", name)
		case left == 0:
			c.none = fmt.Sprintf("the agent makes at most %d calls (limits.calls), and this would be one more", st.Agent.Limits.Calls)
		default:
			left--
		}
		all = append(all, c)
	}
	// The ones that are proposed come first: the number of a call is its place among them.
	slices.SortStableFunc(all, func(a, b toolCall) int { return cmp.Compare(min(1, len(a.none)), min(1, len(b.none))) })
	return all
}

// proposals are the calls that an agent's model proposes.
func (d *Drill) proposals(st *steps.Step) []any {
	all := []any{}
	for _, c := range d.toolCalls(st) {
		if c.none == "" {
			all = append(all, map[string]any{"id": c.tool, "name": steps.CallName(c.tool), "arguments": c.args})
		}
	}
	return all
}

// rogue is a model that proposes calls of a tool that it was not offered and, of each tool, one whose arguments are no object
// and one with arguments that nobody has asked for.
func rogue(d *Drill, t *target) (sim.Happens, string) {
	if t.step.Agent == nil || !steps.IsTurn(t.unit) {
		return sim.Happens{}, "it is not the model of an agent"
	}
	calls := []any{map[string]any{"id": "a", "name": "no_such_tool", "arguments": map[string]any{}}}
	for _, name := range t.step.Agent.Tools {
		calls = append(calls, map[string]any{"id": "b", "name": steps.CallName(name), "unreadable": "{\"cut off"})
		if fits := d.Tools.Tool(name).CheckInput; fits != nil && fits(json.RawMessage(odd)) != nil {
			calls = append(calls, map[string]any{"id": "c", "name": steps.CallName(name), "arguments": json.RawMessage(odd)})
		}
	}
	if most := t.step.Agent.Limits.Calls; len(calls) > most {
		calls = calls[:most]
	}
	return sim.Happens{Output: encode(map[string]any{"text": "", "calls": calls})}, ""
}

// odd are arguments that fit hardly any tool.
const odd = `{"unexpected":true}`

// agentTargets are the rungs of an agent's model, in its first turn, and those of the tools that it calls then.
func (d *Drill) agentTargets(st *steps.Step) []*target {
	turn := st.ID + "~t1"
	all := rungsOf(st, turn, d.Tools.Tools[st.Tool])
	for k, c := range d.toolCalls(st) {
		of := rungsOf(st, turn+"."+strconv.Itoa(k+1), d.Tools.Tool(c.tool))
		for _, t := range of {
			t.none = c.none
		}
		all = append(all, of...)
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
