package pages

import (
	"encoding/json"
	"strings"
)

// schema is the part of JSON Schema that the forms use.
type schema struct {
	Type        any               `json:"type"`
	Description string            `json:"description"`
	Properties  map[string]schema `json:"properties"`
	Required    []string          `json:"required"`
	Enum        []any             `json:"enum"`
}

func readSchema(raw json.RawMessage) schema {
	var s schema
	_ = json.Unmarshal(raw, &s) // without a schema, fields have the types of their values
	return s
}

// propertyNames returns the properties of a schema in the order in which they are written.
func propertyNames(rawSchema json.RawMessage) []string {
	top, _ := members(rawSchema)
	properties, _ := members(find(top, "properties"))
	names := make([]string, len(properties))
	for i, p := range properties {
		names[i] = p.Name
	}
	return names
}

// kindOf says how a value is edited: as its schema says if the present value fits the schema, else as JSON.
func kindOf(s schema, was json.RawMessage) (fieldKind, []string) {
	if options := texts(s.Enum); options != nil && (was == nil || was[0] == '"') {
		return fieldChoice, options
	}
	kind := kindOfType(s.Type, was)
	if was == nil || kind == fieldJSON {
		return kind, nil
	}
	var text string
	switch isText := json.Unmarshal(was, &text) == nil && string(was) != "null"; {
	case kind == fieldText && (!isText || !survives(text)), kind != fieldText && isText:
		return fieldJSON, nil
	case kind == fieldNumber && !isNumber(string(was)), kind == fieldBool && string(was) != "true" && string(was) != "false":
		return fieldJSON, nil
	}
	return kind, nil
}

func kindOfType(t any, was json.RawMessage) fieldKind {
	switch t {
	case "string":
		return fieldText
	case "number", "integer":
		return fieldNumber
	case "boolean":
		return fieldBool
	case nil:
		return kindOfValue(was)
	}
	return fieldJSON
}

func kindOfValue(was json.RawMessage) fieldKind {
	switch s := string(was); {
	case isNumber(s):
		return fieldNumber
	case s == "true" || s == "false":
		return fieldBool
	case strings.HasPrefix(s, `"`):
		return fieldText
	}
	return fieldJSON
}

func isNumber(s string) bool {
	return s != "" && strings.ContainsRune("-0123456789", rune(s[0])) && json.Valid([]byte(s))
}

// survives reports whether a text stays unchanged through a form, and has only visible characters. Other texts are edited
// as JSON, which escapes such characters.
func survives(s string) bool {
	return isPlain(s) && !strings.Contains(s, "\r") && !strings.HasPrefix(s, "\n")
}

func texts(enum []any) []string {
	var list []string
	for _, v := range enum {
		s, ok := v.(string)
		if !ok {
			return nil
		}
		list = append(list, s)
	}
	return list
}
