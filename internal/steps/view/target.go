package view

import (
	"encoding/json"
	"unicode/utf8"
)

// maxTarget is how many characters of a target people are shown: parameters may be long.
const maxTarget = 500

// notFilledIn marks a target that is shown as the tools file has it, because its template could not be filled in.
const notFilledIn = " (not filled in)"

// target is what the rung of unit i talks to, with the parameters of the call filled in. pattern is the same as the tools
// file has it; it is empty if that is the same text.
func (s run) target(i int) (target, pattern string) { return s.targetOf(i, s.Units[i].Rung) }

// targetOf is the same of a rung; behind the last one is the probe.
func (s run) targetOf(i, rung int) (target, pattern string) {
	t, probe := s.Tool(i), false
	if rung >= len(t.Rungs) {
		if probe = t.Verify != nil && rung == len(t.Rungs); !probe {
			return "", ""
		}
	}
	written := t.Rung(rung).Target
	asks := s.Asks(i)
	fill := asks.Targets[rung]
	if probe {
		fill = asks.Probes
	}
	if fill == nil {
		return written, ""
	}
	v, err := fill(s.CallScope(i, nil))
	var text string
	if err != nil || json.Unmarshal(v, &text) != nil {
		return written + notFilledIn, written
	}
	return cutTarget(text), written
}

// cutTarget shortens a target in its middle: both ends say more.
func cutTarget(s string) string {
	if utf8.RuneCountInString(s) <= maxTarget {
		return s
	}
	r := []rune(s)
	half := (maxTarget - 1) / 2
	return string(r[:half]) + "…" + string(r[len(r)-half:])
}
