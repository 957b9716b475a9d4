package steps

import (
	"encoding/json"
	"strconv"
)

// degradedBy is what the root `steps.<id>.degraded_by` shows: how the result came about where it is degraded, else null.
func (s *State) degradedBy(i int) any {
	d := carriedLabel(s, i)
	if d == nil || !s.Units[i].tainted {
		return nil
	}
	age := strconv.FormatFloat(float64(d.Age)/1e9, 'f', -1, 64)
	return map[string]any{"rung": d.Rung, "cause": d.Cause, "age": json.Number(age)}
}
