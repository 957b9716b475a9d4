package expr

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"belay/internal/yamldoc"
)

// Template is a JSON value with `${ ... }` in its strings, compiled. One without any is constant: its JSON is ready.
type Template struct {
	render   func(b []byte, env map[string]any) ([]byte, error)
	Constant json.RawMessage // set when nothing is to be evaluated
	uses     Uses
}

// Placed is a fault in one string of a JSON value.
type Placed struct {
	path string // of the string in the value: .order, [2].id
	yamldoc.Fault
}

func (p Placed) Error() string {
	return inPath(p.path, fmt.Errorf("character %d: %s", p.At+1, p.Message)).Error()
}

// inPath says where in a value err happened; the value as a whole needs no words.
func inPath(path string, err error) error {
	if path == "" {
		return err
	}
	return fmt.Errorf("%s: %w", strings.TrimPrefix(path, "."), err)
}

// CompileTemplate compiles a decoded JSON value.
func CompileTemplate(v any, path string, see Readable) (Template, []Placed) {
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

func constantTemplate(v any) Template {
	raw, err := Canonical(v)
	if err != nil {
		panic("plan: decoded JSON cannot be written again: " + err.Error())
	}
	return Template{
		Constant: raw,
		render:   func(b []byte, _ map[string]any) ([]byte, error) { return append(b, raw...), nil },
	}
}

func compileStringTemplate(s, path string, see Readable) (Template, []Placed) {
	segments, faults := Split(s)
	if len(faults) > 0 {
		return Template{}, at(path, faults)
	}
	if IsWhole(segments) {
		return compileWhole(segments[0], path, see)
	}
	text, faults := CompileText(s, see, nil)
	if len(faults) > 0 {
		return Template{}, at(path, faults)
	}
	if text.constant() {
		return constantTemplate(text.plain()), nil
	}
	return Template{uses: text.uses, render: func(b []byte, env map[string]any) ([]byte, error) {
		value, err := text.evaluate(env)
		if err != nil {
			return b, inPath(path, err)
		}
		return AppendString(b, value), nil
	}}, nil
}

func compileWhole(s Segment, path string, see Readable) (Template, []Placed) {
	e, faults := Compile(s.Text, see, false)
	if len(faults) > 0 {
		return Template{}, at(path, Shift(faults, s.At))
	}
	return Template{uses: e.Uses, render: func(b []byte, env map[string]any) ([]byte, error) {
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

func compileListTemplate(list []any, path string, see Readable) (Template, []Placed) {
	parts := make([]Template, len(list))
	var faults []Placed
	for i, v := range list {
		part, f := CompileTemplate(v, fmt.Sprintf("%s[%d]", path, i), see)
		parts[i], faults = part, append(faults, f...)
	}
	if len(faults) > 0 {
		return Template{}, faults
	}
	if constants(parts) {
		return constantTemplate(unescaped(list)), nil
	}
	return Template{uses: union(parts), render: func(b []byte, env map[string]any) ([]byte, error) {
		return renderAll(append(b, '['), parts, nil, env, ']')
	}}, nil
}

func compileObjectTemplate(object map[string]any, path string, see Readable) (Template, []Placed) {
	keys := slices.Sorted(maps.Keys(object))
	parts := make([]Template, len(keys))
	heads := make([][]byte, len(keys))
	var faults []Placed
	for i, k := range keys {
		part, f := CompileTemplate(object[k], path+"."+k, see)
		parts[i], faults = part, append(faults, f...)
		heads[i] = append(AppendString(nil, k), ':')
	}
	if len(faults) > 0 {
		return Template{}, faults
	}
	if constants(parts) {
		return constantTemplate(unescaped(object)), nil
	}
	return Template{uses: union(parts), render: func(b []byte, env map[string]any) ([]byte, error) {
		return renderAll(append(b, '{'), parts, heads, env, '}')
	}}, nil
}

func renderAll(b []byte, parts []Template, heads [][]byte, env map[string]any, end byte) ([]byte, error) {
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

func constants(parts []Template) bool {
	return !slices.ContainsFunc(parts, func(t Template) bool { return t.Constant == nil })
}

func union(parts []Template) Uses {
	var all Uses
	for _, p := range parts {
		all = all.with(p.uses)
	}
	return all
}

func (u Uses) with(more Uses) Uses {
	return Uses{Roots: merged(u.Roots, more.Roots), Steps: merged(u.Steps, more.Steps)}
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

// Text is a compiled template of one string whose value is a string.
type Text struct {
	parts   []textPart
	uses    Uses
	Remarks []yamldoc.Fault // of lint
}

type textPart struct {
	plain  string
	expr   *Expression
	encode func(string) (string, error)
}

// CompileText compiles a string; encode, if there is one, is applied to every value put in.
func CompileText(s string, see Readable, encode func(string) (string, error)) (Text, []yamldoc.Fault) {
	segments, faults := Split(s)
	var t Text
	for _, part := range segments {
		if !part.Expression {
			t.parts = append(t.parts, textPart{plain: part.Text})
			continue
		}
		e, f := Compile(part.Text, see, false)
		if faults = append(faults, Shift(f, part.At)...); e != nil {
			t.parts = append(t.parts, textPart{expr: e, encode: encode})
			t.uses = t.uses.with(e.Uses)
			t.Remarks = append(t.Remarks, Shift(e.Remarks, part.At)...)
		}
	}
	return t, faults
}

func (t Text) constant() bool {
	return !slices.ContainsFunc(t.parts, func(p textPart) bool { return p.expr != nil })
}

// plain is the value of a constant text.
func (t Text) plain() string {
	if len(t.parts) == 0 {
		return ""
	}
	return t.parts[0].plain
}

func (t Text) evaluate(env map[string]any) (string, error) {
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
	s, err := AsText(v)
	if err == nil && p.encode != nil {
		s, err = p.encode(s)
	}
	if err != nil {
		return "", p.expr.failed(0, err.Error())
	}
	return s, nil
}

// EncodeSegment makes s one segment of a URL's path, whatever is in it. A dot segment would name another resource even
// when encoded, so it is refused.
func EncodeSegment(s string) (string, error) {
	if s == "." || s == ".." {
		return "", fmt.Errorf("%q cannot be part of a URL's path", s)
	}
	return strings.ReplaceAll(url.QueryEscape(s), "+", "%20"), nil
}

func at(path string, faults []yamldoc.Fault) []Placed {
	out := make([]Placed, len(faults))
	for i, f := range faults {
		out[i] = Placed{path: path, Fault: f}
	}
	return out
}

// Shift gives faults their places in a longer string, which has by more characters before it.
func Shift(faults []yamldoc.Fault, by int) []yamldoc.Fault {
	out := make([]yamldoc.Fault, len(faults))
	for i, f := range faults {
		out[i] = f.Shifted(by)
	}
	return out
}
