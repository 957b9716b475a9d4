package expr

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"belay/internal/steps"
)

// maxText is the longest string that an expression may make; parameters and outputs are smaller anyway.
const maxText = 1 << 20

var errTooLong = errors.New("the string is longer than 1 MiB")

// function is a function that expressions call, with the meter of the evaluation.
type function func(m *meter, args []any) (any, error)

// replaced are functions of the expression language that cannot handle numbers as text, or that could use memory
// without bound. Expressions call them by their usual names; rewrite.go puts these in their place.
var replaced = map[string]function{
	"min":        func(m *meter, args []any) (any, error) { return m.extreme(args, -1) },
	"max":        func(m *meter, args []any) (any, error) { return m.extreme(args, +1) },
	"sort":       (*meter).sort,
	"uniq":       (*meter).uniq,
	"flatten":    (*meter).flatten,
	"type":       func(_ *meter, args []any) (any, error) { return typeName(args[0]), nil },
	"string":     func(m *meter, args []any) (any, error) { return m.stringOf(args[0]) },
	"toJSON":     func(m *meter, args []any) (any, error) { return m.toJSON(args[0]) },
	"fromJSON":   func(m *meter, args []any) (any, error) { return m.fromJSON(args[0]) },
	"repeat":     (*meter).repeat,
	"replace":    (*meter).replace,
	"join":       (*meter).join,
	"split":      func(m *meter, args []any) (any, error) { return m.split(args, strings.SplitN) },
	"splitAfter": func(m *meter, args []any) (any, error) { return m.split(args, strings.SplitAfterN) },
}

// operators are functions that stand for an operator once an expression is rewritten. Nobody can write their names:
// the dot in them is not a letter of the language.
var operators = map[string]function{
	"num·":   func(_ *meter, args []any) (any, error) { return numeric(args[0]) },
	"whole·": func(_ *meter, args []any) (any, error) { return wholeOf(args[0]) },
	"nums·":  func(m *meter, args []any) (any, error) { return m.numerics(args[0]) },
	"index·": func(_ *meter, args []any) (any, error) { return index(args[0]), nil },
	"look·":  func(m *meter, args []any) (any, error) { return args[0], m.look(args[0]) },
	"add·":   func(m *meter, args []any) (any, error) { return m.add(args[0], args[1]) },
	"mod·":   func(_ *meter, args []any) (any, error) { return modulo(args[0], args[1]) },
	"eq·":    func(m *meter, args []any) (any, error) { return m.equal(args[0], args[1]) },
	"ne·":    func(m *meter, args []any) (any, error) { return not(m.equal(args[0], args[1])) },
	"in·":    func(m *meter, args []any) (any, error) { return m.contains(args[0], args[1]) },
	"lt·":    ordered(func(order int) bool { return order < 0 }),
	"le·":    ordered(func(order int) bool { return order <= 0 }),
	"gt·":    ordered(func(order int) bool { return order > 0 }),
	"ge·":    ordered(func(order int) bool { return order >= 0 }),

	"lt·" + orNull: unlessNull(func(order int) bool { return order < 0 }),
	"le·" + orNull: unlessNull(func(order int) bool { return order <= 0 }),
	"gt·" + orNull: unlessNull(func(order int) bool { return order > 0 }),
	"ge·" + orNull: unlessNull(func(order int) bool { return order >= 0 }),
}

func unlessNull(holds func(order int) bool) function {
	compare := ordered(holds)
	return func(m *meter, args []any) (any, error) {
		if args[0] == nil || args[1] == nil {
			return false, nil
		}
		return compare(m, args)
	}
}

func ordered(holds func(order int) bool) function {
	return func(m *meter, args []any) (any, error) {
		order, err := m.compare(args[0], args[1])
		return err == nil && holds(order), err
	}
}

func not(b bool, err error) (any, error) { return !b, err }

// add is `+`: of numbers, or of strings.
func (m *meter) add(a, b any) (any, error) {
	s, sok := a.(string)
	t, tok := b.(string)
	if sok && tok {
		if len(s)+len(t) > maxText {
			return nil, errTooLong
		}
		return s + t, m.chargeText(len(s) + len(t))
	}
	_, x, xok := number(a)
	_, y, yok := number(b)
	if err := tooLarge(a, b); err != nil {
		return nil, err
	}
	if !xok || !yok {
		return nil, fmt.Errorf("cannot add %s and %s", Describe(a), Describe(b))
	}
	return x + y, nil
}

