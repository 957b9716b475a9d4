package steps

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
)

// Fact is one parameter of the step in question, as lists show it: a text as it is, anything else as JSON writes it.
type Fact struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

const (
	maxFacts = 12 // of an escalation; lists are about many
	maxFact  = 80 // characters of a name or value
)

// factsOf are the parameters that are a text, a number or a truth value, in the order of their schema, those that it does
// not name behind the others. They tell escalations that are alike apart.
func factsOf(params, schema json.RawMessage) []Fact {
	names, values := memberTexts(params)
	for _, name := range slices.Backward(schemaNames(schema)) {
		if i := slices.Index(names, name); i >= 0 {
			names = slices.Insert(slices.Delete(names, i, i+1), 0, name)
		}
	}
	var list []Fact
	for _, name := range names {
		if value, ok := scalarText(values[name]); ok && len(list) < maxFacts {
			list = append(list, Fact{shortFact(name), shortFact(value)})
		}
	}
	return list
}

// schemaNames are the properties of a schema as they are written.
func schemaNames(schema json.RawMessage) []string {
	_, top := memberTexts(schema)
	names, _ := memberTexts(top["properties"])
	return names
}

// memberTexts reads the top level of a JSON object: the names as they are written, each once, and their values.
func memberTexts(raw json.RawMessage) (names []string, values map[string]json.RawMessage) {
	values = map[string]json.RawMessage{}
	d := json.NewDecoder(bytes.NewReader(raw))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, values
	}
	for d.More() {
		t, err := d.Token()
		name, ok := t.(string)
		var value json.RawMessage
		if err != nil || !ok || d.Decode(&value) != nil {
			return names, values
		}
		if _, twice := values[name]; !twice {
			names = append(names, name)
		}
		values[name] = value
	}
	return names, values
}

// scalarText is a value as people read it, if it is a text, a number or a truth value that says something.
func scalarText(raw json.RawMessage) (string, bool) {
	text := strings.TrimSpace(string(raw))
	switch {
	case text == "" || text == "null" || text[0] == '{' || text[0] == '[':
		return "", false
	case text[0] == '"':
		if json.Unmarshal(raw, &text) != nil {
			return "", false
		}
		text = strings.Join(strings.Fields(text), " ")
	}
	return text, text != ""
}

func shortFact(s string) string {
	if r := []rune(s); len(r) > maxFact {
		return string(r[:maxFact-1]) + "…"
	}
	return s
}
