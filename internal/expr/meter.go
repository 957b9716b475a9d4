package expr

import (
	"encoding/json"
	"errors"
)

// budget is what one evaluation may cost: about one unit for an element looked at or made, or for 16 bytes of text.
// The expression language bounds only the lists that it makes itself; this bounds strings and time as well, so that a
// hostile plan cannot stop whoever evaluates it. A program that people write costs some hundreds.
const budget = 1_000_000

// meterName is where an environment keeps its meter. An expression cannot spell it.
const meterName = "meter·"

var errBudget = errors.New("the expression does too much: memory budget exceeded")

// meter counts what an evaluation has cost, and how deep it is inside a value.
type meter struct{ left, depth int }

// newEnvironment makes an environment with a fresh meter and room for its roots.
func newEnvironment(roots int) map[string]any {
	env := make(map[string]any, roots+1)
	env[meterName] = &meter{left: budget}
	return env
}

func (m *meter) charge(units int) error {
	if m.left -= units + 1; m.left < 0 {
		return errBudget
	}
	return nil
}

// chargeText is for making or reading a string.
func (m *meter) chargeText(length int) error { return m.charge(length / 16) }

// look charges for reading v once, without what is inside its elements.
func (m *meter) look(v any) error {
	switch x := v.(type) {
	case string:
		return m.chargeText(len(x))
	case json.Number:
		return m.chargeText(len(x))
	case []any:
		return m.charge(len(x) / 8)
	case map[string]any:
		return m.charge(len(x) / 8)
	}
	return m.charge(0)
}

// enter goes into a list or an object; whoever enters must leave.
func (m *meter) enter() error {
	if m.depth++; m.depth > maxNesting {
		return errTooDeep
	}
	return nil
}

func (m *meter) leave() { m.depth-- }
