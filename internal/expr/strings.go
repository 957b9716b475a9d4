package expr

import (
	"errors"
	"fmt"
	"strings"
)

// These are the functions of the expression language that make strings longer or many. See [replaced].

func (m *meter) repeat(args []any) (any, error) {
	s, sok := args[0].(string)
	n, nok := index(args[1]).(int)
	if !sok || !nok || n < 0 {
		return nil, errors.New("repeat needs a string and a whole number")
	}
	if n > 0 && len(s) > maxText/n {
		return nil, errTooLong
	}
	return strings.Repeat(s, n), m.chargeText(n * len(s))
}

func (m *meter) replace(args []any) (any, error) {
	s, limit, err := textsAndLimit("replace", args, 3)
	if err != nil {
		return nil, err
	}
	if grow := len(s[2]) - len(s[1]); grow > 0 && len(s[0])+strings.Count(s[0], s[1])*grow > maxText {
		return nil, errTooLong
	}
	if err := m.chargeText(len(s[0])); err != nil {
		return nil, err
	}
	out := strings.Replace(s[0], s[1], s[2], limit)
	return out, m.chargeText(len(out))
}

func (m *meter) split(args []any, cut func(s, sep string, n int) []string) (any, error) {
	s, limit, err := textsAndLimit("split", args, 2)
	if err != nil {
		return nil, err
	}
	if err := m.charge(strings.Count(s[0], s[1]) + len(s[0])/16); err != nil {
		return nil, err
	}
	parts := cut(s[0], s[1], limit)
	out := make([]any, len(parts))
	for i, p := range parts {
		out[i] = p
	}
	return out, nil
}

// textsAndLimit reads arguments that are count strings and perhaps a whole number.
func textsAndLimit(name string, args []any, count int) (texts []string, limit int, err error) {
	for _, arg := range args[:count] {
		s, ok := arg.(string)
		if !ok {
			return nil, 0, fmt.Errorf("%s needs strings, not %s", name, Describe(arg))
		}
		texts = append(texts, s)
	}
	if len(args) == count {
		return texts, -1, nil
	}
	limit, ok := index(args[count]).(int)
	if !ok {
		return nil, 0, fmt.Errorf("the limit of %s is a whole number, not %s", name, Describe(args[count]))
	}
	return texts, limit, nil
}

func (m *meter) join(args []any) (any, error) {
	list, ok := asList(args[0])
	if !ok {
		return nil, fmt.Errorf("join needs a list, not %s", Describe(args[0]))
	}
	glue := ""
	if len(args) > 1 {
		if glue, ok = args[1].(string); !ok {
			return nil, fmt.Errorf("join needs a string between, not %s", Describe(args[1]))
		}
	}
	parts, total := make([]string, len(list)), 0
	for i, v := range list {
		text, err := AsText(v)
		if err != nil {
			return nil, fmt.Errorf("join: element %d: %w", i, err)
		}
		parts[i] = text
		if total += len(text) + len(glue); total > maxText {
			return nil, errTooLong
		}
	}
	return strings.Join(parts, glue), m.charge(len(list) + total/16)
}
