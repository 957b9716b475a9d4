package steps

import (
	"encoding/json"
	"unicode/utf8"
)

// maxTarget is how many characters of a target people are shown: parameters may be long.
const maxTarget = 500

// notFilledIn marks a target that is shown as the tools file has it, because its parameters are missing or do not fit.
const notFilledIn = " (not filled in)"

// target is what the rung of unit i talks to, with the parameters that it is called with. Pattern is the same as the
// tools file has it, empty where that is no other text.
func (s *State) target(i int) (target, pattern string) {
	t, u := s.Tool(i), &s.Units[i]
	if u.Rung >= len(t.Rungs) && !s.probing(i) {
		return "", ""
	}
	written := t.Rung(u.Rung).Target
	asks := s.asks(i)
	fill := asks.Targets[u.Rung]
	if s.probing(i) {
		fill = asks.Probes
	}
	if fill == nil {
		return written, ""
	}
	v, err := fill(s.about(i, nil))
	var text string
	if err != nil || json.Unmarshal(v, &text) != nil {
		return written + notFilledIn, written
	}
	return cutTarget(text), written
}

// cutTarget shortens a target by what is in its middle: both ends say more.
func cutTarget(s string) string {
	if utf8.RuneCountInString(s) <= maxTarget {
		return s
	}
	r := []rune(s)
	half := (maxTarget - 1) / 2
	return string(r[:half]) + "…" + string(r[len(r)-half:])
}
