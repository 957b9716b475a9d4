package plan

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
)

// template is a JSON value with `${ ... }` in its strings, compiled. One without any is constant: its JSON is ready.
type template struct {
	render   func(b []byte, env map[string]any) ([]byte, error)
	constant json.RawMessage // set when nothing is to be evaluated
	uses     uses
}

// placed is a fault in one string of a JSON value.
type placed struct {
	path string // of the string in the value: .order, [2].id
	fault
}

func (p placed) Error() string {
	return inPath(p.path, fmt.Errorf("character %d: %s", p.at+1, p.message)).Error()
}

// inPath says where in a value err happened; the value as a whole needs no words.
func inPath(path string, err error) error {
	if path == "" {
		return err
	}
	return fmt.Errorf("%s: %w", strings.TrimPrefix(path, "."), err)
}

// compileTemplate compiles a decoded JSON value.
func compileTemplate(v any, path string, see view) (template, []placed) {
	switch x := v.(type) {
	case string:
		return compileStringTemplate(x, path, see)
	case []any:
		return compileListTemplate(x, path, see)
	case map[string]any:
		return compileObjectTemplate(x, path, see)
	}
	return constantTemplate(v), nil
}

func constantTemplate(v any) template {
	raw, err := canonical(v)
	if err != nil {
		panic("plan: decoded JSON cannot be written again: " + err.Error())
	}
	return template{
		constant: raw,
		render:   func(b []byte, _ map[string]any) ([]byte, error) { return append(b, raw...), nil },
	}
}

func compileStringTemplate(s, path string, see view) (template, []placed) {
	segments, faults := split(s)
	if len(faults) > 0 {
		return template{}, at(path, faults)
	}
	if isWhole(segments) {
		return compileWhole(segments[0], path, see)
	}
	text, faults := compileText(s, see, nil)
	if len(faults) > 0 {
		return template{}, at(path, faults)
	}
	if text.constant() {
		return constantTemplate(text.plain()), nil
	}
	return template{uses: text.uses, render: func(b []byte, env map[string]any) ([]byte, error) {
		value, err := text.evaluate(env)
		if err != nil {
			return b, inPath(path, err)
		}
		return appendString(b, value), nil
	}}, nil
}

func compileWhole(s segment, path string, see view) (template, []placed) {
	e, faults := compileExpression(s.text, see, false)
	if len(faults) > 0 {
		return template{}, at(path, shift(faults, s.at))
	}
	return template{uses: e.uses, render: func(b []byte, env map[string]any) ([]byte, error) {
		v, err := e.evaluate(env)
		if err != nil {
			return b, inPath(path, err)
		}
		b, err = appendJSON(b, v)
		if err != nil {
			return b, inPath(path, e.failed(0, err.Error()))
		}
		return b, nil
	}}, nil
}

func compileListTemplate(list []any, path string, see view) (template, []placed) {
	parts := make([]template, len(list))
	var faults []placed
	for i, v := range list {
		part, f := compileTemplate(v, fmt.Sprintf("%s[%d]", path, i), see)
		parts[i], faults = part, append(faults, f...)
	}
	if len(faults) > 0 {
		return template{}, faults
	}
	if constants(parts) {
		return constantTemplate(unescaped(list)), nil
	}
	return template{uses: union(parts), render: func(b []byte, env map[string]any) ([]byte, error) {
		return renderAll(append(b, '['), parts, nil, env, ']')
	}}, nil
}

func compileObjectTemplate(object map[string]any, path string, see view) (template, []placed) {
	keys := slices.Sorted(maps.Keys(object))
	parts := make([]template, len(keys))
	heads := make([][]byte, len(keys))
	var faults []placed
	for i, k := range keys {
		part, f := compileTemplate(object[k], path+"."+k, see)
		parts[i], faults = part, append(faults, f...)
		heads[i] = append(appendString(nil, k), ':')
	}
	if len(faults) > 0 {
		return template{}, faults
	}
	if constants(parts) {
		return constantTemplate(unescaped(object)), nil
	}
	return template{uses: union(parts), render: func(b []byte, env map[string]any) ([]byte, error) {
		return renderAll(append(b, '{'), parts, heads, env, '}')
	}}, nil
}

