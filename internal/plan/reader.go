package plan

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"belay/internal/steps"
)

// reader reads a document's nodes into typed values and collects everything that is wrong on the way, instead of
// stopping at the first mistake. A value that cannot be read is left as it was.
type reader struct {
	src      source
	problems Problems
	warnings Problems
}

// field reads the value of one key.
type field func(value *yaml.Node)

// fields are the keys of an object. A nil field is a key that is known but not supported yet.
type fields map[string]field

func (r *reader) problem(line, col int, hint, format string, args ...any) {
	r.problems = append(r.problems, Problem{File: r.src.file, Line: line, Col: col, Message: fmt.Sprintf(format, args...), Hint: hint})
}

func (r *reader) at(n *yaml.Node, hint, format string, args ...any) {
	r.problem(n.Line, n.Column, hint, format, args...)
}

// inside reports faults in the value of a scalar at their own places.
func (r *reader) inside(n *yaml.Node, faults []fault) {
	for _, f := range faults {
		line, col := r.src.locate(n, f.at)
		r.problem(line, col, f.hint, "%s", f.message)
	}
}

// object reads a mapping. what names it for messages: `step`, `tool "orders.lookup"`. It returns the keys found, and
// nil when n is no mapping.
func (r *reader) object(n *yaml.Node, what string, known fields) map[string]*yaml.Node {
	if n = resolve(n); n.Kind != yaml.MappingNode {
		r.at(n, "", "%s is a mapping of keys to values, not %s", what, kindOf(n))
		return nil
	}
	found := make(map[string]*yaml.Node, len(known))
	r.pairs(n, func(key, value *yaml.Node) {
		read, ok := known[key.Value]
		switch {
		case !ok:
			r.at(key, oneOf(key.Value, keysOf(known)), "unknown key %q in %s", key.Value, what)
		case read == nil:
			r.at(key, "remove it, or use a version of Belay that has it", "%q in %s is not yet supported", key.Value, what)
		default:
			read(resolve(value))
		}
		if ok {
			found[key.Value] = key
		}
	})
	return found
}

// require reports the keys that are missing from found, the result of [reader.object].
func (r *reader) require(n *yaml.Node, what string, found map[string]*yaml.Node, keys ...string) {
	for _, key := range keys {
		if _, ok := found[key]; !ok && found != nil {
			r.at(resolve(n), "", "%s has no %q", what, key)
		}
	}
}

// pairs walks the keys of a mapping, refusing those that are no strings or come twice.
func (r *reader) pairs(n *yaml.Node, do func(key, value *yaml.Node)) {
	seen := make(map[string]*yaml.Node, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := resolve(n.Content[i]), n.Content[i+1]
		if !r.isKey(key) {
			continue
		}
		if first, ok := seen[key.Value]; ok {
			r.at(n.Content[i], "", "the key %q is here twice, first in line %d", key.Value, first.Line)
			continue
		}
		seen[key.Value] = key
		do(key, value)
	}
}

func (r *reader) isKey(key *yaml.Node) bool {
	switch {
	case key.Kind == yaml.ScalarNode && key.ShortTag() == "!!merge":
		r.at(key, "write the keys out", "merge keys are not supported")
	case key.Kind != yaml.ScalarNode:
		r.at(key, "", "a key is a string, not %s", kindOf(key))
	case !isString(key):
		r.at(key, `quote it: "`+key.Value+`"`, "a key is a string, not %s", kindOf(key))
	default:
		return true
	}
	return false
}

func keysOf(known fields) []string {
	return slices.Sorted(maps.Keys(known))
}

// isString reports whether a scalar is a string. A date is one: JSON has no dates.
func isString(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && (n.ShortTag() == "!!str" || n.ShortTag() == "!!timestamp")
}

// text reads a string.
func (r *reader) text(n *yaml.Node) (string, bool) {
	switch {
	case isString(n):
		return n.Value, true
	case n.Kind == yaml.ScalarNode && n.ShortTag() != "!!null":
		r.at(n, `quote it: "`+n.Value+`"`, "a string is needed here, not %s", kindOf(n))
	case n.Kind == yaml.ScalarNode:
		r.at(n, "", "a value is missing here")
	default:
		r.at(n, "", "a string is needed here, not %s", kindOf(n))
	}
	return "", false
}

// checked reads a string that must satisfy valid.
func (r *reader) checked(into *string, valid func(string) bool, rule string) field {
	return func(n *yaml.Node) {
		s, ok := r.text(n)
		if ok && !valid(s) {
			r.at(n, rule, "%q is no valid name", shorten(s))
			return
		}
		if ok {
			*into = s
		}
	}
}

// choice reads one word of a closed set.
func choice[T ~string](r *reader, into *T, words ...T) field {
	return func(n *yaml.Node) {
		s, ok := r.text(n)
		if !ok {
			return
		}
		known := make([]string, len(words))
		for i, w := range words {
			known[i] = string(w)
		}
		if !slices.Contains(known, s) {
			r.at(n, oneOf(s, known), "%q is not possible here", shorten(s))
			return
		}
		*into = T(s)
	}
}

