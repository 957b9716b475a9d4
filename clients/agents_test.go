package clients_test

import (
	"encoding/json"
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"belay/internal/schema"
)

// declared is a type of a client: its members, each with its type, and a ? behind the name of one that may be missing.
type declared map[string]string

// shape is a JSON Schema, as far as the types of the clients say it.
type shape struct {
	Ref        string           `json:"$ref"`
	Type       any              `json:"type"`
	Enum       []string         `json:"enum"`
	Items      *shape           `json:"items"`
	Properties map[string]shape `json:"properties"`
	Required   []string         `json:"required"`
}

// words of a language for the types of JSON.
type words struct{ text, whole, number, truth, any, none, list string }

var (
	typescript = words{"string", "number", "number", "boolean", "any", "null", "%[]"}
	python     = words{"str", "int", "float", "bool", "Any", "None", "list[%]"}
)

// of is how a language writes the type of s. TypeScript has names for closed sets of words.
func (w words) of(s shape, all map[string]shape) string {
	kinds, _ := s.Type.([]any)
	switch {
	case s.Ref != "" && all[s.Ref].Enum != nil && w == python:
		return w.text
	case s.Ref != "":
		return s.Ref
	case s.Type == "array":
		return strings.ReplaceAll(w.list, "%", w.of(*s.Items, all))
	case len(kinds) == 2 && kinds[1] == "null":
		return w.of(shape{Type: kinds[0]}, all) + " | " + w.none
	}
	kind, _ := s.Type.(string)
	if word := map[string]string{"string": w.text, "integer": w.whole, "number": w.number, "boolean": w.truth}[kind]; word != "" {
		return word
	}
	return w.any
}

// wanted is what a client has to declare of s.
func (w words) wanted(s shape, all map[string]shape) declared {
	d := declared{}
	for name, p := range s.Properties {
		d[name+optional(!slices.Contains(s.Required, name))] = w.of(p, all)
	}
	return d
}

func optional(is bool) string {
	if is {
		return "?"
	}
	return ""
}

// interfaces are those of index.d.ts, and its names for closed sets of words.
func interfaces(text string) (all map[string]declared, sets map[string]string) {
	text = regexp.MustCompile(`(?s)/\*\*.*?\*/`).ReplaceAllString(text, "")
	all, sets = map[string]declared{}, map[string]string{}
	for _, m := range regexp.MustCompile(`(?ms)^export interface (\w+) \{\n(.*?)^\}`).FindAllStringSubmatch(text, -1) {
		all[m[1]] = declared{}
		for _, f := range regexp.MustCompile(`(?m)^  (\w+\??): (.*);$`).FindAllStringSubmatch(m[2], -1) {
			all[m[1]][f[1]] = f[2]
		}
	}
	for _, m := range regexp.MustCompile(`(?m)^export type (\w+) = (.*);$`).FindAllStringSubmatch(text, -1) {
		sets[m[1]] = m[2]
	}
	return all, sets
}

// typedDicts are those of _agents.py, with what they have of their bases.
func typedDicts(text string) map[string]declared {
	all := map[string]declared{}
	for _, m := range regexp.MustCompile(`(?m)^(\w+) = TypedDict\("\w+", \{"(\w+)": "?([^"}]*)"?\}, total=False\)`).FindAllStringSubmatch(text, -1) {
		all[m[1]] = declared{m[2] + "?": m[3]}
	}
	for _, m := range regexp.MustCompile(`(?m)^class (\w+)\((.*)\):\n((?:    .*\n|\n)*)`).FindAllStringSubmatch(text, -1) {
		all[m[1]] = declared{}
		for _, base := range strings.Split(m[2], ", ") {
			maps.Copy(all[m[1]], all[base])
		}
		for _, f := range regexp.MustCompile(`(?m)^    (\w+): ([^#\n]*[^# \n])`).FindAllStringSubmatch(m[3], -1) {
			all[m[1]][f[1]+optional(strings.Contains(m[2], "total=False"))] = f[2]
		}
	}
	return all
}

