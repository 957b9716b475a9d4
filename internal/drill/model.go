package drill

import (
	"encoding/json"

	"belay/internal/plan"
	"belay/internal/steps"
)

// What only the model of an agent does wrong. Its calls go well: it is what they say.

const notAgent = "it is not the model of an agent"

// misfits lets the model propose calls that do not fit; or, where it answers and its agent has a schema for that, give an answer
// that does not. It is told so, and asked again.
func misfits(d *Drill, t *target) ([]*play, string) {
	if !t.ofModel() {
		return nil, notAgent
	}
	odd := d.oddCalls(t.step)
	if t.answers(d) && len(t.step.Agent.OutputSchema) > 0 {
		if odd = oddAnswer(t.step); odd == nil {
			return nil, "no simple value contradicts the agent's output_schema"
		}
	}
	says := func(int) json.RawMessage { return odd }
	return []*play{{target: t, says: says, once: true}, {target: t, says: says}}, ""
}

// repeats lets the model propose the same calls in each turn.
func repeats(d *Drill, t *target) ([]*play, string) {
	return d.proposesOn(t, func(int) int { return len(d.made.calls[t.step.ID]) })
}

// growing is for how many turns a model that finds no end proposes one call more each time. Then it wants all at once, so that
// a play is short however many calls an agent may make.
const growing = 5

// endless lets the model propose other calls in each turn.
func endless(d *Drill, t *target) ([]*play, string) {
	return d.proposesOn(t, func(turn int) int {
		if turn > growing {
			return t.step.Agent.Limits.Calls + 1
		}
		return turn
	})
}

// proposesOn lets the model propose so many calls in each turn, whatever comes of them. In a last turn, in which it may call
// nothing, its answer counts.
func (d *Drill) proposesOn(t *target, many func(turn int) int) ([]*play, string) {
	switch {
	case !t.ofModel():
		return nil, notAgent
	case turnOf(t.unit) > 1:
		return nil, "it begins in the first turn"
	}
	calls := d.made.calls[t.step.ID]
	if len(calls) == 0 {
		return nil, "in a drill the model calls no tool"
	}
	says := func(turn int) json.RawMessage {
		var all []proposal
		for n := range many(turn) {
			all = append(all, calls[n%len(calls)])
		}
		said := object(d.answerSaid(t.step))
		if said == nil {
			said = map[string]any{}
		}
		said["calls"] = all
		return encode(said)
	}
	return []*play{{target: t, says: says}}, ""
}

// ofModel reports whether the target is a rung that is asked in a turn of an agent.
func (t *target) ofModel() bool {
	return t.step.Agent != nil && t.undoing == nil && steps.IsTurn(t.unit) && t.rung < len(t.tool.Rungs)
}

// answers reports whether the model answers in the turn that the target is part of.
func (t *target) answers(d *Drill) bool {
	return turnOf(t.unit) >= d.answerTurn(t.step)
}

// oddCalls are a call of a tool that there is not and, of each tool, one whose arguments are no object and one whose arguments
// its schema refuses; no more than the agent may make.
func (d *Drill) oddCalls(st *steps.Step) json.RawMessage {
	all := []any{map[string]any{"id": "unknown", "name": noSuchTool, "arguments": map[string]any{}}}
	for _, name := range st.Agent.Tools {
		all = append(all, map[string]any{"id": "unreadable", "name": steps.CallName(name), "unreadable": `{"cut off`})
		fits := d.Tools.Tool(name).CheckInput
		for _, args := range []string{`{}`, `{"unexpected":true}`} {
			if fits != nil && fits(json.RawMessage(args)) != nil {
				all = append(all, map[string]any{"id": "misfit", "name": steps.CallName(name), "arguments": json.RawMessage(args)})
				break
			}
		}
	}
	return encode(map[string]any{"text": "", "calls": all[:min(len(all), st.Agent.Limits.Calls)]})
}

// oddAnswer is an answer that the agent's output_schema refuses; nil where no simple value does.
func oddAnswer(st *steps.Step) json.RawMessage {
	check, err := plan.CompileSchema(st.Agent.OutputSchema)
	if err != nil || check == nil {
		return nil
	}
	for _, odd := range oddValues {
		if check(json.RawMessage(odd)) != nil {
			return encode(map[string]any{"text": "", "object": json.RawMessage(odd)})
		}
	}
	return nil
}

// strikes reports whether a fault is at a unit: the one that it hits or, where it is in what a model says and stays, a later
// turn of the same agent.
func (p *play) strikes(unit string) bool {
	return unit == p.target.unit || p.says != nil && !p.once && sameAgent(unit, p.target.unit) && turnOf(unit) > turnOf(p.target.unit)
}