func renderAll(b []byte, parts []template, heads [][]byte, env map[string]any, end byte) ([]byte, error) {
	for i := range parts {
		if i > 0 {
			b = append(b, ',')
		}
		if heads != nil {
			b = append(b, heads[i]...)
		}
		var err error
		if b, err = parts[i].render(b, env); err != nil {
			return b, err
		}
	}
	return append(b, end), nil
}

func constants(parts []template) bool {
	return !slices.ContainsFunc(parts, func(t template) bool { return t.constant == nil })
}

func union(parts []template) uses {
	var all uses
	for _, p := range parts {
		all = all.with(p.uses)
	}
	return all
}

func (u uses) with(more uses) uses {
	return uses{roots: merged(u.roots, more.roots), steps: merged(u.steps, more.steps)}
}

func merged(a, b []string) []string {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}

// unescaped is a constant value with `$${` read as `${`.
func unescaped(v any) any {
	switch x := v.(type) {
	case string:
		return strings.ReplaceAll(x, "$${", "${")
	case []any:
		out := make([]any, len(x))
		for i := range x {
			out[i] = unescaped(x[i])
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(x))
		for k := range x {
			out[k] = unescaped(x[k])
		}
		return out
	}
	return v
}

// text is a compiled template of one string whose value is a string.
type text struct {
	parts   []textPart
	uses    uses
	remarks []fault // of lint
}

type textPart struct {
	plain  string
	expr   *expression
	encode func(string) (string, error)
}

// compileText compiles a string; encode, if there is one, is applied to every value put in.
func compileText(s string, see view, encode func(string) (string, error)) (text, []fault) {
	segments, faults := split(s)
	var t text
	for _, part := range segments {
		if !part.expression {
			t.parts = append(t.parts, textPart{plain: part.text})
			continue
		}
		e, f := compileExpression(part.text, see, false)
		if faults = append(faults, shift(f, part.at)...); e != nil {
			t.parts = append(t.parts, textPart{expr: e, encode: encode})
			t.uses = t.uses.with(e.uses)
			t.remarks = append(t.remarks, shift(e.remarks, part.at)...)
		}
	}
	return t, faults
}

func (t text) constant() bool {
	return !slices.ContainsFunc(t.parts, func(p textPart) bool { return p.expr != nil })
}

// plain is the value of a constant text.
func (t text) plain() string {
	if len(t.parts) == 0 {
		return ""
	}
	return t.parts[0].plain
}

func (t text) evaluate(env map[string]any) (string, error) {
	var b strings.Builder
	for _, p := range t.parts {
		s, err := p.evaluate(env)
		if err != nil {
			return "", err
		}
		if b.WriteString(s); b.Len() > maxText {
			return "", errTooLong
		}
	}
	return b.String(), nil
}

func (p textPart) evaluate(env map[string]any) (string, error) {
	if p.expr == nil {
		return p.plain, nil
	}
	v, err := p.expr.evaluate(env)
	if err != nil {
		return "", err
	}
	s, err := asText(v)
	if err == nil && p.encode != nil {
		s, err = p.encode(s)
	}
	if err != nil {
		return "", p.expr.failed(0, err.Error())
	}
	return s, nil
}

// encodeSegment makes s one segment of a URL's path, whatever is in it. A dot segment would name another resource even
// when encoded, so it is refused.
func encodeSegment(s string) (string, error) {
	if s == "." || s == ".." {
		return "", fmt.Errorf("%q cannot be part of a URL's path", s)
	}
	return strings.ReplaceAll(url.QueryEscape(s), "+", "%20"), nil
}

func at(path string, faults []fault) []placed {
	out := make([]placed, len(faults))
	for i, f := range faults {
		out[i] = placed{path: path, fault: f}
	}
	return out
}

func shift(faults []fault, by int) []fault {
	out := make([]fault, len(faults))
	for i, f := range faults {
		out[i] = f.shifted(by)
	}
	return out
}