// contains is `in`: an element of a list, or a key of an object.
func (m *meter) contains(a, b any) (any, error) {
	if l, ok := asList(b); ok {
		_, found, err := m.find(l, a)
		return found, err
	}
	if o, ok := asObject(b); ok {
		key, ok := a.(string)
		_, found := o[key]
		return ok && found, nil
	}
	if b == nil {
		return false, nil
	}
	return nil, fmt.Errorf("`in` needs a list or an object, not %s", Describe(b))
}

func (m *meter) find(list []any, v any) (at int, found bool, err error) {
	for i, e := range list {
		if same, err := m.equal(e, v); same || err != nil {
			return i, same, err
		}
	}
	return 0, false, nil
}

// extreme is min and max: of its arguments and of lists among them. The number that it gives is as it was written.
func (m *meter) extreme(args []any, sign int) (any, error) {
	var best any
	all, err := m.flat(nil, args)
	if err != nil {
		return nil, err
	}
	for _, v := range all {
		if _, _, ok := number(v); !ok {
			return nil, fmt.Errorf("min and max need numbers, not %s", Describe(v))
		}
		if order, ok := compareNumbers(v, best); best == nil || ok && order*sign > 0 {
			best = v
		}
	}
	if best == nil {
		return nil, errors.New("min and max need at least one number")
	}
	return best, nil
}

// flat appends what is in list, and in the lists inside it, to out.
func (m *meter) flat(out, list []any) ([]any, error) {
	defer m.leave()
	err := errors.Join(m.enter(), m.charge(len(list)))
	for _, v := range list {
		if err != nil {
			return nil, err
		}
		if l, ok := asList(v); ok {
			out, err = m.flat(out, l)
		} else {
			out = append(out, v)
		}
	}
	return out, err
}

func (m *meter) flatten(args []any) (any, error) {
	list, ok := asList(args[0])
	if !ok {
		return nil, fmt.Errorf("flatten needs a list, not %s", Describe(args[0]))
	}
	return m.flat([]any{}, list)
}

// sort is sort(list) and sort(list, "desc").
func (m *meter) sort(args []any) (any, error) {
	list, ok := asList(args[0])
	if !ok {
		return nil, fmt.Errorf("sort needs a list, not %s", Describe(args[0]))
	}
	sign := 1
	if len(args) > 1 {
		switch args[1] {
		case "desc":
			sign = -1
		case "asc":
		default:
			return nil, errors.New(`the order of sort is "asc" or "desc"`)
		}
	}
	var failed error
	out := slices.Clone(list)
	slices.SortStableFunc(out, func(a, b any) int {
		order, err := m.compare(a, b)
		if err != nil {
			failed = err
		}
		return order * sign
	})
	if failed != nil {
		return nil, fmt.Errorf("sort needs numbers only or strings only: %w", failed)
	}
	return out, m.charge(len(out))
}

// uniq keeps the first of equal elements.
func (m *meter) uniq(args []any) (any, error) {
	list, ok := asList(args[0])
	if !ok {
		return nil, fmt.Errorf("uniq needs a list, not %s", Describe(args[0]))
	}
	alike := map[any][]any{}
	out := make([]any, 0, len(list))
	for _, v := range list {
		key := kindKey(v)
		_, found, err := m.find(alike[key], v)
		if err != nil {
			return nil, err
		}
		if !found {
			alike[key] = append(alike[key], v)
			out = append(out, v)
		}
	}
	return out, m.charge(len(list))
}

func typeName(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case bool:
		return "bool"
	case string:
		return "string"
	}
	if whole, _, ok := number(v); ok {
		if whole != "" {
			return "int"
		}
		return "float"
	}
	if _, ok := asList(v); ok {
		return "array"
	}
	return "map"
}

// stringOf is string(v): like in a longer string, but null is "null".
func (m *meter) stringOf(v any) (any, error) {
	if v == nil {
		return "null", nil
	}
	s, err := AsText(v)
	return s, errors.Join(err, m.chargeText(len(s)))
}

func (m *meter) toJSON(v any) (any, error) {
	raw, err := Canonical(v)
	return string(raw), errors.Join(err, m.chargeText(len(raw)))
}

func (m *meter) fromJSON(v any) (any, error) {
	s, ok := v.(string)
	if !ok {
		return nil, fmt.Errorf("fromJSON needs a string, not %s", Describe(v))
	}
	if !json.Valid([]byte(s)) {
		return nil, errors.New("fromJSON got a string that is not JSON")
	}
	if err := m.charge(len(s) / 2); err != nil {
		return nil, err
	}
	return steps.Decode(json.RawMessage(s)), nil
}