func (r *reader) bool(into *bool) field {
	return func(n *yaml.Node) {
		if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!bool" {
			r.at(n, "", "true or false is needed here, not %s", kindOf(n))
			return
		}
		*into = strings.EqualFold(n.Value, "true")
	}
}

func (r *reader) int(into *int, least, most int) field {
	return func(n *yaml.Node) {
		i, err := strconv.Atoi(n.Value)
		if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!int" || err != nil || !jsonNumber(n.Value) {
			r.at(n, "", "a whole number is needed here, not %s", shown(n))
			return
		}
		if i < least || i > most {
			r.at(n, fmt.Sprintf("from %d to %d", least, most), "%d is out of range", i)
			return
		}
		*into = i
	}
}

func (r *reader) float(into *float64, least, most float64) field {
	return func(n *yaml.Node) {
		f, err := strconv.ParseFloat(n.Value, 64)
		if n.Kind != yaml.ScalarNode || err != nil || !jsonNumber(n.Value) || isString(n) {
			r.at(n, "", "a number is needed here, not %s", shown(n))
			return
		}
		if f < least || f > most {
			r.at(n, fmt.Sprintf("from %g to %g", least, most), "%s is out of range", n.Value)
			return
		}
		*into = f
	}
}

// duration reads a length of time of at least the given one.
func (r *reader) duration(into *steps.Duration, least time.Duration) field {
	return func(n *yaml.Node) {
		const hint = "like 500ms, 30s, 10m, 24h or 30d"
		if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!int" {
			r.at(n, `a number needs its unit: `+n.Value+`s`, "%s is no duration", n.Value)
			return
		}
		s, ok := r.text(n)
		if !ok {
			return
		}
		d, err := parseDuration(s)
		switch {
		case err != nil:
			r.at(n, hint, "%q %v", shorten(s), err)
		case d < least:
			r.at(n, "", "the duration %s is too short, the least is %s", s, least)
		default:
			*into = steps.Duration(d)
		}
	}
}

// list walks the elements of a sequence.
func (r *reader) list(n *yaml.Node, what string, do func(i int, element *yaml.Node)) {
	if n = resolve(n); n.Kind != yaml.SequenceNode {
		r.at(n, "", "%s is a list, not %s", what, kindOf(n))
		return
	}
	for i, e := range n.Content {
		do(i, resolve(e))
	}
}

// mapping walks the pairs of an object whose keys are free.
func (r *reader) mapping(n *yaml.Node, what string, do func(key, value *yaml.Node)) {
	if n = resolve(n); n.Kind != yaml.MappingNode {
		r.at(n, "", "%s is a mapping of keys to values, not %s", what, kindOf(n))
		return
	}
	r.pairs(n, func(key, value *yaml.Node) { do(key, resolve(value)) })
}

// value reads any data, numbers as written; ok is false when something in it is no JSON.
func (r *reader) value(n *yaml.Node) (v any, ok bool) {
	switch n = resolve(n); n.Kind {
	case yaml.MappingNode:
		object, ok := map[string]any{}, true
		before := len(r.problems)
		r.pairs(n, func(key, value *yaml.Node) {
			v, good := r.value(value)
			object[key.Value], ok = v, ok && good
		})
		return object, ok && len(r.problems) == before
	case yaml.SequenceNode:
		list, ok := make([]any, len(n.Content)), true
		for i, e := range n.Content {
			v, good := r.value(e)
			list[i], ok = v, ok && good
		}
		return list, ok
	}
	return r.scalar(n)
}

func (r *reader) scalar(n *yaml.Node) (any, bool) {
	switch n.ShortTag() {
	case "!!null":
		return nil, true
	case "!!bool":
		return strings.EqualFold(n.Value, "true"), true
	case "!!str", "!!timestamp", "!!merge":
		if n.Style == 0 && jsonNumber(n.Value) { // YAML takes 1e999 for a string, nobody else does
			return json.Number(n.Value), true
		}
		return n.Value, true
	case "!!int", "!!float":
		if jsonNumber(n.Value) {
			return json.Number(n.Value), true
		}
		r.at(n, `write it as JSON does, or quote it: "`+n.Value+`"`, "the number %s has a form that JSON does not know", n.Value)
	default:
		r.at(n, "", "the tag %s is not supported", n.Tag)
	}
	return nil, false
}

// json reads any data into canonical JSON.
func (r *reader) json(into *json.RawMessage) field {
	return func(n *yaml.Node) {
		v, ok := r.value(n)
		if !ok {
			return
		}
		raw, err := canonical(v)
		if err != nil {
			r.at(n, "", "%v", err)
			return
		}
		*into = raw
	}
}

// jsonNumber reports whether s is a number as JSON writes it, of any size.
func jsonNumber(s string) bool {
	return s != "" && (s[0] == '-' || s[0] >= '0' && s[0] <= '9') && json.Valid([]byte(s))
}

func shown(n *yaml.Node) string {
	if n.Kind == yaml.ScalarNode && n.Value != "" {
		return strconv.Quote(shorten(n.Value))
	}
	return kindOf(n)
}
