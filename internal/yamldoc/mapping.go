package yamldoc

import (
	"maps"
	"slices"

	"go.yaml.in/yaml/v4"
)

// Object reads a mapping with known keys; others are reported, with the nearest known one. What names the mapping in
// messages: `the step`, `tool "orders.lookup"`. It returns the nodes of the keys that were found, by name, and nil when
// n is not a mapping.
func (r *Reader) Object(n *yaml.Node, what string, known Fields) map[string]*yaml.Node {
	if n = Resolve(n); n.Kind != yaml.MappingNode {
		r.At(n, "", "%s must be a mapping of keys to values, not %s", what, KindOf(n))
		return nil
	}
	found := make(map[string]*yaml.Node, len(known))
	r.pairs(n, func(key, value *yaml.Node) {
		read, ok := known[key.Value]
		switch {
		case !ok:
			r.At(key, OneOf(key.Value, keysOf(known)), "unknown key %q in %s", key.Value, what)
		case read == nil:
			r.At(key, "remove it, or use a version of Belay that has it", "%q in %s is not yet supported", key.Value, what)
		default:
			read(Resolve(value))
		}
		if ok {
			found[key.Value] = key
		}
	})
	return found
}

// Require reports the keys that are missing from found, which [Reader.Object] returned for n.
func (r *Reader) Require(n *yaml.Node, what string, found map[string]*yaml.Node, keys ...string) {
	for _, key := range keys {
		if _, ok := found[key]; !ok && found != nil {
			r.At(Resolve(n), "", "%s has no %q", what, key)
		}
	}
}

// Mapping walks the pairs of an object whose keys are free.
func (r *Reader) Mapping(n *yaml.Node, what string, do func(key, value *yaml.Node)) {
	if n = Resolve(n); n.Kind != yaml.MappingNode {
		r.At(n, "", "%s must be a mapping of keys to values, not %s", what, KindOf(n))
		return
	}
	r.pairs(n, func(key, value *yaml.Node) { do(key, Resolve(value)) })
}

// List walks the elements of a sequence.
func (r *Reader) List(n *yaml.Node, what string, do func(i int, element *yaml.Node)) {
	if n = Resolve(n); n.Kind != yaml.SequenceNode {
		r.At(n, "", "%s must be a list, not %s", what, KindOf(n))
		return
	}
	for i, e := range n.Content {
		do(i, Resolve(e))
	}
}

// pairs walks the keys of a mapping, and reports those that are not strings or come twice.
func (r *Reader) pairs(n *yaml.Node, do func(key, value *yaml.Node)) {
	seen := make(map[string]*yaml.Node, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := Resolve(n.Content[i]), n.Content[i+1]
		if !r.isKey(key) {
			continue
		}
		if first, ok := seen[key.Value]; ok {
			r.At(n.Content[i], "", "the key %q occurs twice, first in line %d", key.Value, first.Line)
			continue
		}
		seen[key.Value] = key
		do(key, value)
	}
}

func (r *Reader) isKey(key *yaml.Node) bool {
	switch {
	case key.Kind == yaml.ScalarNode && key.ShortTag() == "!!merge":
		r.At(key, "write the keys out", "merge keys are not supported")
	case key.Kind != yaml.ScalarNode:
		r.At(key, "", "a key must be a string, not %s", KindOf(key))
	case !IsString(key):
		r.At(key, `quote it: "`+key.Value+`"`, "a key must be a string, not %s", KindOf(key))
	default:
		return true
	}
	return false
}

func keysOf(known Fields) []string {
	return slices.Sorted(maps.Keys(known))
}
