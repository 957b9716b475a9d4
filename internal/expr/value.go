package expr

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"unicode/utf8"
)

// asList gives any kind of list that the expression language makes as []any.
func asList(v any) ([]any, bool) {
	switch l := v.(type) {
	case []any:
		return l, true
	case nil, string, bool, json.Number, int, float64, map[string]any:
		return nil, false
	}
	r := reflect.ValueOf(v)
	if r.Kind() != reflect.Slice && r.Kind() != reflect.Array {
		return nil, false
	}
	out := make([]any, r.Len())
	for i := range out {
		out[i] = r.Index(i).Interface()
	}
	return out, true
}

// asObject gives any kind of map that the expression language makes as map[string]any.
func asObject(v any) (map[string]any, bool) {
	switch m := v.(type) {
	case map[string]any:
		return m, m != nil
	case nil, string, bool, json.Number, int, float64, []any:
		return nil, false
	}
	r := reflect.ValueOf(v)
	if r.Kind() != reflect.Map || r.IsNil() {
		return nil, false
	}
	out := make(map[string]any, r.Len())
	for it := r.MapRange(); it.Next(); {
		key, err := AsText(it.Key().Interface())
		if err != nil {
			return nil, false
		}
		out[key] = it.Value().Interface()
	}
	return out, true
}

// Describe names the type of v in the words of JSON.
func Describe(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case bool:
		return "a boolean"
	case string:
		return "a string"
	case json.Number:
		return "a number"
	}
	if _, _, ok := number(v); ok {
		return "a number"
	}
	if _, ok := asList(v); ok {
		return "a list"
	}
	if r := reflect.ValueOf(v); r.Kind() == reflect.Map {
		return "an object"
	}
	return "a value that is not data"
}

// Bounds of a value that is written as JSON. Expressions can put one list into another many times over, which takes no
// memory until it is written; and what is nested deeper no JSON decoder reads again.
const (
	maxJSON    = 8 << 20
	maxNesting = 10_000
)

var (
	errTooLarge = errors.New("the value is larger than 8 MiB")
	errTooDeep  = errors.New("lists and objects are nested deeper than 10000")
)

// appendJSON writes v as compact JSON: keys sorted, numbers as written, no escaping of <, > and &.
func appendJSON(b []byte, v any) ([]byte, error) {
	e := encoder{b: b}
	err := e.value(v)
	return e.b, err
}

type encoder struct {
	b     []byte
	depth int
}

func (e *encoder) value(v any) error {
	switch x := v.(type) {
	case nil:
		e.b = append(e.b, "null"...)
	case bool:
		e.b = strconv.AppendBool(e.b, x)
	case string:
		e.b = AppendString(e.b, x)
	case json.Number:
		e.b = append(e.b, x...)
	case int:
		e.b = strconv.AppendInt(e.b, int64(x), 10)
	case float64:
		return e.float(x)
	default:
		return e.nested(v)
	}
	return nil
}

func (e *encoder) nested(v any) error {
	if e.depth++; e.depth > maxNesting {
		return errTooDeep
	}
	defer func() { e.depth-- }()
	if l, ok := asList(v); ok {
		return e.list(l)
	}
	if m, ok := asObject(v); ok {
		return e.object(m)
	}
	if r := reflect.ValueOf(v); r.CanInt() || r.CanFloat() {
		return e.marshalled(v)
	}
	return fmt.Errorf("%T cannot be written as JSON", v)
}

func (e *encoder) marshalled(v any) error {
	raw, err := json.Marshal(v)
	e.b = append(e.b, raw...)
	return err
}

func (e *encoder) float(f float64) error {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return errors.New("the result is not a finite number (a division by zero?)")
	}
	if whole := int64(f); float64(whole) == f && math.Abs(f) < 1<<53 {
		e.b = strconv.AppendInt(e.b, whole, 10)
		return nil
	}
	return e.marshalled(f)
}

func (e *encoder) list(l []any) error {
	e.b = append(e.b, '[')
	for i, v := range l {
		if i > 0 {
			e.b = append(e.b, ',')
		}
		if err := e.element(v); err != nil {
			return err
		}
	}
	e.b = append(e.b, ']')
	return nil
}

func (e *encoder) object(m map[string]any) error {
	e.b = append(e.b, '{')
	for i, k := range slices.Sorted(maps.Keys(m)) {
		if i > 0 {
			e.b = append(e.b, ',')
		}
		e.b = append(AppendString(e.b, k), ':')
		if err := e.element(m[k]); err != nil {
			return err
		}
	}
	e.b = append(e.b, '}')
	return nil
}

func (e *encoder) element(v any) error {
	if len(e.b) > maxJSON {
		return errTooLarge
	}
	return e.value(v)
}

// AppendString appends s as a JSON string, without escaping <, > and &.
func AppendString(b []byte, s string) []byte {
	if plainString(s) {
		b = append(b, '"')
		b = append(b, s...)
		return append(b, '"')
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		panic("plan: a string cannot fail to encode: " + err.Error())
	}
	return append(b, bytes.TrimSuffix(buf.Bytes(), []byte("\n"))...)
}

// plainString reports whether s needs no escape in JSON.
func plainString(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// Canonical is v as JSON; it fails on values that JSON cannot hold.
func Canonical(v any) (json.RawMessage, error) {
	b, err := appendJSON(nil, v)
	if err != nil {
		return nil, err
	}
	return b, nil
}

// AsText is v inside a longer string: strings as they are, objects and lists as compact JSON, null refused.
func AsText(v any) (string, error) {
	switch x := v.(type) {
	case nil:
		return "", fmt.Errorf("null cannot be part of a longer string")
	case string:
		return x, nil
	case json.Number:
		return string(x), nil
	}
	b, err := appendJSON(nil, v)
	return string(b), err
}
