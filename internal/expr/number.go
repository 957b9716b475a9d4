package expr

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"

	"belay/internal/yamldoc"
)

// Numbers of documents, inputs and outputs are json.Number, their text as somebody wrote it. The functions of this
// file are what operators and functions of the expression language see of them; see rewrite.go for where each of them
// is put. Whatever is only passed on is never converted.

// numeric gives v as float64 where v is a number as text, and any other value unchanged.
func numeric(v any) (any, error) {
	n, ok := v.(json.Number)
	if !ok {
		return v, nil
	}
	f, err := strconv.ParseFloat(string(n), 64)
	if err != nil {
		return nil, fmt.Errorf("the number %s is too large to calculate with", yamldoc.Shorten(string(n)))
	}
	return f, nil
}

// wholeOf is [numeric] for int(), which machines would answer differently beyond 64 bits.
func wholeOf(v any) (any, error) {
	n, err := numeric(v)
	if f, is := n.(float64); is && !(f >= -1<<63 && f < 1<<63) {
		return nil, fmt.Errorf("%v is too large for int: it takes whole numbers of 64 bits", v)
	}
	return n, err
}

// tooLarge is the error of calculating with values of which one is a number beyond float64; nil if none is.
func tooLarge(values ...any) error {
	for _, v := range values {
		if _, err := numeric(v); err != nil {
			return err
		}
	}
	return nil
}

// numerics is [numeric] on v and on everything inside lists.
func (m *meter) numerics(v any) (any, error) {
	defer m.leave()
	if err := errors.Join(m.enter(), m.look(v)); err != nil {
		return nil, err
	}
	list, ok := asList(v)
	if !ok {
		return numeric(v)
	}
	out := make([]any, len(list))
	for i, e := range list {
		n, err := m.numerics(e)
		if err != nil {
			return nil, err
		}
		out[i] = n
	}
	return out, nil
}

// index gives v as int where v is a whole number, as positions and counts need it.
func index(v any) any {
	switch n := v.(type) {
	case json.Number:
		if i, err := strconv.Atoi(string(n)); err == nil {
			return i
		}
		if f, err := strconv.ParseFloat(string(n), 64); err == nil {
			return index(f)
		}
	case float64:
		if i := int(n); float64(i) == n {
			return i
		}
	}
	return v
}

// modulo is the remainder of whole numbers.
func modulo(a, b any) (any, error) {
	x, xok := index(a).(int)
	y, yok := index(b).(int)
	if !xok || !yok {
		return nil, fmt.Errorf("%% needs whole numbers, not %s and %s", Describe(a), Describe(b))
	}
	if y == 0 {
		return nil, fmt.Errorf("division by zero")
	}
	return x % y, nil
}

// number reports what v is as a number: its text when it is a whole number of any size, else its float64.
func number(v any) (whole string, f float64, ok bool) {
	switch n := v.(type) {
	case json.Number:
		f, err := strconv.ParseFloat(string(n), 64)
		if strings.ContainsAny(string(n), ".eE") {
			return "", f, err == nil
		}
		return string(n), f, true
	case int:
		return strconv.Itoa(n), float64(n), true
	case float64:
		return "", n, true
	}
	return numberByKind(v)
}

func numberByKind(v any) (whole string, f float64, ok bool) {
	r := reflect.ValueOf(v)
	switch {
	case r.IsValid() && r.CanInt():
		return strconv.FormatInt(r.Int(), 10), float64(r.Int()), true
	case r.IsValid() && r.CanFloat():
		return "", r.Float(), true
	}
	return "", 0, false
}

// compareNumbers compares whole numbers of any size exactly and all others as float64.
func compareNumbers(a, b any) (order int, ok bool) {
	wa, fa, oka := number(a)
	wb, fb, okb := number(b)
	if !oka || !okb || math.IsNaN(fa) || math.IsNaN(fb) {
		return 0, false
	}
	if wa == "" || wb == "" || wa == wb {
		return cmp.Compare(fa, fb), true
	}
	const exact = 1 << 53 // up to here float64 holds every whole number
	if math.Abs(fa) < exact && math.Abs(fb) < exact {
		return cmp.Compare(fa, fb), true
	}
	return compareWhole(wa, wb), true
}

// compareWhole compares whole numbers in JSON's form, which has no leading zeros.
func compareWhole(a, b string) int {
	minusA, minusB := a[0] == '-', b[0] == '-'
	switch {
	case minusA && minusB:
		return compareWhole(b[1:], a[1:])
	case minusA:
		return -1
	case minusB:
		return 1
	}
	return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b))
}

// compare orders two numbers or two strings.
func (m *meter) compare(a, b any) (int, error) {
	if err := errors.Join(m.look(a), m.look(b)); err != nil {
		return 0, errBudget
	}
	if order, ok := compareNumbers(a, b); ok {
		return order, nil
	}
	s, sok := a.(string)
	t, tok := b.(string)
	if sok && tok {
		return strings.Compare(s, t), nil
	}
	if err := tooLarge(a, b); err != nil {
		return 0, err
	}
	return 0, fmt.Errorf("cannot compare %s with %s", Describe(a), Describe(b))
}

// equal compares values as JSON, numbers by what they are worth: 1.10 equals 1.1.
func (m *meter) equal(a, b any) (bool, error) {
	defer m.leave()
	if err := errors.Join(m.enter(), m.look(a)); err != nil {
		return false, err
	}
	if order, ok := compareNumbers(a, b); ok {
		return order == 0, nil
	}
	if l, ok := asList(a); ok {
		k, ok := asList(b)
		if !ok || len(l) != len(k) {
			return false, nil
		}
		return m.equalLists(l, k)
	}
	if x, ok := asObject(a); ok {
		y, ok := asObject(b)
		if !ok || len(x) != len(y) {
			return false, nil
		}
		return m.equalObjects(x, y)
	}
	switch a.(type) {
	case nil, bool, string:
		return a == b, nil
	}
	return false, nil
}

func (m *meter) equalLists(a, b []any) (bool, error) {
	for i := range a {
		if same, err := m.equal(a[i], b[i]); !same || err != nil {
			return false, err
		}
	}
	return true, nil
}

func (m *meter) equalObjects(a, b map[string]any) (bool, error) {
	for k, v := range a {
		w, ok := b[k]
		if !ok {
			return false, nil
		}
		if same, err := m.equal(v, w); !same || err != nil {
			return false, err
		}
	}
	return true, nil
}

// kindKey is the same for equal values, and different for most that are not.
func kindKey(v any) any {
	if _, f, ok := number(v); ok {
		return f
	}
	switch x := v.(type) {
	case nil, bool, string:
		return x
	}
	if l, ok := asList(v); ok {
		return [2]any{"list", len(l)}
	}
	return "other"
}
