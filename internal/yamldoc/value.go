package yamldoc

import (
	"encoding/json"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Value reads any data, numbers as written; ok is false when something in it is not JSON.
func (r *Reader) Value(n *yaml.Node) (v any, ok bool) {
	switch n = Resolve(n); n.Kind {
	case yaml.MappingNode:
		object, ok := map[string]any{}, true
		before := len(r.Problems)
		r.pairs(n, func(key, value *yaml.Node) {
			v, good := r.Value(value)
			object[key.Value], ok = v, ok && good
		})
		return object, ok && len(r.Problems) == before
	case yaml.SequenceNode:
		list, ok := make([]any, len(n.Content)), true
		for i, e := range n.Content {
			v, good := r.Value(e)
			list[i], ok = v, ok && good
		}
		return list, ok
	}
	return r.scalar(n)
}

func (r *Reader) scalar(n *yaml.Node) (any, bool) {
	switch n.ShortTag() {
	case "!!null":
		return nil, true
	case "!!bool":
		return strings.EqualFold(n.Value, "true"), true
	case "!!str", "!!timestamp", "!!merge":
		if n.Style == 0 && jsonNumber(n.Value) { // YAML takes 1e999 for a string, others do not
			return json.Number(n.Value), true
		}
		return n.Value, true
	case "!!int", "!!float":
		if jsonNumber(n.Value) {
			return json.Number(n.Value), true
		}
		r.At(n, `write it as JSON does, or quote it: "`+n.Value+`"`, "the number %s is not a JSON number", n.Value)
	default:
		r.At(n, "", "the tag %s is not supported", n.Tag)
	}
	return nil, false
}