// declarations are what the clients declare.
func declarations(t *testing.T) (ts map[string]declared, sets map[string]string, py map[string]declared) {
	t.Helper()
	texts := make([]string, 2)
	for i, path := range []string{"typescript/index.d.ts", "python/belay/_agents.py"} {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		texts[i] = string(raw)
	}
	ts, sets = interfaces(texts[0])
	return ts, sets, typedDicts(texts[1])
}

// TestTypesOfAgents: what the clients declare of agents in a run's document is what its schema says, which is made of the Go
// types.
func TestTypesOfAgents(t *testing.T) {
	t.Parallel()
	raw, err := schema.Definitions("")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]shape{}
	for name, text := range raw {
		var s shape
		if err := json.Unmarshal(text, &s); err != nil {
			t.Fatal(name, err)
		}
		all[name] = s
	}
	ts, sets, py := declarations(t)
	for _, name := range []string{"Agent", "AgentTurn", "AgentCall", "AgentNote", "AgentSummary", "AgentLimits", "Asked", "Spent"} {
		for _, c := range []struct {
			language string
			has      declared
			want     declared
		}{{"TypeScript", ts[name], typescript.wanted(all[name], all)}, {"Python", py[name], python.wanted(all[name], all)}} {
			if len(c.want) < 2 || !reflect.DeepEqual(c.has, c.want) {
				t.Errorf("%s of %s:\n%v\nthe schema says\n%v", name, c.language, c.has, c.want)
			}
		}
	}
	for _, name := range []string{"RunState", "StepState", "EscalationKind", "EscalationState", "Verb"} {
		if want := `"` + strings.Join(all[name].Enum, `" | "`) + `"`; sets[name] != want {
			t.Errorf("%s is %s\nthe schema says %s", name, sets[name], want)
		}
	}
	more := names(all["AgentLimits"].optionals())
	if !reflect.DeepEqual(names(ts["More"]), more) || !reflect.DeepEqual(names(py["More"]), more) {
		t.Errorf("extend gives %v and %v\nan agent has the limits %v", names(ts["More"]), names(py["More"]), more)
	}
}

// optionals are the members of s, none of which has to be there.
func (s shape) optionals() declared {
	d := declared{}
	for name := range s.Properties {
		d[name+"?"] = ""
	}
	return d
}

func names(d declared) []string { return slices.Sorted(maps.Keys(d)) }

// TestTypesOfPlans: what the clients declare of plans has the keys that the schema of plans has.
func TestTypesOfPlans(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("../internal/plan/schema/plan.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var plan struct {
		shape
		Definitions map[string]shape `json:"definitions"`
	}
	if err := json.Unmarshal(raw, &plan); err != nil {
		t.Fatal(err)
	}
	ts, sets, py := declarations(t)
	step := typescript.wanted(plan.Definitions["step"], nil)
	if !reflect.DeepEqual(names(py["PlanStep"]), names(step)) {
		t.Errorf("a step of Python has %v, want %v", names(py["PlanStep"]), names(step))
	}
	delete(step, "tool?")
	delete(step, "agent?")
	if !strings.Contains(sets["PlanStep"], "{tool: string; agent?: never} | {agent: PlanAgent; tool?: never}") || !reflect.DeepEqual(names(ts["StepOf"]), names(step)) {
		t.Errorf("a step of TypeScript is %s with %v, want %v", sets["PlanStep"], names(ts["StepOf"]), names(step))
	}
	for name, s := range map[string]shape{"Plan": plan.shape, "PlanAgent": plan.Definitions["agent"], "PlanLimits": plan.Definitions["limits"], "PlanSummary": plan.Definitions["summary"]} {
		want := names(typescript.wanted(s, nil))
		if len(want) < 3 || !reflect.DeepEqual(names(ts[name]), want) || !reflect.DeepEqual(names(py[name]), want) {
			t.Errorf("%s has %v and %v, want %v", name, names(ts[name]), names(py[name]), want)
		}
	}
}
