package view

import (
	"encoding/json"
	"strconv"
	"strings"

	"belay/internal/steps"
)

// Fact is one parameter of the step in question, as lists show it: a text as it is, anything else as JSON writes it.
type Fact struct {
	Name  string `json:"name"`  // of the parameter
	Value string `json:"value"` // on one line, cut where it is long
}

const (
	maxFacts = 12 // of an escalation; lists are about many
	maxFact  = 80 // characters of a name or value
)

// factsOf are the parameters of unit i that are a text, a number or a truth value, in the order of their schema. They show
// how escalations differ that are alike.
func (s run) factsOf(i int) []Fact {
	params, _ := steps.Decode(s.Units[i].Params).(map[string]any)
	return facts(params, s.Program.Summaries[s.Tool(i).Name].Order)
}

func facts(params map[string]any, order []string) (list []Fact) {
	for _, name := range inOrder(params, order) {
		if value := scalarText(params[name]); value != "" && len(list) < maxFacts {
			list = append(list, Fact{cutMiddle(name, maxFact), cutMiddle(value, maxFact)})
		}
	}
	return list
}

// scalarText is a value as people read it, if it is a text, a number or a truth value that says something.
func scalarText(v any) string {
	switch x := v.(type) {
	case string:
		return strings.Join(strings.Fields(x), " ")
	case json.Number:
		if len(x) <= longestNumber {
			return string(x)
		}
	case bool:
		return strconv.FormatBool(x)
	}
	return ""
}
