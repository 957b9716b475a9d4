package steps

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
)

// sameStep says in what step j of another state, of a plan that may be another version, is not step i of s: in what the plans say
// about it, in the policies of the tools that it calls, and in what comes of its expressions. It is empty where a result of the
// one is a result of the other.
func (s *State) sameStep(i int, other *State, j int) []string {
	differs := sameDefinition(s.Program, i, other.Program, j)
	if len(differs) > 0 {
		return differs
	}
	is, was := other.madeOf(j), s.madeOf(i)
	for _, name := range slices.Sorted(maps.Keys(joined(is, was))) {
		if is[name] != was[name] {
			differs = append(differs, name+" would be "+cut(orElse(is[name], "nothing"), 200)+", and "+cut(orElse(was[name], "nothing"), 200)+" before")
		}
	}
	return differs
}

// sameDefinition says in what two plans differ about a step, and about the policies of its tools.
func sameDefinition(p *Program, i int, other *Program, j int) []string {
	differs := differences("", p.Nodes[i].Step, other.Nodes[j].Step)
	was, is := toolsOf(&p.Nodes[i]), toolsOf(&other.Nodes[j])
	for _, name := range slices.Sorted(maps.Keys(joined(is, was))) {
		switch {
		case was[name] == nil:
			differs = append(differs, "tool "+name+" is new")
		case is[name] == nil:
			differs = append(differs, "tool "+name+" is gone")
		default:
			differs = append(differs, differences("tool "+name+": ", was[name], is[name])...)
		}
	}
	return differs
}

func toolsOf(n *Node) map[string]*Tool {
	list := map[string]*Tool{}
	for _, t := range n.tools() {
		list[t.Name] = t
	}
	return list
}

func joined[V any](a, b map[string]V) map[string]V {
	all := maps.Clone(a)
	if all == nil {
		all = map[string]V{}
	}
	maps.Copy(all, b)
	return all
}

// differences names the fields in which two values differ that are written as JSON objects.
func differences(of string, was, is any) (list []string) {
	a, b := fields(was), fields(is)
	for _, name := range slices.Sorted(maps.Keys(joined(a, b))) {
		if a[name] != b[name] {
			list = append(list, of+name+" differs")
		}
	}
	return list
}

func fields(v any) map[string]string {
	raw, err := json.Marshal(v)
	if err != nil {
		panic("steps: a definition cannot be written: " + err.Error()) // it was read from JSON
	}
	var all map[string]json.RawMessage
	_ = json.Unmarshal(raw, &all) // it was written a moment ago
	texts := make(map[string]string, len(all))
	for name, value := range all {
		texts[name] = written(value, nil)
	}
	return texts
}

// madeOf is what comes of the expressions of plan step i, by what each is for: as it would be evaluated now.
func (s *State) madeOf(i int) map[string]string {
	n := &s.Program.Nodes[i]
	made := map[string]string{}
	c := s.scope(i)
	if n.When != nil && !n.WhenPerItem {
		made["its condition"] = written(n.When(c))
		if made["its condition"] != "true" {
			return made
		}
	}
	if n.Agent != nil {
		addTask(made, n.Agent, c)
		return made
	}
	if n.ForEach == nil {
		addCall(made, "", n, c)
		return made
	}
	list, err := n.ForEach(c)
	made["its list"] = written(list, err)
	var items []json.RawMessage
	if err != nil || json.Unmarshal(list, &items) != nil {
		return made
	}
	for k, item := range items {
		addCall(made, " of item "+strconv.Itoa(k), n, Scope{state: s, each: true, index: k, item: item})
	}
	return made
}

// addCall adds what one call of a step is made of.
func addCall(made map[string]string, of string, n *Node, c Scope) {
	if n.When != nil && n.WhenPerItem {
		name := "the condition" + of
		made[name] = written(n.When(c))
		if made[name] != "true" {
			return
		}
	}
	if n.With != nil {
		made["with"+of] = written(n.With(c))
	}
}

// addTask adds what an agent is told.
func addTask(made map[string]string, a *AgentNode, c Scope) {
	made["its prompt"] = written(a.Prompt(c))
	if a.Instructions != nil {
		made["its instructions"] = written(a.Instructions(c))
	}
}

// written is a value in canonical form, or why there is none.
func written(raw json.RawMessage, err error) string {
	if err != nil {
		return "an error: " + err.Error()
	}
	same, err := Canonical(raw)
	if err != nil {
		return string(raw)
	}
	return string(same)
}
