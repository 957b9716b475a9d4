package handoff

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"belay/internal/steps"
)

// ApplySet returns parameters with some values replaced, as in `order.id=A-7` or `items.0.amount=12`. A path starts at
// the parameters; its parts are keys or list indexes. A value gets the type that the tool's input schema has for the
// path, or else the type of the value that it replaces; without either it is read as JSON if it is JSON, and as text if
// it is not. Numbers stay exactly as written.
func ApplySet(params, schema json.RawMessage, sets ...string) (json.RawMessage, error) {
	var root any = map[string]any{}
	if v := steps.Decode(params); v != nil {
		root = v
	}
	for _, s := range sets {
		path, text, ok := strings.Cut(s, "=")
		if !ok || path == "" {
			return nil, fmt.Errorf("%w: %q: write path=value", ErrInvalid, s)
		}
		parts := strings.Split(path, ".")
		if len(parts) > steps.MaxDepth {
			return nil, fmt.Errorf("%w: %.80s: %w", ErrInvalid, path, steps.TooDeep{Levels: len(parts)})
		}
		value, err := typed(text, typesAt(steps.Decode(schema), parts), at(root, parts))
		if err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrInvalid, path, err)
		}
		if root, err = replace(root, parts, value); err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrInvalid, path, err)
		}
	}
	edited, err := encode(root)
	if err == nil {
		err = steps.CheckDepth(edited)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return edited, nil
}

func encode(v any) (json.RawMessage, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSpace(b.Bytes()), nil
}

// replace sets the value at path and makes the objects that are missing on the way.
func replace(node any, path []string, value any) (any, error) {
	if len(path) == 0 {
		return value, nil
	}
	switch n := node.(type) {
	case nil:
		return replace(map[string]any{}, path, value)
	case map[string]any:
		child, err := replace(n[path[0]], path[1:], value)
		n[path[0]] = child
		return n, err
	case []any:
		i, err := strconv.Atoi(path[0])
		if err != nil || i < 0 || i > len(n) {
			return n, fmt.Errorf("%q is not an index of a list of %d items; %d appends one", path[0], len(n), len(n))
		}
		if i == len(n) {
			n = append(n, nil)
		}
		n[i], err = replace(n[i], path[1:], value)
		return n, err
	}
	return node, fmt.Errorf("%q is below a value that is neither an object nor a list", path[0])
}

// at returns the value at path; nil if there is none.
func at(node any, path []string) any {
	for _, part := range path {
		switch n := node.(type) {
		case map[string]any:
			node = n[part]
		case []any:
			i, err := strconv.Atoi(part)
			if err != nil || i < 0 || i >= len(n) {
				return nil
			}
			node = n[i]
		default:
			return nil
		}
	}
	return node
}

// typesAt returns the types that a schema allows at path; nil if it says nothing.
func typesAt(schema any, path []string) []string {
	for _, part := range path {
		s, ok := schema.(map[string]any)
		if !ok {
			return nil
		}
		if props, ok := s["properties"].(map[string]any); ok && props[part] != nil {
			schema = props[part]
			continue
		}
		schema = s["items"]
		if schema == nil {
			schema = s["additionalProperties"]
		}
	}
	s, _ := schema.(map[string]any)
	return typeNames(s["type"])
}

func typeNames(t any) []string {
	switch t := t.(type) {
	case string:
		return []string{t}
	case []any:
		var names []string
		for _, v := range t {
			if s, ok := v.(string); ok {
				names = append(names, s)
			}
		}
		return names
	}
	return nil
}

// typed reads text as one of the types; without types as the type of the value before it, or as what it looks like.
func typed(text string, types []string, before any) (any, error) {
	_, wasText := before.(string)
	takesText := slices.Contains(types, "string") || len(types) == 0 && wasText
	if err := steps.CheckDepth(text); err != nil && !takesText {
		return nil, err // beyond its own limit a JSON reader would take it for a text
	}
	v, isJSON := parse(text)
	if len(types) == 0 {
		if wasText || !isJSON {
			return text, nil
		}
		return v, nil
	}
	if isJSON && isOneOf(v, types) {
		if _, quoted := v.(string); !quoted {
			return v, nil
		}
	}
	if slices.Contains(types, "string") {
		return text, nil
	}
	return nil, fmt.Errorf("%q is not of type %s", text, strings.Join(types, " or "))
}

func parse(text string) (any, bool) {
	if !json.Valid([]byte(text)) {
		return nil, false
	}
	return steps.Decode(json.RawMessage(text)), true
}

func isOneOf(v any, types []string) bool {
	return slices.ContainsFunc(types, func(t string) bool { return isA(v, t) })
}

func isA(v any, t string) bool {
	switch v := v.(type) {
	case nil:
		return t == "null"
	case bool:
		return t == "boolean"
	case json.Number:
		return t == "number" || t == "integer" && !strings.ContainsAny(v.String(), ".eE")
	case string:
		return t == "string"
	case []any:
		return t == "array"
	case map[string]any:
		return t == "object"
	}
	return false
}
