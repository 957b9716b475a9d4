package plan

import (
	"encoding/json"

	"go.yaml.in/yaml/v4"

	"belay/internal/yamldoc"
)

// asWritten is the JSON raw, which was read from n, with the keys of its objects in the order of the document. Schemas keep
// it: forms ask for what they describe in that order.
func asWritten(n *yaml.Node, raw json.RawMessage) json.RawMessage {
	switch n = yamldoc.Resolve(n); n.Kind {
	case yaml.MappingNode:
		return objectAsWritten(n, raw)
	case yaml.SequenceNode:
		return listAsWritten(n, raw)
	}
	return raw
}

func objectAsWritten(n *yaml.Node, raw json.RawMessage) json.RawMessage {
	var values map[string]json.RawMessage
	if json.Unmarshal(raw, &values) != nil || len(values) != len(n.Content)/2 {
		return raw
	}
	out := []byte{'{'}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name := yamldoc.Resolve(n.Content[i]).Value
		key, err := json.Marshal(name)
		if err != nil || values[name] == nil {
			return raw
		}
		if i > 0 {
			out = append(out, ',')
		}
		out = append(append(out, key...), ':')
		out = append(out, asWritten(n.Content[i+1], values[name])...)
	}
	return append(out, '}')
}

func listAsWritten(n *yaml.Node, raw json.RawMessage) json.RawMessage {
	var items []json.RawMessage
	if json.Unmarshal(raw, &items) != nil || len(items) != len(n.Content) {
		return raw
	}
	out := []byte{'['}
	for i, e := range n.Content {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, asWritten(e, items[i])...)
	}
	return append(out, ']')
}
